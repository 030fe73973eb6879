"""A node without a node: ``Operations`` and ``Health`` over dictionaries, that fail and hang when told to."""

import asyncio
import threading
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec

from actors.board import Board
from actors.custody.rotating import Rotating
from actors.meters import ChannelCount
from gateway.http.backends import Backends
from gateway.http.health import HealthReport, Part, RoleCount, TreeNode
from gateway.jobs import NodeJobs
from gateway.nats.logins import Logins
from protocol.access import Caller
from protocol.channel import (
    Breaker,
    ChannelSnapshot,
    ChannelState,
    ClinicSnapshot,
    ClinicState,
    PairingCode,
    QrCode,
    WantedState,
)
from protocol.commands import parse, utc_now
from protocol.errors import AlreadyExistsError, ConflictError, NotFoundError, UnavailableError
from protocol.jobs import JobKind, JobState, JobView
from protocol.meters import ChannelMeter, ClinicTimes, ClinicTotals
from protocol.people import parse_person
from protocol.records import ConsentKind, ConsentList, ConsentSource, ConsentView
from protocol.reloading import Reloaded
from protocol.subjects import Priority
from protocol.views import ClinicStats
from tests.fakes.any_clinic import AnyClinic
from tests.fakes.memory_audit import MemoryAudit
from tests.fakes.memory_keys import MemoryKeys
from tests.unit.gateway.access.made import admin_keys
from tests.unit.gateway.http.fake_commands import NOW, FakeCommands, command_view

QR = QrCode(code="2@AbCdEf,GhIjKl,MnOpQr", expires_at=NOW)


def channel_snapshot(clinic: str, channel: str, **changes: Any) -> ChannelSnapshot:
    """A channel that was just registered, with ``changes``."""
    fresh = ChannelSnapshot(
        clinic=clinic, channel=channel, name=channel, wanted=WantedState.CONNECTED,
        state=ChannelState.INITIALIZING, reason="", since=NOW, phone=None,
        jid=None, profile_name=None, attempt=0, next_retry_at=None, breaker=Breaker.CLOSED,
        sending_breaker=Breaker.CLOSED, queued=0, created_at=NOW, last_connected_at=None,
        last_activity_at=None, config={},
    )  # fmt: skip
    return msgspec.structs.replace(fresh, **changes)


def tree_node(kind: str, *children: TreeNode, id: str | None = None, **changes: Any) -> TreeNode:
    """A node of the tree that is up, with ``changes``; a supervisor if it has children."""
    fields: dict[str, Any] = {"type": "supervisor" if children else "worker", "phase": "up"}
    return TreeNode(id=id or kind, kind=kind, children=children, **{**fields, **changes})


def channel_node(id: str, state: ChannelState, pid: int | None = None, **changes: Any) -> TreeNode:
    """A channel, with its port if there is a ``pid``."""
    port = [] if pid is None else [tree_node("port", type="port", facts={"pid": pid})]
    return tree_node("channel", *port, id=id, **{"type": "worker", "facts": {"state": state.value}, **changes})


def clinic_node(id: str, *channels: TreeNode, **changes: Any) -> TreeNode:
    """A clinic with its channels."""
    parts = (tree_node("account"), tree_node("channels", *channels, type="supervisor"), tree_node("reconciler"))
    return tree_node("clinic", *parts, id=id, **changes)


TREE = tree_node(
    "root",
    tree_node("loop"),
    tree_node("processes", tree_node("broker", facts={"pid": 11}), tree_node("nursery", facts={"pid": 12})),
    tree_node("store"),
    tree_node("bus"),
    tree_node(
        "clinics",
        clinic_node(
            "acme",
            channel_node("back", ChannelState.QR_REQUIRED, 21),
            channel_node("front", ChannelState.CONNECTED, 22, handled=100, inbox=3),
        ),
        clinic_node("bela", channel_node("front", ChannelState.CONNECTED, 23)),
    ),
    tree_node("registrar"),
    tree_node("admin"),
    facts={"version": "1.2.3", "uptime_s": 42.0, "restarts": 7},
)


@dataclass
class FakeOperations(FakeCommands):
    """``failing`` maps a method's name to what it raises; the methods in ``hanging`` wait for ever.

    With ``scanned_by``, that phone accepts each pairing code as soon as it has been asked for. ``quarantined`` are the
    clinics that are, with the reason. A command that is sent is held (see ``FakeCommands``).
    """

    names: dict[str, str] = field(default_factory=dict)
    found: dict[tuple[str, str], ChannelSnapshot] = field(default_factory=dict)
    codes: dict[tuple[str, str], QrCode] = field(default_factory=dict)
    sent: list[tuple[str, str, Priority, bytes]] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    asked: list[tuple[str, ...]] = field(default_factory=list)
    failing: dict[str, Exception] = field(default_factory=dict)
    scanned_by: str | None = None
    quarantined: dict[str, str] = field(default_factory=dict)
    hanging: set[str] = field(default_factory=set)
    register: dict[tuple[str, str], list[ConsentView]] = field(default_factory=dict)
    entered: asyncio.Event = field(default_factory=asyncio.Event)
    cancelled: asyncio.Event = field(default_factory=asyncio.Event)

    def set(self, clinic: str, channel: str, **changes: Any) -> None:
        """Change a channel, registering it and its clinic if need be."""
        self.names.setdefault(clinic, clinic)
        before = self.found.get((clinic, channel)) or channel_snapshot(clinic, channel)
        self.found[clinic, channel] = msgspec.structs.replace(before, **changes)

    async def clinics(self) -> Sequence[ClinicSnapshot]:
        await self._enter("clinics")
        return [self._clinic(clinic) for clinic in sorted(self.names)]

    async def clinic(self, clinic: str) -> ClinicSnapshot:
        await self._enter("clinic", clinic)
        return self._clinic(clinic)

    async def add_clinic(self, id: str, name: str, timezone: str | None = None) -> ClinicSnapshot:
        await self._enter("add_clinic", id, name, str(timezone))
        if self.names.get(id, name) != name:
            raise AlreadyExistsError(f"clinic {id}")
        self.names[id] = name
        return self._clinic(id)

    async def configure_clinic(
        self, clinic: str, name: str | None = None, timezone: str | None = None
    ) -> ClinicSnapshot:
        await self._enter("configure_clinic", clinic, str(name), str(timezone))
        self._clinic(clinic)
        self.names[clinic] = name or self.names[clinic]
        return self._clinic(clinic)

    async def remove_clinic(self, clinic: str) -> None:
        await self._enter("remove_clinic", clinic)
        self._clinic(clinic)
        del self.names[clinic]

    async def release_clinic(self, clinic: str) -> ClinicSnapshot:
        await self._enter("release_clinic", clinic)
        if clinic not in self.quarantined:
            self._clinic(clinic)
            raise ConflictError(f"clinic {clinic} is running: only a quarantined one can be released")
        del self.quarantined[clinic]
        return self._clinic(clinic)

    async def channels(self, clinic: str | None = None) -> Sequence[ChannelSnapshot]:
        await self._enter("channels", str(clinic))
        if clinic is not None:
            self._clinic(clinic)
        return [self.found[key] for key in sorted(self.found) if clinic in (None, key[0])]

    async def channel(self, clinic: str, channel: str) -> ChannelSnapshot:
        await self._enter("channel", clinic, channel)
        return self._channel(clinic, channel)

    async def add_channel(self, clinic: str, id: str, name: str | None = None) -> ChannelSnapshot:
        await self._enter("add_channel", clinic, id, str(name))
        self._clinic(clinic)
        if (clinic, id) in self.found and self.found[clinic, id].name != (name or id):
            raise AlreadyExistsError(f"channel {id}")
        self.set(clinic, id, name=name or id)
        return self.found[clinic, id]

    async def remove_channel(self, clinic: str, channel: str) -> None:
        await self._enter("remove_channel", clinic, channel)
        self._channel(clinic, channel)
        del self.found[clinic, channel]

    async def connect(self, clinic: str, channel: str) -> ChannelSnapshot:
        await self._enter("connect", clinic, channel)
        return self._move(clinic, channel, ChannelState.INITIALIZING)

    async def disconnect(self, clinic: str, channel: str) -> ChannelSnapshot:
        await self._enter("disconnect", clinic, channel)
        return self._move(clinic, channel, ChannelState.DISCONNECTED)

    async def suspend(self, clinic: str, channel: str) -> ChannelSnapshot:
        await self._enter("suspend", clinic, channel)
        return self._move(clinic, channel, ChannelState.SUSPENDED)

    async def resume(self, clinic: str, channel: str) -> ChannelSnapshot:
        await self._enter("resume", clinic, channel)
        return self._move(clinic, channel, ChannelState.INITIALIZING)

    async def logout(self, clinic: str, channel: str) -> ChannelSnapshot:
        await self._enter("logout", clinic, channel)
        return self._move(clinic, channel, ChannelState.LOGGED_OUT)

    async def pair(self, clinic: str, channel: str, phone: str | None) -> PairingCode | QrCode:
        await self._enter("pair", clinic, channel, str(phone))
        self._move(clinic, channel, ChannelState.QR_REQUIRED)
        if phone is not None:
            self._scan(clinic, channel)
            return PairingCode(code="ABCD-1234", phone=phone, expires_at=NOW)
        return self.codes.setdefault((clinic, channel), QR)

    async def qr(self, clinic: str, channel: str) -> QrCode:
        await self._enter("qr", clinic, channel)
        self._channel(clinic, channel)
        if (clinic, channel) not in self.codes:
            raise NotFoundError("a QR code")
        self._scan(clinic, channel)
        return self.codes[clinic, channel]

    async def send(self, clinic: str, channel: str, priority: Priority, body: bytes, headers: Mapping[str, str]) -> str:
        await self._enter("send", clinic, channel)
        self._channel(clinic, channel)
        command = parse(body)
        self.sent.append((clinic, channel, priority, body))
        self.headers.append(dict(headers))
        self.put(clinic, channel, command_view(command.id, priority=priority, type=command.type, to=command.to))
        return command.id

    def _scan(self, clinic: str, channel: str) -> None:
        if self.scanned_by is not None:
            self.set(clinic, channel, state=ChannelState.CONNECTED, phone=self.scanned_by)

    async def consents(
        self, clinic: str, channel: str, *, contact: str | None, cursor: str | None, limit: int
    ) -> ConsentList:
        await self._enter("consents", clinic, channel, str(contact), str(cursor), str(limit))
        self._channel(clinic, channel)
        return ConsentList(items=self.register.get((clinic, channel), []))

    async def record_consent(
        self, clinic: str, channel: str, contact: str, status: ConsentKind, source: ConsentSource, note: str
    ) -> ConsentView:
        await self._enter("record_consent", clinic, channel, contact, status.value, source.value, note)
        self._channel(clinic, channel)
        people = sorted(parse_person(contact))
        entry = ConsentView(channel=channel, people=people, status=status, source=source, at=NOW, note=note)
        self.register.setdefault((clinic, channel), []).insert(0, entry)
        return entry

    async def stats(self, clinic: str) -> ClinicStats:
        self._clinic(clinic)
        return await super().stats(clinic)

    async def _enter(self, method: str, *arguments: str) -> None:
        self.asked.append((method, *arguments))
        if method in self.failing:
            raise self.failing[method]
        if method in self.hanging:
            self.entered.set()
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                self.cancelled.set()
                raise

    def _clinic(self, id: str) -> ClinicSnapshot:
        if id not in self.names:
            raise NotFoundError(f"clinic {id}")
        count = Counter(str(found.state) for (clinic, _), found in self.found.items() if clinic == id)
        return ClinicSnapshot(
            id=id, name=self.names[id], timezone="America/Sao_Paulo",
            state=ClinicState.QUARANTINED if id in self.quarantined else ClinicState.RUNNING,
            reason=self.quarantined.get(id, ""), channels=dict(count), created_at=NOW,
        )  # fmt: skip

    def _channel(self, clinic: str, channel: str) -> ChannelSnapshot:
        self._clinic(clinic)
        if (clinic, channel) not in self.found:
            raise NotFoundError(f"channel {channel}")
        return self.found[clinic, channel]

    def _move(self, clinic: str, channel: str, state: ChannelState) -> ChannelSnapshot:
        self._channel(clinic, channel)
        self.set(clinic, channel, state=state)
        return self.found[clinic, channel]


@dataclass
class FakeMeters:
    """Says what it is given."""

    counted: list[ChannelMeter] = field(default_factory=list)
    timed: list[ClinicTimes] = field(default_factory=list)

    def channels(self) -> list[ChannelMeter]:
        return self.counted

    def totals(self) -> dict[str, ClinicTotals]:
        return {}

    def times(self) -> list[ClinicTimes]:
        return self.timed


def channel_meter(clinic: str, channel: str, **changes: Any) -> ChannelMeter:
    """Of a channel where nothing has happened yet, with ``changes``."""
    return msgspec.structs.replace(ChannelCount().read(clinic, channel), **changes)


@dataclass
class FakeHealth:
    """Well, but for ``broken`` parts, or hanging; ``root`` is its tree (None: none yet), ``counted`` its
    counts, ``walked_by`` the threads that asked for the tree; ``memory`` of its ports, ``backed_up`` when.
    """

    broken: dict[str, str] = field(default_factory=dict)
    hanging: bool = False
    root: TreeNode | None = field(default_factory=lambda: TREE)
    counted: list[RoleCount] = field(default_factory=list)
    walked_by: list[str] = field(default_factory=list)
    memory: dict[tuple[str, str], int] = field(default_factory=dict)
    backed_up: dict[str, datetime | None] = field(default_factory=dict)
    draining: bool = False

    async def report(self) -> HealthReport:
        if self.hanging:
            await asyncio.Event().wait()
        parts = {
            name: Part(ok=name not in self.broken, reason=self.broken.get(name, ""))
            for name in ("store", "bus", "broker", "nursery", "audit")
        }
        return HealthReport(
            version="1.2.3", uptime_s=42.0, memory_bytes=1000, disk_free_bytes=2000, disk_size_bytes=8000,
            draining=self.draining, **parts,
        )  # fmt: skip

    def tree(self) -> TreeNode:
        self.walked_by.append(threading.current_thread().name)
        if self.root is None:
            raise UnavailableError("the node is starting or ending")
        return self.root

    def counts(self) -> list[RoleCount]:
        return self.counted

    def port_memory(self) -> dict[tuple[str, str], int]:
        return self.memory

    def backups(self) -> dict[str, datetime | None]:
        return self.backed_up


@dataclass
class FakeBackups:
    """Implements ``protocol.custody.Backups``: remembers what it was asked, and what the archives held. ``folder``:
    where those lie until then. ``refusing``: it raises this."""

    folder: Path = Path("no archive comes here")
    asked: list[dict[str, Any]] = field(default_factory=list)
    refusing: Exception | None = None

    def incoming(self) -> Path:
        return self.folder / f"incoming-{len(self.asked)}"

    async def backup(self, clinic: str | None, *, by: Caller, passphrase: str | None = None) -> JobView:
        return self._begin(JobKind.BACKUP, clinic, {"by": by.id, "passphrase": passphrase})

    async def restore(
        self,
        archive: Path,
        clinic: str | None,
        *,
        replace: bool,
        by: Caller,
        resume: bool = False,
        passphrase: str | None = None,
    ) -> JobView:
        asked = {"by": by.id, "passphrase": passphrase, "replace": replace, "resume": resume}
        view = self._begin(JobKind.RESTORE, clinic, asked | {"archive": await asyncio.to_thread(archive.read_bytes)})
        await asyncio.to_thread(archive.unlink)
        return view

    def _begin(self, kind: JobKind, clinic: str | None, asked: dict[str, Any]) -> JobView:
        if self.refusing is not None:
            raise self.refusing
        self.asked.append({"kind": kind, "clinic": clinic, **asked})
        return JobView(id="0123456789abcdef", kind=kind, clinic=clinic, state=JobState.RUNNING, by="x", started_at=NOW)


@dataclass
class FakePersonal:
    """Implements ``protocol.custody.PersonalData``: remembers what it was asked, by whom."""

    asked: list[tuple[str, ...]] = field(default_factory=list)

    async def export(self, clinic: str, contact: str | None, *, by: Caller) -> JobView:
        return self._begin(JobKind.EXPORT, clinic, str(contact), by.id)

    async def erase_clinic(self, clinic: str, *, by: Caller) -> JobView:
        return self._begin(JobKind.ERASE, clinic, by.id)

    async def erase_contact(self, clinic: str, contact: str, *, by: Caller) -> JobView:
        return self._begin(JobKind.ERASE, clinic, contact, by.id)

    def _begin(self, kind: JobKind, clinic: str, *rest: str) -> JobView:
        self.asked.append((kind.value, clinic, *rest))
        return JobView(id="0123456789abcdef", kind=kind, clinic=clinic, state=JobState.RUNNING, by="x", started_at=NOW)


NO_PERSONAL = FakePersonal()
NO_AUDIT = MemoryAudit()
NO_BACKUPS = FakeBackups()
NO_JOBS = NodeJobs(Path("no jobs are begun here"), NO_AUDIT)


NO_KEYS = MemoryKeys()
NO_ROTATIONS = Rotating(AnyClinic(), NO_JOBS, NO_KEYS, NO_KEYS, NO_KEYS.restored)


NO_LOGINS = Logins(None, utc_now)
"""Of a node whose NATS server is somebody else's."""


@dataclass
class FakeReloading:
    """Implements ``protocol.reloading.Reloading``: answers ``came``, or fails with ``error``."""

    came: Reloaded = field(default_factory=lambda: Reloaded(changed=["log.level"], restart=["nats.port"]))
    error: Exception | None = None

    async def reload(self) -> Reloaded:
        if self.error is not None:
            raise self.error
        return self.came


def fake_backends(**changes: Any) -> Backends:
    """A node without a node, that anybody's key "k" opens, with ``changes``."""
    parts: dict[str, Any] = {
        "operations": FakeOperations(), "keys": admin_keys("k"), "logins": NO_LOGINS, "jobs": NO_JOBS,
        "backups": NO_BACKUPS, "personal": NO_PERSONAL, "rotations": NO_ROTATIONS,
        "reloading": FakeReloading(),
        "audit": NO_AUDIT, "health": FakeHealth(), "meters": FakeMeters(), "live": Board(),
    }  # fmt: skip
    return Backends(**{**parts, **changes})
