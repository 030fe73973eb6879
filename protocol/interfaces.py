"""How actors and gateways reach each other without knowing each other.

Everything ``async`` runs on the one asyncio loop (owned by the ``loop`` actor). Actors live on threads of their own and
start such work with ``Loop.spawn``, whose outcome comes back through a callback that only puts a message into the
actor's inbox. Gateways reach the actors through ``Operations``.
"""

from collections.abc import Awaitable, Callable, Collection, Coroutine, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol, TypeVar

from protocol.channel import (
    ChannelRecord,
    ChannelSnapshot,
    ClinicRecord,
    ClinicSnapshot,
    PairingCode,
    QrCode,
    WantedState,
)
from protocol.commands import SendCommand
from protocol.events import Event, ResultEvent
from protocol.port import PortAnswer, PortEvent, PortRequest, PortSpec
from protocol.subjects import EventKind, Priority

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Failure:
    """The outcome of work that raised ``error``."""

    error: BaseException

    @classmethod
    def of(cls, outcome: object) -> "Failure | None":
        """``outcome`` if it is a failure: for work whose result does not matter."""
        return outcome if isinstance(outcome, cls) else None


class Loop(Protocol):
    """The one asyncio loop, as actors see it."""

    def spawn(
        self, work: Coroutine[Any, Any, T], deliver: Callable[[T | Failure], None], *, timeout: float
    ) -> Callable[[], None]:
        """Run ``work`` on the loop; at its end, or after ``timeout`` seconds (a ``TimeoutError``), call ``deliver`` on
        the loop's thread; ``deliver`` must not block.

        Callable from any thread, returns at once. The callable returned cancels the work, whose outcome is then a
        ``CancelledError``; it too may be called from any thread, at any time.
        """


class Service(Protocol):
    """A part of the node that runs on the loop or as an OS process, and has a life of its own.

    One actor owns it: starts it, waits for its end, and stops it. It may be started again after it has ended.
    """

    async def start(self) -> None:
        """Returns once it can be used; raises PlantaoError, leaving nothing behind, if it cannot be started. What is
        left of an earlier run, whose actor crashed, is stopped first."""

    async def wait(self) -> str:
        """Returns only when it has ended without being asked to; the reason, fit for an operator."""

    async def stop(self, *, timeout: float) -> None:
        """End it, by force after ``timeout`` seconds; harmless if it is not running. Leaves nothing behind."""


# -- ports --


class Port(Protocol):
    """One running port."""

    @property
    def pid(self) -> int:
        """Of the OS process."""

    @property
    def incarnation(self) -> int:
        """From its ``PortSpec``."""

    async def call(self, request: PortRequest, *, deadline: float) -> PortAnswer:
        """Have the port do ``request`` within ``deadline`` seconds. Sends are done in the order of the calls.

        A missed deadline kills the port, except for ``FetchMedia``, whose answer is then ``Failed``.

        Raises:
            CallTimeoutError: no answer in time; the port is being killed.
            PortGoneError: it ended before it answered.
        """

    def grant(self, count: int) -> None:
        """Let ``count`` more ``Inbound`` events through (a new port has ``INBOUND_CREDIT``). On the loop's thread."""

    async def stop(self, *, timeout: float) -> None:
        """End it in an orderly way: let the call in flight finish, disconnect, and kill what is left after ``timeout``
        seconds. Returns when the process is gone and reaped; ``PortExited(expected=True)`` has been delivered."""

    def kill(self, reason: str) -> None:
        """SIGKILL it; ``PortExited`` follows. Callable from any thread."""


class PortOpener(Protocol):
    """Opens ports (the nursery's parent side)."""

    async def open(self, spec: PortSpec, deliver: Callable[[PortEvent], None]) -> Port:
        """Fork a port and wait until it is ready to connect, which it then does by itself.

        ``deliver`` is called on the loop's thread, in order, from before this returns until ``PortExited``.

        Raises:
            PortStartError: the nursery is away, or the port was not ready in time.
        """


INBOUND_CREDIT = 64
"""``Inbound`` events that a port may have under way at most."""


# -- NATS --


@dataclass(frozen=True, slots=True, kw_only=True)
class Fetched:
    """A send command as it was taken from the work queue. ``ack`` tells the queue that we own it now, ``nak`` that we
    don't: it comes again at once, instead of after the time in which it could have been acknowledged."""

    body: bytes
    priority: Priority
    queued_at: datetime
    headers: Mapping[str, str]
    ack: Callable[[], Awaitable[None]]
    nak: Callable[[], Awaitable[None]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Publication:
    """An event to publish; ``kind`` None is a dead letter. ``headers`` are the correlation headers to pass on."""

    channel: str
    kind: EventKind | None
    event: Event
    message_id: str
    headers: Mapping[str, str]


class ClinicBus(Protocol):
    """The NATS account of one clinic: its streams, consumers and buckets exist."""

    async def fetch(self, channel: str, limit: int) -> Sequence[Fetched]:
        """At most ``limit`` commands for ``channel``, high before normal before bulk; waits until there is one.

        Raises:
            BusUnavailableError: NATS is away.
        """

    async def publish(self, batch: Sequence[Publication]) -> None:
        """Publish in this order and return when all are stored; repeating a batch stores nothing twice.

        Raises:
            BusUnavailableError: some may not have been stored; repeat the batch.
        """

    async def enqueue(self, channel: str, priority: Priority, body: bytes, headers: Mapping[str, str]) -> None:
        """Put a send command on the work queue as any service would; returns when it is stored.

        Raises:
            BusUnavailableError: it may not have been stored; repeat it with the same id.
        """

    async def put_media(self, name: str, data: bytes, *, mime: str) -> None:
        """Store media of an inbound message in the Object Store under ``name``. Raises BusUnavailableError."""

    async def get_media(self, name: str, *, limit: int) -> bytes:
        """Media of an outgoing message, at most ``limit`` bytes.

        Raises:
            NotFoundError: there is no such object.
            InvalidInputError: it is larger.
            BusUnavailableError
        """

    async def serve_channels(self, channels: Collection[str]) -> None:
        """Take commands for exactly these channels: publishing to any other is refused at once. Until this is called
        for the first time the account takes what it took before.

        Raises:
            BusUnavailableError
        """

    async def forget_channel(self, channel: str) -> None:
        """Delete the consumers and the leftover commands of a channel that is no longer wanted; those of one that is
        still served go once it is not.

        Raises:
            BusUnavailableError: repeat it.
        """


class Bus(Protocol):
    """All NATS accounts that this node serves."""

    async def open_clinic(self, clinic: str) -> ClinicBus:
        """Connect to the clinic's account, creating what is missing in it; the same object if it is open already.

        Raises:
            BusUnavailableError
        """

    async def close_clinic(self, clinic: str, *, forget: bool) -> None:
        """Disconnect; ``forget`` also removes the account with all it holds (embedded broker only)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What the registry wants to run, whole."""

    clinics: Mapping[str, ClinicRecord]
    channels: Mapping[tuple[str, str], ChannelRecord]


class Registry(Protocol):
    """The JetStream KV bucket of wanted clinics and channels."""

    async def watch(self, deliver: Callable[[Wanted], None]) -> None:
        """Call ``deliver`` on the loop's thread with the whole at first, and again after every change; never returns.

        Survives reconnections by itself.
        """

    async def create_clinic(self, record: ClinicRecord) -> None:
        """Raises AlreadyExistsError, BusUnavailableError."""

    async def create_channel(self, record: ChannelRecord) -> None:
        """Raises AlreadyExistsError, NotFoundError (its clinic), BusUnavailableError."""

    async def want_channel(self, clinic: str, channel: str, wanted: WantedState) -> None:
        """Change what is wanted of a channel. Raises NotFoundError, BusUnavailableError."""

    async def delete_clinic(self, clinic: str) -> None:
        """With its channels. Raises NotFoundError, BusUnavailableError."""

    async def delete_channel(self, clinic: str, channel: str) -> None:
        """Raises NotFoundError, BusUnavailableError."""


# -- the clinic's database --


@dataclass(frozen=True, slots=True, kw_only=True)
class Accepted:
    """A command that the ledger owns and that is not final: to be sent."""

    channel: str
    command: SendCommand
    run: int
    priority: Priority
    attempts: int
    uncertain: bool
    queued_at: datetime
    headers: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Repeated:
    """An id that is known with the same body: ``result`` is the final one, or None while it is still under way."""

    id: str
    result: ResultEvent | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Conflicted:
    """An id that is known with another body."""

    id: str


Verdict = Accepted | Repeated | Conflicted


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """A valid command for the ledger, with the body it came in (which tells a repeat from a conflict)."""

    command: SendCommand
    body: bytes
    priority: Priority
    queued_at: datetime
    headers: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Sender:
    """The command that sent a WhatsApp message."""

    id: str
    to: str
    meta: dict[str, Any] | None
    headers: Mapping[str, str]


class Ledger(Protocol):
    """One clinic's SQLite file. Every method is one committed transaction and raises StoreUnavailableError."""

    async def accept(self, channel: str, offers: Sequence[Offer]) -> Sequence[Verdict]:
        """Take ownership of the new ones; one verdict for each offer, in order."""

    async def unfinished(self, channel: str) -> Sequence[Accepted]:
        """What was accepted and is not final, oldest first. What was in flight at a crash is ``uncertain``."""

    async def begin(self, channel: str, ids: Sequence[str]) -> None:
        """These are about to be handed to the port: an attempt more each, and uncertain until it is settled.

        Raises:
            ConflictError: one is final or unknown, so it must not be sent; nothing was changed.
        """

    async def retry(self, channel: str, id: str) -> None:
        """The attempt failed and nothing was sent: no longer uncertain."""

    async def finish(self, channel: str, results: Sequence[ResultEvent]) -> None:
        """Record final results, to be published. The first result of a run stands.

        Raises:
            ConflictError: one is of an unknown command or run; nothing was changed.
        """

    async def unpublished(self, channel: str) -> Sequence[tuple[ResultEvent, Mapping[str, str]]]:
        """Final results whose publication was not recorded, oldest first, each with its headers."""

    async def published(self, channel: str, ids: Sequence[str]) -> None:
        """These results have been stored by NATS."""

    async def senders(self, channel: str, wa_ids: Sequence[str]) -> Mapping[str, Sender]:
        """The commands behind WhatsApp ids, where they are ours."""


class Store(Protocol):
    """The databases of all clinics."""

    async def open_clinic(self, clinic: str) -> Ledger:
        """Open (create, migrate) the clinic's database; the same object if it is open already.

        Raises:
            StoreUnavailableError: it is locked, corrupt, or the disk is full; names the file.
        """

    async def close_clinic(self, clinic: str) -> None:
        """Close it; harmless if it is not open."""


# -- from outside to the actors --


class Operations(Protocol):
    """What operators and services may ask of the running node; HTTP, rpc and the command line all go through it.

    Every method may raise UnavailableError (a part did not answer in time) and NotFoundError.
    """

    async def clinics(self) -> Sequence[ClinicSnapshot]:
        """All, by id."""

    async def clinic(self, clinic: str) -> ClinicSnapshot:
        """One."""

    async def add_clinic(self, id: str, name: str, timezone: str | None = None) -> ClinicSnapshot:
        """Returns once it is registered; it starts by itself. Raises InvalidInputError, AlreadyExistsError."""

    async def remove_clinic(self, clinic: str) -> None:
        """Stop it and its channels for good; its data stay until they are erased."""

    async def release_clinic(self, clinic: str) -> ClinicSnapshot:
        """Let a quarantined clinic out and start it. Raises ConflictError if it is not quarantined, or fails again."""

    async def channels(self, clinic: str | None = None) -> Sequence[ChannelSnapshot]:
        """All, or a clinic's; by clinic and id."""

    async def channel(self, clinic: str, channel: str) -> ChannelSnapshot:
        """One."""

    async def add_channel(self, clinic: str, id: str, name: str | None = None) -> ChannelSnapshot:
        """Raises InvalidInputError, AlreadyExistsError, and ConflictError if the clinic has as many as it may."""

    async def remove_channel(self, clinic: str, channel: str) -> None:
        """Stop it for good and delete its session store."""

    async def connect(self, clinic: str, channel: str) -> ChannelSnapshot:
        """Open a port now; on a live channel, replace it; lets a quarantined one out."""

    async def disconnect(self, clinic: str, channel: str) -> ChannelSnapshot:
        """Close the port until ``connect``, also over a restart of the node."""

    async def suspend(self, clinic: str, channel: str) -> ChannelSnapshot:
        """Close the port until ``resume`` or ``connect``, also over a restart of the node; commands wait meanwhile."""

    async def resume(self, clinic: str, channel: str) -> ChannelSnapshot:
        """Open a port if it is suspended. Raises ConflictError if it is at rest for another reason."""

    async def logout(self, clinic: str, channel: str) -> ChannelSnapshot:
        """Unlink the device. Raises ConflictError if it is not paired."""

    async def pair(self, clinic: str, channel: str, phone: str | None) -> PairingCode | QrCode:
        """Begin pairing: by QR code, or by a code typed on ``phone``. Raises ConflictError if it is paired already."""

    async def qr(self, clinic: str, channel: str) -> QrCode:
        """The QR code to show now. Raises NotFoundError if there is none."""

    async def send(self, clinic: str, channel: str, priority: Priority, body: bytes) -> str:
        """Put a send command on the channel's queue and return its id. Raises InvalidInputError."""
