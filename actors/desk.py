"""The desk: what operators and services may ask, carried to the actors. Implements ``protocol.interfaces.Operations``.

Runs on the loop. Looks at the board, writes the registry, asks channels with a timeout; never blocks.
"""

import asyncio
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any, Final, TypeVar, cast
from zoneinfo import available_timezones

import msgspec

from actors.board import Board
from actors.channel.requests import Connect, Disconnect, Logout, Pair, Resume, ShowQr, Suspend
from actors.reconciler import channel_name, channels_name
from actors.registrar import CLINICS
from protocol.bus import Bus, Registry
from protocol.channel import (
    ChannelRecord,
    ChannelSnapshot,
    ChannelState,
    ClinicRecord,
    ClinicSnapshot,
    ClinicState,
    PairingCode,
    QrCode,
    WantedState,
)
from protocol.commands import parse, unsupported, utc_now
from protocol.errors import (
    BusUnavailableError,
    ConflictError,
    InvalidAddressError,
    InvalidInputError,
    NotFoundError,
    UnavailableError,
)
from protocol.ids import Address, check_name
from protocol.subjects import Priority
from supervisor.actor import NoAnswerError, ask
from supervisor.api import Refused, RestartChild, Why
from supervisor.names import Names

T = TypeVar("T")
ASK_TIMEOUT_S: Final = 5.0
PAIR_TIMEOUT_S: Final = 45.0
LOGOUT_TIMEOUT_S: Final = 45.0
APPEAR_TIMEOUT_S: Final = 30.0
MOST_NAME: Final = 120

_UNWELL: Final = frozenset({ChannelState.RECONNECTING, ChannelState.ERROR, ChannelState.LOGGED_OUT})


class Desk:
    """One for the node."""

    def __init__(self, board: Board, names: Names, registry: Registry, bus: Bus, *, most_channels: int) -> None:
        self._board = board
        self._names = names
        self._registry = registry
        self._bus = bus
        self._most_channels = most_channels

    # -- clinics --

    async def clinics(self) -> Sequence[ClinicSnapshot]:
        """All, by id."""
        return [self._counted(snapshot) for snapshot in self._board.clinics()]

    async def clinic(self, clinic: str) -> ClinicSnapshot:
        """One; raises NotFoundError."""
        snapshot = self._board.clinic(clinic)
        if snapshot is None:
            raise NotFoundError(f"clinic {clinic}")
        return self._counted(snapshot)

    async def add_clinic(self, id: str, name: str, timezone: str | None = None) -> ClinicSnapshot:
        """Register it, and wait until it is there."""
        zone = timezone or "America/Sao_Paulo"
        if zone not in available_timezones():
            raise InvalidInputError("timezone", "an IANA time zone such as America/Sao_Paulo")
        record = ClinicRecord(
            id=check_name("id", id), name=_display_name(name or id), timezone=zone, created_at=utc_now()
        )
        await self._registry.create_clinic(record)
        return self._counted(await self._until(lambda: self._board.clinic(id), f"clinic {id} is registered"))

    async def remove_clinic(self, clinic: str) -> None:
        """Take it out of the registry, and wait until it has ended."""
        await self._registry.delete_clinic(clinic)
        await self._until(lambda: self._board.clinic(clinic) is None or None, f"clinic {clinic} is being removed")

    async def release_clinic(self, clinic: str) -> ClinicSnapshot:
        """Let a quarantined clinic out."""
        snapshot = await self.clinic(clinic)
        if snapshot.state is not ClinicState.QUARANTINED:
            raise ConflictError(f"clinic {clinic} is {snapshot.state}: only a quarantined one can be released")
        await self._release(CLINICS, clinic, f"clinic {clinic}")
        return self._counted(await self._until(lambda: self._released(clinic), f"clinic {clinic} is released"))

    def _released(self, clinic: str) -> ClinicSnapshot | None:
        snapshot = self._board.clinic(clinic)
        return None if snapshot is None or snapshot.state is ClinicState.QUARANTINED else snapshot

    async def _release(self, supervisor: str, child: str, what: str) -> None:
        ref = self._names.whereis(supervisor)
        if ref is None:
            raise UnavailableError(f"{what} is starting; try again")
        try:
            answer = await ask(ref, RestartChild(child), timeout=ASK_TIMEOUT_S)
        except NoAnswerError as error:
            raise UnavailableError(f"{what}: {error}") from error
        match answer:
            case Refused(why=Why.START_FAILED, detail=reason):
                raise ConflictError(f"{what} fails at its start: {reason}")
            case Refused():
                raise UnavailableError(f"{what} is starting; try again")

    def _counted(self, snapshot: ClinicSnapshot) -> ClinicSnapshot:
        channels = Counter(str(channel.state) for channel in self._board.channels(snapshot.id))
        state, reason = snapshot.state, snapshot.reason
        unwell = sum(count for name, count in channels.items() if name in _UNWELL)
        if state is ClinicState.RUNNING and unwell:
            state, reason = ClinicState.DEGRADED, f"{unwell} of {channels.total()} channels need attention"
        return msgspec.structs.replace(snapshot, channels=dict(channels), state=state, reason=reason)

    # -- channels --

    async def channels(self, clinic: str | None = None) -> Sequence[ChannelSnapshot]:
        """All, or a clinic's."""
        if clinic is not None:
            await self.clinic(clinic)
        return self._board.channels(clinic)

    async def channel(self, clinic: str, channel: str) -> ChannelSnapshot:
        """One; raises NotFoundError."""
        snapshot = self._board.channel(clinic, channel)
        if snapshot is None:
            raise NotFoundError(f"channel {clinic}/{channel}")
        return snapshot

    async def add_channel(self, clinic: str, id: str, name: str | None = None) -> ChannelSnapshot:
        """Register it, and wait until it is there."""
        check_name("id", id)
        await self.clinic(clinic)
        if len(self._board.channels(clinic)) >= self._most_channels:
            raise ConflictError(f"clinic {clinic} has {self._most_channels} channels, as many as it may")
        record = ChannelRecord(clinic=clinic, id=id, name=_display_name(name or id), created_at=utc_now())
        await self._registry.create_channel(record)
        return await self._until(lambda: self._board.channel(clinic, id), f"channel {clinic}/{id} is registered")

    async def remove_channel(self, clinic: str, channel: str) -> None:
        """Take it out of the registry, and wait until it has ended."""
        await self._registry.delete_channel(clinic, channel)
        waiting = f"channel {clinic}/{channel} is being removed"
        await self._until(lambda: self._board.channel(clinic, channel) is None or None, waiting)

    async def connect(self, clinic: str, channel: str) -> ChannelSnapshot:
        """Open a port now; lets a quarantined channel out."""
        await self.channel(clinic, channel)
        if self._names.whereis(channel_name(clinic, channel)) is None:
            await self._release(channels_name(clinic), channel, f"channel {clinic}/{channel}")
        return await self._have(clinic, channel, Connect(), WantedState.CONNECTED)

    async def disconnect(self, clinic: str, channel: str) -> ChannelSnapshot:
        """Close the port."""
        return await self._have(clinic, channel, Disconnect(), WantedState.DISCONNECTED)

    async def suspend(self, clinic: str, channel: str) -> ChannelSnapshot:
        """Close the port; no command opens it."""
        return await self._have(clinic, channel, Suspend(), WantedState.SUSPENDED)

    async def resume(self, clinic: str, channel: str) -> ChannelSnapshot:
        """Open a port if it is suspended."""
        return await self._have(clinic, channel, Resume(), WantedState.CONNECTED)

    async def logout(self, clinic: str, channel: str) -> ChannelSnapshot:
        """Unlink the device."""
        return cast(ChannelSnapshot, await self._ask(clinic, channel, Logout(), LOGOUT_TIMEOUT_S))

    async def pair(self, clinic: str, channel: str, phone: str | None) -> PairingCode | QrCode:
        """Begin pairing."""
        if phone is not None:
            address = Address.parse(phone, "phone")
            if address.server != "s.whatsapp.net":
                raise InvalidAddressError(phone, "phone")
            phone = address.user
        code = cast(PairingCode | QrCode, await self._ask(clinic, channel, Pair(phone), PAIR_TIMEOUT_S))
        await self._remember(clinic, channel, WantedState.CONNECTED)
        return code

    async def qr(self, clinic: str, channel: str) -> QrCode:
        """The code to show now."""
        return cast(QrCode, await self._ask(clinic, channel, ShowQr()))

    async def send(self, clinic: str, channel: str, priority: Priority, body: bytes) -> str:
        """Put a valid command on the channel's queue."""
        command = parse(body)
        lacking = unsupported(command)
        if lacking is not None:
            raise InvalidInputError("body", f"something this version supports; it does not support {lacking}")
        await self.channel(clinic, channel)
        bus = await self._bus.open_clinic(clinic)
        await bus.enqueue(channel, priority, body, {})
        return command.id

    async def _have(self, clinic: str, channel: str, request: Any, wanted: WantedState) -> ChannelSnapshot:
        """Done first and remembered then: an operator can stop a channel also while NATS is away. A channel in
        quarantine has no actor: as it is wanted then, it comes out."""
        snapshot = await self.channel(clinic, channel)
        if snapshot.state is ChannelState.ERROR and self._names.whereis(channel_name(clinic, channel)) is None:
            await self._remember(clinic, channel, wanted)
            snapshot = msgspec.structs.replace(snapshot, wanted=wanted)
            self._board.put_channel(snapshot)
            return snapshot
        snapshot = cast(ChannelSnapshot, await self._ask(clinic, channel, request))
        await self._remember(clinic, channel, wanted)
        return snapshot

    async def _remember(self, clinic: str, channel: str, wanted: WantedState) -> None:
        try:
            await self._registry.want_channel(clinic, channel, wanted)
        except BusUnavailableError as error:
            message = f"done, but a restart of the node would not have channel {clinic}/{channel} {wanted}: {error}"
            raise UnavailableError(message) from error

    async def _ask(self, clinic: str, channel: str, request: Any, timeout: float = ASK_TIMEOUT_S) -> Any:
        await self.channel(clinic, channel)
        ref = self._names.whereis(channel_name(clinic, channel))
        if ref is None:
            raise UnavailableError(f"channel {clinic}/{channel} is starting; try again")
        try:
            return await ask(ref, request, timeout=timeout)
        except NoAnswerError as error:
            raise UnavailableError(f"channel {clinic}/{channel}: {error}") from error

    async def _until(self, look: Callable[[], T | None], waiting: str) -> T:
        """Wait until ``look`` finds something on the board."""
        loop = asyncio.get_running_loop()
        changed = asyncio.Event()

        def wake() -> None:
            loop.call_soon_threadsafe(changed.set)

        stop = self._board.listen(wake)
        try:
            async with asyncio.timeout(APPEAR_TIMEOUT_S):
                while (found := look()) is None:
                    await changed.wait()
                    changed.clear()
                return found
        except TimeoutError as error:
            raise UnavailableError(f"{waiting}, but not yet done after {APPEAR_TIMEOUT_S:g} s") from error
        finally:
            stop()


def _display_name(name: str) -> str:
    if not 0 < len(name) <= MOST_NAME or not name.isprintable():
        raise InvalidInputError("name", f"1 to {MOST_NAME} printable characters")
    return name
