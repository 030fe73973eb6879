"""Prometheus text, computed for each scrape from one view of the node: nothing is counted here.

Labels are bounded by what is registered: clinic, channel, the nine states, and the two breakers with their three; and
by the reasons for which a request is not let in (``gateway.http.guard`` and ``origins``).
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from prometheus_client import CollectorRegistry, ProcessCollector, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from gateway.http import supervision
from gateway.http.health import HealthReport, RoleCount, TreeNode
from protocol.channel import ChannelSnapshot, ChannelState, ClinicSnapshot

CONTENT_TYPE: Final = CONTENT_TYPE_PLAIN_0_0_4


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """What was found out for a scrape before its deadline; None for what was not."""

    report: HealthReport | None
    clinics: Sequence[ClinicSnapshot] | None
    channels: Sequence[ChannelSnapshot] | None
    tree: TreeNode | None = None
    counts: Sequence[RoleCount] | None = None
    refused: Mapping[str, int] = field(default_factory=dict)


def render(view: View) -> bytes:
    """``view`` and this process as Prometheus text (format 0.0.4). Takes milliseconds for a thousand channels: call it
    off the loop's thread."""
    registry = CollectorRegistry()
    registry.register(_NodeCollector(view))
    ProcessCollector(registry=registry)
    return generate_latest(registry)


class _NodeCollector(Collector):
    def __init__(self, view: View) -> None:
        self._view = view

    def collect(self) -> Iterator[Metric]:
        view = self._view
        complete = None not in (view.report, view.clinics, view.channels, view.tree, view.counts)
        yield GaugeMetricFamily("plantao_scrape_success", "1 if every part answered this scrape", value=float(complete))
        yield _refusals(view.refused)
        if view.report is not None:
            yield from _of_node(view.report)
        if view.clinics is not None:
            yield GaugeMetricFamily("plantao_clinics", "Registered clinics", value=len(view.clinics))
        if view.channels is not None:
            yield from _of_channels(view.channels)
        clinics = None if view.clinics is None else {snapshot.id for snapshot in view.clinics}
        if view.counts is not None:
            yield from supervision.counted(view.counts, clinics)
        if view.tree is not None:
            yield from supervision.alive(view.tree, clinics or set())


def _of_node(report: HealthReport) -> Iterator[Metric]:
    build = GaugeMetricFamily("plantao_build_info", "The version that runs; always 1", labels=["version"])
    build.add_metric([report.version], 1)
    yield build
    yield GaugeMetricFamily("plantao_uptime_seconds", "Seconds since the node was started", value=report.uptime_s)
    yield GaugeMetricFamily("plantao_disk_free_bytes", "Free where the data directory is", value=report.disk_free_bytes)
    parts = GaugeMetricFamily("plantao_part_up", "1 if this part of the node works", labels=["part"])
    for name, part in report.parts.items():
        parts.add_metric([name], float(part.ok))
    yield parts


def _refusals(refused: Mapping[str, int]) -> Metric:
    total = CounterMetricFamily("plantao_http_refused", "Requests that were not let in, by reason", labels=["reason"])
    for reason, count in sorted(refused.items()):
        total.add_metric([reason], count)
    return total


def _of_channels(channels: Sequence[ChannelSnapshot]) -> Iterator[Metric]:
    # Every state of a clinic is given, also the empty ones: a series that vanishes cannot raise an alert.
    count = Counter((snapshot.clinic, snapshot.state) for snapshot in channels)
    totals = GaugeMetricFamily("plantao_channels", "Channels of a clinic by state", labels=["clinic", "state"])
    for clinic in sorted({snapshot.clinic for snapshot in channels}):
        for state in ChannelState:
            totals.add_metric([clinic, state], count[clinic, state])
    yield totals
    states = GaugeMetricFamily(
        "plantao_channel_state", "1 for the state a channel is in", labels=["clinic", "channel", "state"]
    )
    queued = GaugeMetricFamily(
        "plantao_queued_commands", "Commands a channel has taken and not finished", labels=["clinic", "channel"]
    )
    breakers = GaugeMetricFamily(
        "plantao_breaker_state",
        "1 for the state a circuit breaker is in",
        labels=["clinic", "channel", "breaker", "state"],
    )
    for snapshot in channels:
        states.add_metric([snapshot.clinic, snapshot.channel, snapshot.state], 1)
        breakers.add_metric([snapshot.clinic, snapshot.channel, "connect", snapshot.breaker], 1)
        breakers.add_metric([snapshot.clinic, snapshot.channel, "send", snapshot.sending_breaker], 1)
        queued.add_metric([snapshot.clinic, snapshot.channel], snapshot.queued)
    yield states
    yield breakers
    yield queued
