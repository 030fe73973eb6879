"""What the node must be able to say of itself."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Protocol

import msgspec
from msgspec import Struct


class Part(Struct, frozen=True, kw_only=True):
    """A part of the node; ``reason`` is empty while it is ``ok``. It may name clinics: it is shown with a key only."""

    ok: bool
    reason: str = ""


class HealthReport(Struct, frozen=True, kw_only=True):
    """The node as it is now. ``uptime_s`` in seconds; ``memory_bytes`` is resident, of the main process;
    ``disk_free_bytes`` and ``disk_size_bytes`` of the file system that holds the data directory;
    ``draining``: it is about to end."""

    version: str
    uptime_s: float
    store: Part
    bus: Part
    broker: Part
    nursery: Part
    audit: Part
    memory_bytes: int
    disk_free_bytes: int
    disk_size_bytes: int
    draining: bool = False

    @property
    def parts(self) -> dict[str, Part]:
        """All parts by name."""
        return {
            "store": self.store,
            "bus": self.bus,
            "broker": self.broker,
            "nursery": self.nursery,
            "audit": self.audit,
        }


class TreeNode(Struct, frozen=True, kw_only=True, gc=False):
    """A supervisor, an actor or a port (``type``: ``supervisor``, ``worker``, ``port``), and what is below it.

    ``kind``: its role in the tree, such as ``channel``, where ``id`` says which one. ``phase``: ``up``, or where else
    its supervisor has it: ``starting stopping restarting waiting quarantined down``. ``incarnation``: how often it was
    started; ``restarts``: how often its supervisor did that by itself. ``inbox``: messages that wait; ``busy_s``: how
    long it has been at one already; ``handled``: messages dealt with by this incarnation; ``hung``: children that it
    gave up because they hung. ``facts``: what it says of itself, such as ``state`` or ``pid``; the root: ``version``
    and ``uptime_s`` of the node, and ``restarts`` of all there ever were.
    """

    id: str
    kind: str
    type: str
    phase: str
    incarnation: int = 1
    restarts: int = 0
    last_exit: str = ""
    inbox: int = 0
    busy_s: float = 0.0
    handled: int = 0
    hung: int = 0
    facts: Mapping[str, Any] = msgspec.field(default_factory=dict)
    children: "tuple[TreeNode, ...]" = ()


class RoleCount(Struct, frozen=True, kw_only=True):
    """What has become of all of a ``kind`` in a ``clinic`` (empty: outside of clinics) since the node was started. It
    never goes back. ``exits`` by reason: ``normal``, ``shutdown``, ``killed``, ``crash``."""

    kind: str
    clinic: str
    restarts: int
    hung: int
    exits: Mapping[str, int]


class Health(Protocol):
    """Whoever knows how the node is."""

    @property
    def draining(self) -> bool:
        """Whether it is about to end, and takes no more commands. In any thread."""

    async def report(self) -> HealthReport:
        """Called on the loop's thread for each probe and scrape; it must not block, and is given up after seconds."""

    def tree(self) -> TreeNode:
        """The whole tree. In any thread; waits for no actor. Raises UnavailableError while there is none."""

    def counts(self) -> Sequence[RoleCount]:
        """What has happened in the tree so far. In any thread."""

    def port_memory(self) -> Mapping[tuple[str, str], int]:
        """Resident bytes of the ports that run, by clinic and channel. In any thread; reads ``/proc`` for each."""

    def backups(self) -> Mapping[str, datetime | None]:
        """When the newest backup of each clinic was begun that was made by the clock; None: there is none yet. Of no
        clinic if there are no such backups. In any thread."""
