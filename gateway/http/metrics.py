"""Prometheus text, computed for each scrape from one view of the node: nothing is counted here.

What there can be stands in ``catalogue``; ``states``, ``traffic`` and ``supervision`` say which values it has.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from prometheus_client import CollectorRegistry, ProcessCollector, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4

from gateway.http import states, supervision, traffic
from gateway.http.catalogue import Samples
from gateway.http.health import HealthReport, RoleCount, TreeNode
from protocol.channel import ChannelSnapshot, ClinicSnapshot
from protocol.meters import ChannelMeter, ClinicTimes

CONTENT_TYPE: Final = CONTENT_TYPE_PLAIN_0_0_4
REFUSALS: Final = (
    "no_key", "unknown", "expired", "address_limit", "key_limit", "clinic_limit", "busy",
    "role", "clinic", "node", "host", "origin", "full",
)  # fmt: skip
"""Why requests are not let in (``guard``, ``origins``, ``places``). All are given from the start: of a counter that
appears with its first count nobody sees that it rose."""


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """What was found out for a scrape before its deadline; None for what was not. ``memory``: bytes of ports, by clinic
    and channel; ``backups``: when the newest by the clock was begun, by clinic; ``streams``: of events, open."""

    now: datetime
    report: HealthReport | None
    clinics: Sequence[ClinicSnapshot] | None
    channels: Sequence[ChannelSnapshot] | None
    tree: TreeNode | None = None
    counts: Sequence[RoleCount] | None = None
    meters: Sequence[ChannelMeter] = ()
    times: Sequence[ClinicTimes] = ()
    memory: Mapping[tuple[str, str], int] = field(default_factory=dict)
    backups: Mapping[str, datetime | None] = field(default_factory=dict)
    refused: Mapping[str, int] = field(default_factory=dict)
    streams: int = 0

    @property
    def complete(self) -> bool:
        """Whether everything was found out."""
        return None not in (self.report, self.clinics, self.channels, self.tree, self.counts)


def render(view: View) -> bytes:
    """``view`` and this process as Prometheus text (format 0.0.4). Takes some 0.1 s for a thousand channels: call it
    off the loop's thread."""
    process = CollectorRegistry()
    ProcessCollector(registry=process)
    return gathered(view).text().encode() + generate_latest(process)


def gathered(view: View) -> Samples:
    """All that ``view`` says."""
    samples = Samples()
    samples.put("plantao_scrape_success", view.complete)
    for reason in sorted({*REFUSALS, *view.refused}):
        samples.put("plantao_http_refused_total", view.refused.get(reason, 0), reason)
    samples.put("plantao_event_streams", view.streams)
    if view.report is not None:
        _put_node(samples, view.report)
    if view.clinics is not None:
        states.put_clinics(samples, view.clinics)
    if view.channels is not None:
        states.put_channels(samples, view.channels, view.now)
    clinics = None if view.clinics is None else {snapshot.id for snapshot in view.clinics}
    if view.counts is not None:
        supervision.put_counted(samples, view.counts, clinics)
    if view.tree is not None:
        supervision.put_alive(samples, view.tree, clinics or set())
    traffic.put_traffic(samples, view.meters, view.now)
    traffic.put_times(samples, view.times)
    states.put_ports(samples, view.memory)
    for clinic, at in sorted(view.backups.items()):
        samples.put("plantao_backup_last_success_timestamp_seconds", 0 if at is None else at.timestamp(), clinic)
    return samples


def _put_node(samples: Samples, report: HealthReport) -> None:
    samples.put("plantao_build_info", 1, report.version)
    samples.put("plantao_uptime_seconds", report.uptime_s)
    samples.put("plantao_draining", report.draining)
    samples.put("plantao_disk_free_bytes", report.disk_free_bytes)
    samples.put("plantao_disk_size_bytes", report.disk_size_bytes)
    for name, part in report.parts.items():
        samples.put("plantao_part_up", part.ok, name)
