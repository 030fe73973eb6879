"""NATS as actors see it: accounts of clinics, and the registry. Everything runs on the asyncio loop."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from msgspec import Struct

from protocol.channel import ChannelRecord, ClinicRecord, WantedState
from protocol.events import Event
from protocol.subjects import EventKind, Priority


class Fetched(Struct, frozen=True, kw_only=True):
    """A send command as it was taken from the work queue. ``token`` is the queue's own."""

    body: bytes
    priority: Priority
    queued_at: datetime
    headers: Mapping[str, str]
    token: Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Due:
    """A scheduled command whose time has come: its id and run. ``token`` is the queue's own."""

    id: str
    run: int
    token: Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Later:
    """A command to be due ``at`` (to the second; one in the past at once)."""

    id: str
    run: int
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Publication:
    """An event to publish; ``kind`` None is a dead letter. ``headers`` are the correlation headers to pass on.

    ``since``: it may have been published already, at that time at the earliest (by a run that was killed, or an attempt
    whose acknowledgement was lost): looked up in the stream before it is published. None: it never was tried.
    """

    channel: str
    kind: EventKind | None
    event: Event
    message_id: str
    headers: Mapping[str, str]
    since: datetime | None = None


class ClinicBus(Protocol):
    """The NATS account of one clinic: its streams, consumers and buckets exist."""

    async def fetch(self, channel: str, limit: int) -> Sequence[Fetched]:
        """At most ``limit`` commands for ``channel``, high before normal before bulk; waits until there is one.

        Raises:
            BusUnavailableError: NATS is away.
        """

    async def settle(self, items: Sequence[Fetched | Due], *, taken: bool) -> None:
        """Tell the queue that we own these now, or that we don't: then they come again at once, instead of after the
        time in which they could have been acknowledged. Whatever is lost of it only makes some come again.

        Raises:
            BusUnavailableError
        """

    async def schedule(self, channel: str, later: Sequence[Later]) -> None:
        """Have these given out by ``due`` at their times; repeating it changes nothing.

        Raises:
            BusUnavailableError: repeat it.
        """

    async def unschedule(self, channel: str, ids: Sequence[str]) -> None:
        """Take these schedules back; harmless for one that is not there. Raises BusUnavailableError."""

    async def due(self, channel: str, limit: int) -> Sequence[Due]:
        """Scheduled commands whose time has come; waits until there is one. Each comes again until it is settled.

        Raises:
            BusUnavailableError: NATS is away.
        """

    async def publish(self, batch: Sequence[Publication]) -> None:
        """Publish in this order and return when all are stored.

        Raises:
            BusUnavailableError: some may not have been stored; repeat the batch, with ``since`` set.
            InvalidInputError: the first that is not stored yet can never be (it is too large): ``field`` is its
                ``message_id``. Those before it are stored; of those after it, repeat them with ``since`` set.
        """

    async def enqueue(self, channel: str, priority: Priority, body: bytes, headers: Mapping[str, str]) -> None:
        """Put a send command on the work queue as any service would; returns when it is stored.

        Raises:
            BusUnavailableError: it may not have been stored; repeat it with the same id.
        """

    async def put_media(self, name: str, data: bytes, *, mime: str) -> None:
        """Store media of an inbound message in the Object Store under ``name``.

        Raises:
            InvalidInputError: the store is full; names ``media``.
            BusUnavailableError
        """

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
        """Delete the consumers, the leftover commands and the schedules of a channel that is no longer wanted; those of
        one that is still served go once it is not.

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

    def clinic(self, clinic: str) -> ClinicBus:
        """The clinic's bus if it is open: what is asked of a clinic that stops must not open it again.

        Raises:
            BusUnavailableError: it is not open.
        """

    async def close_clinic(self, clinic: str, *, forget: bool) -> None:
        """Disconnect, giving back what was fetched and is not settled; ``forget`` also removes the account with all it
        holds (embedded broker only)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What the registry wants to run, whole, as it was at ``revision``: every change up to that one is in it."""

    clinics: Mapping[str, ClinicRecord]
    channels: Mapping[tuple[str, str], ChannelRecord]
    revision: int = 0


class Registry(Protocol):
    """The JetStream KV bucket of wanted clinics and channels."""

    async def watch(self, deliver: Callable[[Wanted], None]) -> None:
        """Call ``deliver`` on the loop's thread with the whole at first, and again after every change; never returns.

        Survives reconnections by itself.
        """

    async def create_clinic(self, record: ClinicRecord) -> None:
        """Raises AlreadyExistsError, BusUnavailableError, and ConflictError: one of this name is being erased."""

    async def create_channel(self, record: ChannelRecord) -> None:
        """Raises AlreadyExistsError, NotFoundError (its clinic), BusUnavailableError."""

    async def want_channel(self, clinic: str, channel: str, wanted: WantedState) -> None:
        """Change what is wanted of a channel. Raises NotFoundError, BusUnavailableError."""

    async def configure_channel(
        self, clinic: str, channel: str, config: Mapping[str, Any] | None, name: str | None = None
    ) -> tuple[ChannelRecord, int]:
        """Put ``config`` in place of the channel's own settings, and call it ``name``; None leaves either as it is.
        Returns the record and its revision.

        Raises:
            NotFoundError, BusUnavailableError
        """

    async def configure_clinic(self, clinic: str, name: str | None, timezone: str | None) -> tuple[ClinicRecord, int]:
        """Call it ``name``, and put it in ``timezone``; None leaves either as it is. Returns the record and its
        revision.

        Raises:
            NotFoundError, BusUnavailableError
        """

    async def delete_clinic(self, clinic: str) -> None:
        """With its channels. Raises NotFoundError, BusUnavailableError."""

    async def delete_channel(self, clinic: str, channel: str) -> None:
        """Raises NotFoundError, BusUnavailableError."""

    async def withdraw_clinic(self, clinic: str) -> None:
        """It is not wanted any more, until it is put back: so it ends, and nothing of it is cleaned up. Harmless if
        there is none. Raises BusUnavailableError."""

    async def put_clinic(self, record: ClinicRecord, channels: Sequence[ChannelRecord]) -> None:
        """Have a clinic wanted that is not, from its first moment with exactly these channels.

        Raises:
            AlreadyExistsError, BusUnavailableError: it may be repeated.
            ConflictError: one of this name is being erased.
        """
