"""The part of the desk that is about channels: which there are, how they are to be, and what they ask WhatsApp."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, cast

from msgspec.structs import replace

from actors.channel.requests import (
    CheckNumbers,
    Connect,
    Disconnect,
    Logout,
    MarkRead,
    Pair,
    Resume,
    ShowPresence,
    ShowQr,
    Suspend,
)
from actors.clinic_desk import display_name
from actors.places import channels_name
from actors.switchboard import Switchboard
from protocol.bus import Registry
from protocol.channel import ChannelRecord, ChannelSnapshot, ChannelState, PairingCode, QrCode, WantedState
from protocol.commands import utc_now
from protocol.errors import (
    AlreadyExistsError,
    BusUnavailableError,
    ConflictError,
    InvalidAddressError,
    InvalidInputError,
    UnavailableError,
)
from protocol.ids import Address, check_name
from protocol.operations import LONGEST_WA_ID, MOST_PHONES, MOST_WA_IDS
from protocol.port import Presence
from protocol.views import NumberChecks

PAIR_TIMEOUT_S: Final = 45.0
LOGOUT_TIMEOUT_S: Final = 45.0
PORT_TIMEOUT_S: Final = 25.0
"""Longer than the port's own deadline (see ``actors.channel.asking``), so that its reason is heard."""
MOST_ASKING: Final = 4
"""Questions to WhatsApp under way in one channel: its port does them one after another."""
_IN_A_CHAT: Final = frozenset({"typing", "paused"})

ConfigCheck = Callable[[Mapping[str, Any]], None]
"""Raises InvalidInputError, naming the setting, for what cannot be a channel's own settings."""


class ChannelDesk:
    """See ``protocol.operations.Operations``."""

    def __init__(
        self,
        switchboard: Switchboard,
        registry: Registry,
        check_config: ConfigCheck,
        *,
        most_channels: Callable[[], int],
    ) -> None:
        self._switchboard = switchboard
        self._registry = registry
        self._check_config = check_config
        self._most_channels = most_channels
        self._asking: Counter[tuple[str, str]] = Counter()

    async def channels(self, clinic: str | None = None) -> Sequence[ChannelSnapshot]:
        """All, or a clinic's, those as well that have not begun. Raises UnavailableError: it is not known yet which
        there are."""
        self._switchboard.wanted()
        if clinic is not None:
            self._switchboard.clinic(clinic)
        return self._switchboard.board.all_channels(clinic)

    async def channel(self, clinic: str, channel: str) -> ChannelSnapshot:
        """One; raises NotFoundError."""
        return self._switchboard.channel(clinic, channel)

    async def add_channel(self, clinic: str, id: str, name: str | None = None) -> ChannelSnapshot:
        """Register it, and wait until it is there; if it is already, exactly so, there is nothing to do."""
        check_name("id", id)
        self._switchboard.clinic(clinic)
        board, waiting, most = self._switchboard.board, f"channel {clinic}/{id} is registered", self._most_channels()
        record = ChannelRecord(clinic=clinic, id=id, name=display_name(name or id), created_at=utc_now())
        there_are = {shown.channel for shown in board.channels(clinic)}
        there_are |= {channel for of, channel in self._switchboard.wanted().channels if of == clinic}
        if id not in there_are and len(there_are) >= most:
            raise ConflictError(f"clinic {clinic} has {most} channels, as many as it may")
        try:
            await self._registry.create_channel(record)
        except AlreadyExistsError:
            there = await self._switchboard.until(
                lambda: self._switchboard.wanted().channels.get((clinic, id)), waiting
            )
            if there.name != record.name:
                raise
        return await self._switchboard.until(lambda: board.channel(clinic, id), waiting)

    async def remove_channel(self, clinic: str, channel: str) -> None:
        """Take it out of the registry, and wait until it has ended."""
        await self._registry.delete_channel(clinic, channel)
        board, waiting = self._switchboard.board, f"channel {clinic}/{channel} is being removed"
        await self._switchboard.until(lambda: board.channel(clinic, channel) is None or None, waiting)

    async def configure(
        self, clinic: str, channel: str, config: Mapping[str, Any] | None, name: str | None = None
    ) -> ChannelSnapshot:
        """Register how it is to be, and wait until it is so, or as somebody else has changed it since: the registrar
        hears of it and has the channel told."""
        if config is not None:
            self._check_config(config)
        if name is not None:
            display_name(name)
        self._switchboard.channel(clinic, channel)
        _, revision = await self._registry.configure_channel(clinic, channel, config, name)

        def applied() -> ChannelSnapshot | None:
            shown, wanted = self._switchboard.channel(clinic, channel), self._switchboard.wanted_since(revision)
            record = None if wanted is None else wanted.channels.get((clinic, channel))
            if record is None or (shown.name, shown.config) != (record.name, record.config):
                return None
            return shown

        return await self._switchboard.until(applied, f"the settings of channel {clinic}/{channel} are registered")

    # -- how it is to be --

    async def connect(self, clinic: str, channel: str) -> ChannelSnapshot:
        """Open a port now; lets a quarantined channel out."""
        self._switchboard.channel(clinic, channel)
        if not self._switchboard.runs(clinic, channel):
            await self._switchboard.release(channels_name(clinic), channel, f"channel {clinic}/{channel}")
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
        """Unlink the device, or forget the session of a channel that is suspended or in error."""
        return cast(ChannelSnapshot, await self._switchboard.ask(clinic, channel, Logout(), LOGOUT_TIMEOUT_S))

    async def pair(self, clinic: str, channel: str, phone: str | None) -> PairingCode | QrCode:
        """Begin pairing."""
        request = Pair(None if phone is None else _digits(phone, "phone"))
        code = cast(PairingCode | QrCode, await self._switchboard.ask(clinic, channel, request, PAIR_TIMEOUT_S))
        await self._remember(clinic, channel, WantedState.CONNECTED)
        return code

    async def qr(self, clinic: str, channel: str) -> QrCode:
        """The code to show now."""
        return cast(QrCode, await self._switchboard.ask(clinic, channel, ShowQr()))

    async def _have(self, clinic: str, channel: str, request: Any, wanted: WantedState) -> ChannelSnapshot:
        """Done first and remembered then: an operator can stop a channel also while NATS is away. A channel in
        quarantine has no actor: as it is wanted then, it comes out."""
        snapshot = self._switchboard.channel(clinic, channel)
        if snapshot.state is ChannelState.ERROR and not self._switchboard.runs(clinic, channel):
            await self._remember(clinic, channel, wanted)
            snapshot = replace(snapshot, wanted=wanted)
            self._switchboard.board.put_channel(snapshot)
            return snapshot
        snapshot = cast(ChannelSnapshot, await self._switchboard.ask(clinic, channel, request))
        await self._remember(clinic, channel, wanted)
        return snapshot

    async def _remember(self, clinic: str, channel: str, wanted: WantedState) -> None:
        try:
            await self._registry.want_channel(clinic, channel, wanted)
        except BusUnavailableError as error:
            message = f"done, but a restart of the node would not have channel {clinic}/{channel} {wanted}: {error}"
            raise UnavailableError(message) from error

    # -- WhatsApp --

    async def check(self, clinic: str, channel: str, phones: Sequence[str]) -> NumberChecks:
        """Which of these numbers are on WhatsApp; each is answered once."""
        if not 0 < len(phones) <= MOST_PHONES:
            raise InvalidInputError("phones", f"1 to {MOST_PHONES} numbers, got {len(phones)}")
        digits = dict.fromkeys(_digits(phone, f"phones[{index}]") for index, phone in enumerate(phones))
        return cast(NumberChecks, await self._ask_port(clinic, channel, CheckNumbers(tuple(digits))))

    async def mark_read(self, clinic: str, channel: str, chat: str, wa_ids: Sequence[str], sender: str | None) -> None:
        """Tell the chat that we have read these messages."""
        if not 0 < len(wa_ids) <= MOST_WA_IDS:
            raise InvalidInputError("wa_ids", f"1 to {MOST_WA_IDS} ids of messages, got {len(wa_ids)}")
        for index, wa_id in enumerate(wa_ids):
            if not 0 < len(wa_id) <= LONGEST_WA_ID:
                raise InvalidInputError(f"wa_ids[{index}]", f"1 to {LONGEST_WA_ID} characters")
        where = Address.parse(chat, "chat")
        if sender is None and where.server == "g.us":
            raise InvalidInputError("sender", "the author of the messages, for a group")
        author = where if sender is None else Address.parse(sender, "sender")
        await self._ask_port(clinic, channel, MarkRead(str(where), str(author), tuple(wa_ids)))

    async def presence(self, clinic: str, channel: str, presence: Presence, chat: str | None) -> None:
        """Show the account as available or not, or as typing in a chat."""
        if (presence in _IN_A_CHAT) != (chat is not None):
            expected = "a number or JID" if presence in _IN_A_CHAT else "nothing"
            raise InvalidInputError("chat", f"{expected}, for presence {presence}")
        where = None if chat is None else str(Address.parse(chat, "chat"))
        await self._ask_port(clinic, channel, ShowPresence(presence, where))

    async def _ask_port(self, clinic: str, channel: str, request: CheckNumbers | MarkRead | ShowPresence) -> Any:
        key = (clinic, channel)
        if self._asking[key] >= MOST_ASKING:
            raise UnavailableError(f"channel {clinic}/{channel} asks WhatsApp {MOST_ASKING} things already; try again")
        self._asking[key] += 1
        try:
            return await self._switchboard.ask(clinic, channel, request, PORT_TIMEOUT_S)
        finally:
            self._asking[key] -= 1
            if not self._asking[key]:
                del self._asking[key]


def _digits(phone: str, field: str) -> str:
    """The digits of a phone number in any of its forms. Raises InvalidAddressError."""
    address = Address.parse(phone, field)
    if address.server != "s.whatsapp.net":
        raise InvalidAddressError(phone, field)
    return address.user
