"""Runs of messages: what is measured of each, and what several of a kind come to."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from statistics import fmean

from tests.bench.processes import CpuMeter
from tests.bench.report import Row, percentile

RATE_COLUMNS = {
    "rate": "messages/s",
    "slowest run": "messages/s",
    "fastest run": "messages/s",
    "p50": "ms",
    "p99": "ms",
}
CPU_COLUMNS = {
    "client": "ms/message",
    "main": "ms/message",
    "nats-server": "ms/message",
    "together": "ms/message",
    "own share": "%",
    "emulator": "ms/message",
    "bench": "ms/message",
    "both cores": "% busy",
}
_MS = 1000.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """Seconds throughout; ``cpu`` by kind of process."""

    seconds: float
    latencies: Sequence[float]
    cpu: dict[str, float]

    @property
    def rate(self) -> float:
        """Messages per second."""
        return len(self.latencies) / self.seconds


@dataclass(slots=True)
class Series:
    """Runs of one kind; between them are runs of the other kind, so that the machine's mood hits both."""

    runs: list[Run] = field(default_factory=list)

    def add(self, begun: float, ended: float, latencies: Sequence[float], meter: CpuMeter) -> None:
        """One more run, from ``begun`` to ``ended`` (monotonic seconds)."""
        self.runs.append(Run(seconds=ended - begun, latencies=latencies, cpu=meter.seconds()))

    @property
    def count(self) -> int:
        """Messages."""
        return sum(len(run.latencies) for run in self.runs)

    @property
    def rate(self) -> float:
        """Messages per second, over all runs."""
        return self.count / sum(run.seconds for run in self.runs)

    def latency(self, share: float) -> float:
        """A percentile of the latency, in milliseconds."""
        return percentile((one for run in self.runs for one in run.latencies), share) * _MS

    def cpu(self, process: str) -> float:
        """CPU milliseconds per message."""
        return sum(run.cpu.get(process, 0.0) for run in self.runs) / self.count * _MS

    def rate_row(self, label: str) -> Row:
        """For a table with ``RATE_COLUMNS``."""
        rates = [run.rate for run in self.runs]
        values = {"rate": self.rate, "slowest run": min(rates), "fastest run": max(rates)}
        return Row(label=label, n=self.count, values=values | self.latencies())

    def latencies(self) -> dict[str, float]:
        """In milliseconds."""
        return {"p50": self.latency(0.5), "p99": self.latency(0.99)}

    def cpu_row(self, label: str, raw: "Series | None" = None) -> Row:
        """For a table with ``CPU_COLUMNS``; ``raw`` is what the own share is measured against."""
        shown = {"client": "client", "main": "main", "nats": "nats-server"}
        parts = {name: self.cpu(process) for process, name in shown.items() if process in self.runs[0].cpu}
        together = sum(parts.values())
        around = {name: self.cpu(name) for name in ("emulator", "bench")}
        busy = fmean(sum(run.cpu.values()) / run.seconds for run in self.runs) / 2 * 100
        values = parts | {"together": together} | around | {"both cores": busy}
        if raw is not None:
            values["own share"] = max(0.0, 100 * (1 - raw.cpu("client") / together))
        return Row(label=label, n=self.count, values=values)


def ratio_row(plantao: Series, raw: Series) -> Row:
    """Plantão's throughput as a part of raw neonize's."""
    return Row(label="  ratio", n=0, values={"rate": plantao.rate / raw.rate})


def cpu_ratio_row(plantao: Series, raw: Series) -> Row:
    """Plantão's CPU per message, all its processes, as a multiple of raw neonize's."""
    own = sum(plantao.cpu(process) for process in ("client", "main", "nats"))
    return Row(label="  ratio", n=0, values={"together": own / raw.cpu("client")})
