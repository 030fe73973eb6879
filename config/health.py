"""How the node is: its parts by the root supervisor's word, its memory and its disk."""

import os
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from importlib.metadata import version
from pathlib import Path
from typing import Final

from msgspec.structs import replace

from actors.drain import Drain
from config import live_tree
from gateway.audit.keeper import NodeAudit
from gateway.http.health import HealthReport, Part, RoleCount, TreeNode
from gateway.nats.bus import NatsBus
from gateway.process_memory import resident_bytes
from protocol.errors import UnavailableError
from supervisor.api import Phase
from supervisor.names import Names
from supervisor.snapshot import Node, tree
from supervisor.tally import Tally

ROOT: Final = "root"


class NodeHealth:
    """Implements ``gateway.http.health.Health``."""

    def __init__(
        self,
        names: Names,
        tally: Tally,
        bus: NatsBus,
        audit: NodeAudit,
        data: Path,
        drain: Drain,
        backups: Callable[[], Mapping[str, datetime | None]],
    ) -> None:
        self._names = names
        self._tally = tally
        self._bus = bus
        self._audit = audit
        self._data = data
        self._drain = drain
        self._backups = backups
        self._since = time.monotonic()
        self._version = version("plantao")

    @property
    def draining(self) -> bool:
        """See ``Health``."""
        return self._drain.begun

    async def report(self) -> HealthReport:
        """As it is now; raises UnavailableError while the node is starting or ending."""
        children = self._children()
        store = _part(children.get("store"))
        try:
            disk = os.statvfs(self._data)
            free, size = disk.f_bavail * disk.f_frsize, disk.f_blocks * disk.f_frsize
        except OSError as error:
            store, free, size = _broken(f"{self._data}: {error.strerror}"), 0, 0
        return HealthReport(
            version=self._version,
            uptime_s=self._uptime_s(),
            store=store,
            bus=_part(children.get("bus")) if self._bus.connected else _broken("NATS is away"),
            broker=_part(children.get("broker")),
            nursery=_part(children.get("nursery")),
            audit=_part(children.get("audit")) if self._audit.trouble is None else _broken(self._audit.trouble),
            memory_bytes=resident_bytes("self") or 0,
            disk_free_bytes=free,
            disk_size_bytes=size,
            draining=self.draining,
        )

    def tree(self) -> TreeNode:
        """See ``Health``."""
        restarts = sum(totals.restarts for totals in self._tally.read().values())
        facts = {"version": self._version, "uptime_s": self._uptime_s(), "restarts": restarts}
        return replace(live_tree.shown(self._snapshot()), facts=facts)

    def counts(self) -> Sequence[RoleCount]:
        """See ``Health``."""
        return live_tree.counts(self._tally)

    def port_memory(self) -> Mapping[tuple[str, str], int]:
        """See ``Health``."""
        found = ((clinic, channel, resident_bytes(pid)) for clinic, channel, pid in live_tree.ports(self._snapshot()))
        return {(clinic, channel): size for clinic, channel, size in found if size is not None}

    def backups(self) -> Mapping[str, datetime | None]:
        """See ``Health``."""
        return self._backups()

    def _uptime_s(self) -> float:
        return round(time.monotonic() - self._since, 1)

    def _snapshot(self, depth: int | None = None) -> Node:
        root = self._names.whereis(ROOT)
        if root is None:
            raise UnavailableError("the node is starting or ending")
        return tree(root, depth)

    def _children(self) -> dict[str, Node]:
        children = self._snapshot(depth=2).children
        return {node.id: node for child in children for node in (child, *child.children)}


def _part(child: Node | None) -> Part:
    if child is None or child.phase is Phase.UP:
        return Part(ok=True)
    return _broken(f"{child.phase.value}; last exit: {child.last_exit or 'none'}")


def _broken(reason: str) -> Part:
    return Part(ok=False, reason=reason)
