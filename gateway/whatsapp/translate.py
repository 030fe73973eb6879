"""neonize's events as ours: one total table.

Every event type of neonize is in ``TABLE``: with the function that translates it, or with the reason why it is not
subscribed. Not subscribing matters: an event that neonize cannot encode makes ``connect()`` raise and ends delivery.

``ReceiptEv`` can do that (a type it does not know) and is subscribed all the same, because delivered and read receipts
come no other way; the port then ends with what was raised and its channel opens another. So can ``ConnectFailureEv``
(reasons 408, 411, 415, 418, 429, 440, 515 and unknown ones), and that is an advantage: whatsmeow does not dial again
after them, and without the subscription nobody would ever hear of it. ``TemporaryBanEv`` with a code that is not in
neonize's list raises too; ``from_raised`` makes a ``Banned`` of it, so that a banned account is not dialled for ever.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final, Literal

from gateway.whatsapp import content
from gateway.whatsapp.content import Content
from gateway.whatsapp.jids import bare_jid
from gateway.whatsapp.journal import Inbound
from gateway.whatsapp.library import events, proto
from gateway.whatsapp.strangers import maybe_name, name, seconds
from protocol.port_events import (
    MOST_IDS,
    AlreadyDecrypted,
    BacklogAnnounced,
    BacklogDelivered,
    Banned,
    Connected,
    ConnectRefused,
    Disconnected,
    KeepAliveMissed,
    KeepAliveRestored,
    LoggedOut,
    MessageReceived,
    Outdated,
    PairingFailed,
    PairingSucceeded,
    PortEvent,
    ReceiptReceived,
    Replaced,
    StoreUnusable,
    StreamFailed,
    Undecryptable,
)

PHONE_SERVER: Final = "s.whatsapp.net"
LID_SERVER: Final = "lid"

PairingStatus = Literal["timeout", "client_outdated", "refused", "unexpected"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """What an event does not say itself. ``own`` asks the library (only ever from within a callback, when the client
    is registered); ``backlog_before``: messages up to this moment waited for us; None once the backlog is through."""

    own: Callable[[], Any]
    backlog_before: datetime | None


@dataclass(frozen=True, slots=True)
class NotSubscribed:
    """Why an event type is not subscribed."""

    why: str


Translate = Callable[[Any, Context], PortEvent | Inbound | None]


# -- sessions --


def _pair_status(event: Any, context: Context) -> PortEvent | None:
    if event.Status != proto.PairStatus.SUCCESS:
        return None
    own = context.own()
    return PairingSucceeded(jid=jid_text(event.ID), lid=jid_text(own.LID))


def _connected(_: Any, context: Context) -> PortEvent:
    own = context.own()
    return Connected(
        jid=jid_text(own.JID),
        lid=jid_text(own.LID) if own.LID.User else None,
        phone=own.JID.User,
        profile_name=maybe_name(own.PushName),
    )


def _logged_out(event: Any, _: Context) -> PortEvent:
    if not event.HasField("Reason"):
        return LoggedOut(reason="device_removed")
    return LoggedOut(reason=proto.ConnectFailureReason.Name(event.Reason).lower())


_BAN_CODES: Final[Mapping[int, int]] = {
    proto.TemporaryBan.SEND_TO_TOO_MANY_PEOPLE: 101,
    proto.TemporaryBan.BLOCKED_BY_USERS: 102,
    proto.TemporaryBan.CREATED_TOO_MANY_GROUPS: 103,
    proto.TemporaryBan.SENT_TOO_MANY_SAME_MESSAGE: 104,
    proto.TemporaryBan.BROADCAST_LIST: 106,
}
"""neonize numbers the reasons anew; these are WhatsApp's own codes."""


def _banned(event: Any, _: Context) -> PortEvent:
    return Banned(code=_BAN_CODES.get(event.Code, 0), expires_in_s=seconds(event.Expire))


def _refused(event: Any, _: Context) -> PortEvent:
    return ConnectRefused(reason=proto.ConnectFailureReason.Name(event.Reason).lower())


def _backlog_announced(event: Any, _: Context) -> PortEvent:
    return BacklogAnnounced(messages=event.Message, receipts=event.Receipts)


# -- messages --


def _message(event: Any, context: Context) -> MessageReceived | None:
    info = event.Info
    if info.Category == "peer":
        return None
    try:
        said = content.read(event.Message)
    except Exception:  # noqa: BLE001 - WhatsApp has been told that we have it: better without text than not at all
        said = content.UNKNOWN
    if said is None:
        return None
    return _received(info, said, context)


def _received(info: Any, said: Content, context: Context) -> MessageReceived:
    source = info.MessageSource
    at = from_ms(info.Timestamp)
    return MessageReceived(
        wa_id=name(info.ID),
        chat=bare(source.Chat),
        sender=bare(source.Sender),
        sender_phone=_on(PHONE_SERVER, source, lambda jid: name(jid.User)),
        sender_lid=_on(LID_SERVER, source, bare),
        push_name=maybe_name(info.Pushname),
        is_group=source.IsGroup,
        from_me=source.IsFromMe,
        backlog=context.backlog_before is not None and at <= context.backlog_before,
        at=at,
        type=said.type,
        text=said.text,
        media=said.media,
        quote=said.quote,
        target=said.target,
        edited=said.edited,
        revoked=said.revoked,
        forwarded=said.forwarded,
    )


def _on(server: str, source: Any, take: Callable[[Any], str]) -> str | None:
    return next((take(jid) for jid in (source.Sender, source.SenderAlt) if jid.Server == server and jid.User), None)


_RECEIPT_KINDS: Final[Mapping[int, Literal["delivered", "read", "played"]]] = {
    proto.Receipt.DELIVERED: "delivered",
    proto.Receipt.READ: "read",
    proto.Receipt.PLAYED: "played",
}
"""The others are between our own devices (sender, read-self, peer, history), ask for a retry, which whatsmeow answers,
or tell of a device that does not show it (inactive)."""


def _receipt(event: Any, _: Context) -> ReceiptReceived | None:
    kind = _RECEIPT_KINDS.get(event.Type)
    source = event.MessageSource
    if kind is None or source.IsFromMe:
        return None
    return ReceiptReceived(
        wa_ids=[name(each) for each in event.MessageIDs[:MOST_IDS]],
        chat=bare(source.Chat),
        sender=bare(source.Sender),
        kind=kind,
        at=from_s(event.Timestamp),
    )


def _undecryptable(event: Any, _: Context) -> Undecryptable:
    source = event.Info.MessageSource
    return Undecryptable(
        wa_id=name(event.Info.ID), chat=bare(source.Chat), sender=bare(source.Sender), at=from_ms(event.Info.Timestamp)
    )


_UNUSED: Final = NotSubscribed("nothing here needs it")
_POISON: Final = NotSubscribed("needed by nothing, and neonize cannot encode all of its values")

TABLE: Final[Mapping[Any, Translate | NotSubscribed]] = {
    events.PairStatusEv: _pair_status,
    events.ConnectedEv: _connected,
    events.KeepAliveTimeoutEv: lambda event, _: KeepAliveMissed(count=event.ErrorCount),
    events.KeepAliveRestoredEv: lambda _event, _: KeepAliveRestored(),
    events.LoggedOutEv: _logged_out,
    events.StreamReplacedEv: lambda _event, _: Replaced(),
    events.TemporaryBanEv: _banned,
    events.ConnectFailureEv: _refused,
    events.ClientOutdatedEv: lambda _event, _: Outdated(),
    events.StreamErrorEv: lambda event, _: StreamFailed(code=name(event.Code)),
    events.DisconnectedEv: lambda _event, _: Disconnected(),
    events.MessageEv: _message,
    events.ReceiptEv: _receipt,
    events.OfflineSyncPreviewEv: _backlog_announced,
    events.OfflineSyncCompletedEv: lambda event, _: BacklogDelivered(count=event.Count),
    events.UndecryptableMessageEv: _undecryptable,
    events.Device: NotSubscribed("always sent, first of all events; who we are is asked for when it is needed"),
    events.QREv: NotSubscribed("delivered only after pairing; the QR callback has the codes"),
    events.ChatPresenceEv: _POISON,
    events.BlocklistEv: _POISON,
    events.BlocklistChangeEv: _POISON,
    events.PresenceEv: _UNUSED,
    events.HistorySyncEv: NotSubscribed("the history of the phone is none of our business"),
    events.NewsLetterMessageMetaEv: _UNUSED,
    events.JoinedGroupEv: _UNUSED,
    events.GroupInfoEv: _UNUSED,
    events.PictureEv: _UNUSED,
    events.IdentityChangeEv: _UNUSED,
    events.PrivacySettingsEv: _UNUSED,
    events.NewsletterJoinEv: _UNUSED,
    events.NewsletterLeaveEv: _UNUSED,
    events.NewsletterMuteChangeEv: _UNUSED,
    events.NewsletterLiveUpdateEV: _UNUSED,
    events.CallOfferEv: _UNUSED,
    events.CallAcceptEv: _UNUSED,
    events.CallPreAcceptEv: _UNUSED,
    events.CallTransportEv: _UNUSED,
    events.CallOfferNoticeEv: _UNUSED,
    events.CallRelayLatencyEV: _UNUSED,
    events.CallTerminateEv: _UNUSED,
    events.UnknownCallEventEV: _UNUSED,
    events.RotateADVSecretEv: NotSubscribed("the QR callback comes again with the new code"),
}
"""By event class, as in neonize's own ``EVENT_TO_INT``."""

SUBSCRIBED: Final[Mapping[int, tuple[Any, Translate]]] = {
    events.EVENT_TO_INT[kind]: (kind, entry) for kind, entry in TABLE.items() if not isinstance(entry, NotSubscribed)
}
"""By neonize's event code: the class that reads it, and its translation."""

_LOGOUT_REASONS: Final[Mapping[int, str]] = {401: "logged_out", 403: "main_device_gone", 406: "unknown_logout"}

_PAIRING_STATUS: Final[Mapping[str, PairingStatus]] = {
    "timeout": "timeout",
    "err-client-outdated": "client_outdated",
    "error": "refused",
}


def from_status(status: str) -> PairingFailed | None:
    """What the status callback says; None for ``success``, after which ``PairStatusEv`` comes.

    Whatever else there is (``err-unexpected-state``, a passkey request, which neonize cannot answer) is ``unexpected``.
    """
    if status == "success":
        return None
    return PairingFailed(status=_PAIRING_STATUS.get(status, "unexpected"))


_DELETED: Final = re.compile(
    r"Got (?:(?P<reason>\d+): .* connect failure|device removed stream error), sending LoggedOut event"
)


def from_log(line: str) -> LoggedOut | None:
    """What a line of whatsmeow's log says about the end of the session; None for all other lines.

    whatsmeow deletes the session right after it has logged this. neonize, before it delivers the first event, waits for
    a session to be there: if the deletion comes first, it waits for ever, and the event never comes.
    """
    if not (found := _DELETED.match(line)):
        return None
    reason = int(found["reason"] or 0)
    return LoggedOut(reason=_LOGOUT_REASONS.get(reason, "device_removed"))


_IGNORED: Final = re.compile(
    r"Ignoring message (?P<id>\S+) from (?P<sender>\S+?)(?: in (?P<chat>\S+?))?: .*received message with old counter"
)


def already_decrypted(line: str) -> AlreadyDecrypted | None:
    """What a line of whatsmeow's log says about a message that it throws away; None for all other lines.

    whatsmeow stores the ratchet before anybody gets the message. If the process dies in between, WhatsApp delivers it
    again, and whatsmeow, which can't decrypt it a second time, tells WhatsApp that it has it.
    """
    if not (found := _IGNORED.match(line)):
        return None
    sender = name(bare_jid(found["sender"]))
    chat = name(bare_jid(found["chat"])) if found["chat"] else sender
    return AlreadyDecrypted(wa_id=name(found["id"]), chat=chat, sender=sender)


def from_raised(text: str, store: str) -> PortEvent | None:
    """The event that ``connect()`` raised ``text`` instead of, where it must not be lost; ``store`` is the session
    store's path. A ban has no other way to us, and what is wrong with the store no dial will mend."""
    if "neonize.TemporaryBan" in text:
        return Banned(code=0, expires_in_s=0.0)
    if any(words in text for words in _STORE_WORDS):
        return StoreUnusable(reason=f"{store}: {text}")
    return None


_STORE_WORDS: Final = (
    "failed to upgrade database",
    "file is not a database",
    "database disk image is malformed",
    "unable to open database file",
    "attempt to write a readonly database",
    "database or disk is full",
    "disk I/O error",
)
"""SQLite's own words, and whatsmeow's for a store that it can't open (sqlstore/upgrade.go)."""


# -- values --


def jid_text(jid: Any) -> str:
    """A neonize JID with its device, as text."""
    device = f":{jid.Device}" if jid.Device else ""
    return f"{jid.User}{device}@{jid.Server}" if jid.User else str(jid.Server)


def bare(jid: Any) -> str:
    """A neonize JID without its device, as text."""
    return name(f"{jid.User}@{jid.Server}" if jid.User else str(jid.Server))


def from_ms(value: int) -> datetime:
    """A time in milliseconds since the epoch (``MessageInfo``)."""
    return datetime.fromtimestamp(value / 1000, UTC)


def from_s(value: int) -> datetime:
    """A time in seconds since the epoch (receipts, send responses)."""
    return datetime.fromtimestamp(value, UTC)
