"""The table of neonize's events: total, and each row right."""

from datetime import UTC, datetime
from typing import Any

import pytest

from gateway.whatsapp import content, translate
from gateway.whatsapp.journal import Inbound
from gateway.whatsapp.library import e2e, events, proto
from gateway.whatsapp.translate import SUBSCRIBED, TABLE, Context, NotSubscribed
from protocol.port_events import (
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

AT = datetime(2026, 11, 21, 12, tzinfo=UTC)
SECONDS = int(AT.timestamp())


def jid(user: str, server: str, device: int = 0) -> Any:
    return proto.JID(User=user, Server=server, Device=device, RawAgent=0, Integrator=0, IsEmpty=False)


NOBODY = jid("", "")
PHONE, LID = jid("5511", "s.whatsapp.net"), jid("7755", "lid", 4)
ME = proto.Device(JID=jid("5500", "s.whatsapp.net", 7), LID=jid("7700", "lid", 7), PushName="Clinic", Initialized=True)


def source(**fields: Any) -> Any:
    known: dict[str, Any] = {"Chat": LID, "Sender": LID, "SenderAlt": PHONE, "IsFromMe": False, "IsGroup": False}
    return proto.MessageSource(**(known | fields))


def info(**fields: Any) -> Any:
    known: dict[str, Any] = {"ID": "3A", "Pushname": "Ana", "Timestamp": SECONDS * 1000, "MessageSource": source()}
    return proto.MessageInfo(**(known | fields))


def translated(event: Any, *, backlog_before: datetime | None = None) -> PortEvent | Inbound | None:
    entry = TABLE[type(event)]
    assert not isinstance(entry, NotSubscribed)
    return entry(event, Context(own=lambda: ME, backlog_before=backlog_before))


def test_the_table_is_total() -> None:
    assert set(TABLE) == set(events.EVENT_TO_INT)


def test_nothing_is_subscribed_that_is_not_needed() -> None:
    assert {kind for kind, _ in SUBSCRIBED.values()} == {
        events.PairStatusEv,
        events.ConnectedEv,
        events.KeepAliveTimeoutEv,
        events.KeepAliveRestoredEv,
        events.LoggedOutEv,
        events.StreamReplacedEv,
        events.TemporaryBanEv,
        events.ConnectFailureEv,
        events.ClientOutdatedEv,
        events.StreamErrorEv,
        events.DisconnectedEv,
        events.MessageEv,
        events.ReceiptEv,
        events.OfflineSyncPreviewEv,
        events.OfflineSyncCompletedEv,
        events.UndecryptableMessageEv,
    }
    assert all(entry.why for entry in TABLE.values() if isinstance(entry, NotSubscribed))


@pytest.mark.parametrize(
    ("event", "expected"),
    [
        (
            events.PairStatusEv(ID=ME.JID, Status=proto.PairStatus.SUCCESS),
            PairingSucceeded(jid="5500:7@s.whatsapp.net", lid="7700:7@lid"),
        ),
        (events.PairStatusEv(ID=ME.JID, Status=proto.PairStatus.ERROR), None),
        (
            events.ConnectedEv(status=True),
            Connected(jid="5500:7@s.whatsapp.net", lid="7700:7@lid", phone="5500", profile_name="Clinic"),
        ),
        (events.KeepAliveTimeoutEv(ErrorCount=2, LastSuccess=1), KeepAliveMissed(count=2)),
        (events.KeepAliveRestoredEv(), KeepAliveRestored()),
        (events.LoggedOutEv(OnConnect=True, Reason=proto.MAIN_DEVICE_GONE), LoggedOut(reason="main_device_gone")),
        (events.LoggedOutEv(OnConnect=False), LoggedOut(reason="device_removed")),
        (events.StreamReplacedEv(), Replaced()),
        (
            events.TemporaryBanEv(Code=proto.TemporaryBan.BROADCAST_LIST, Expire=90),
            Banned(code=106, expires_in_s=90),
        ),
        (events.ConnectFailureEv(Reason=proto.GENERIC, Message=""), ConnectRefused(reason="generic")),
        (events.ClientOutdatedEv(), Outdated()),
        (events.StreamErrorEv(Code="500"), StreamFailed(code="500")),
        (events.DisconnectedEv(), Disconnected()),
        (events.OfflineSyncPreviewEv(Message=3, Receipts=2), BacklogAnnounced(messages=3, receipts=2)),
        (events.OfflineSyncCompletedEv(Count=5), BacklogDelivered(count=5)),
        (
            events.UndecryptableMessageEv(Info=info()),
            Undecryptable(wa_id="3A", chat="7755@lid", sender="7755@lid", at=AT),
        ),
    ],
)
def test_an_event_is_translated(event: Any, expected: PortEvent | None) -> None:
    assert translated(event) == expected


def test_without_a_lid_or_a_name_there_is_none() -> None:
    entry = TABLE[events.ConnectedEv]
    assert not isinstance(entry, NotSubscribed)
    own = proto.Device(JID=ME.JID, LID=NOBODY)
    connected = entry(events.ConnectedEv(status=True), Context(own=lambda: own, backlog_before=None))
    assert isinstance(connected, Connected)
    assert (connected.lid, connected.profile_name) == (None, None)


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        ("success", None),
        ("timeout", "timeout"),
        ("err-client-outdated", "client_outdated"),
        ("error", "refused"),
        ("err-unexpected-state", "unexpected"),
        ("err-scanned-without-multidevice", "unexpected"),
        ("passkey-request", "unexpected"),
        ("whatever comes next", "unexpected"),
    ],
)
def test_a_pairing_status_is_translated(status: str, expected: str | None) -> None:
    event = translate.from_status(status)
    assert (event.status if isinstance(event, PairingFailed) else None) == expected


def test_a_ban_that_neonize_cannot_encode_is_not_lost() -> None:
    assert translate.from_raised("proto: required field neonize.TemporaryBan.Code not set", "/s.db") == Banned(
        code=0, expires_in_s=0
    )
    assert translate.from_raised("proto: required field neonize.Receipt.Type not set", "/s.db") is None


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("Got 401: logged out from another device connect failure, sending LoggedOut event and deleting", "logged_out"),
        ("Got 403: primary device was logged out connect failure, sending LoggedOut event", "main_device_gone"),
        ("Got 406: logged out for unknown reason connect failure, sending LoggedOut event", "unknown_logout"),
        ("Got device removed stream error, sending LoggedOut event and deleting session", "device_removed"),
        ("Got 503/x connect failure, assuming automatic reconnect will handle it", None),
        ("Successfully authenticated", None),
    ],
)
def test_the_log_tells_when_the_session_is_deleted(line: str, reason: str | None) -> None:
    event = translate.from_log(line)
    assert (event.reason if event else None) == reason


# -- messages --


def message(**fields: Any) -> Any:
    return events.MessageEv(**({"Info": info(), "Message": e2e.Message(conversation="hi")} | fields))


def received(event: Any, *, backlog_before: datetime | None = None) -> MessageReceived:
    result = translated(event, backlog_before=backlog_before)
    assert isinstance(result, MessageReceived)
    return result


def test_a_message_has_all_that_is_known_of_its_sender() -> None:
    assert received(message()) == MessageReceived(
        wa_id="3A",
        chat="7755@lid",
        sender="7755@lid",
        sender_phone="5511",
        sender_lid="7755@lid",
        push_name="Ana",
        is_group=False,
        from_me=False,
        backlog=False,
        at=AT,
        type="text",
        text="hi",
    )
    by_phone = received(message(Info=info(MessageSource=source(Chat=PHONE, Sender=PHONE, SenderAlt=LID))))
    assert (by_phone.chat, by_phone.sender_phone, by_phone.sender_lid) == ("5511@s.whatsapp.net", "5511", "7755@lid")
    hidden = received(message(Info=info(MessageSource=source(SenderAlt=NOBODY), Pushname="")))
    assert (hidden.sender_phone, hidden.sender_lid, hidden.push_name) == (None, "7755@lid", None)


def test_what_our_own_phone_sent_is_from_me() -> None:
    own = received(message(Info=info(MessageSource=source(Sender=ME.LID, IsFromMe=True))))
    assert own.from_me
    assert own.chat == "7755@lid"


@pytest.mark.parametrize(
    ("before", "backlog"), [(None, False), (AT, True), (AT.replace(hour=13), True), (AT.replace(hour=11), False)]
)
def test_what_waited_for_us_is_backlog(before: datetime | None, backlog: bool) -> None:
    assert received(message(), backlog_before=before).backlog is backlog


def test_the_first_half_of_a_group_message_is_not_a_message() -> None:
    key = e2e.Message(senderKeyDistributionMessage=e2e.SenderKeyDistributionMessage(groupID="1@g.us"))
    assert translated(message(Message=key)) is None


def test_talk_with_our_own_phone_is_not_a_message() -> None:
    assert translated(message(Info=info(Category="peer"))) is None


def test_a_message_that_cannot_be_read_comes_without_its_text(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_: Any) -> None:
        raise ValueError("no")

    monkeypatch.setattr(content, "read", fail)
    assert received(message()).type == "unknown"


# -- receipts --


def receipt(kind: int, **fields: Any) -> Any:
    return events.ReceiptEv(
        **({"MessageSource": source(), "MessageIDs": ["A", "B"], "Timestamp": SECONDS, "Type": kind} | fields)
    )


@pytest.mark.parametrize("kind", proto.Receipt.ReceiptType.values())
def test_each_kind_of_receipt_is_told_or_left_out(kind: int) -> None:
    name = proto.Receipt.ReceiptType.Name(kind).lower()
    result = translated(receipt(kind))
    if name in ("delivered", "read", "played"):
        assert result == ReceiptReceived(wa_ids=["A", "B"], chat="7755@lid", sender="7755@lid", kind=name, at=AT)
    else:
        assert result is None


def test_receipts_of_our_own_devices_are_left_out() -> None:
    assert translated(receipt(proto.Receipt.READ, MessageSource=source(IsFromMe=True))) is None


def test_a_store_that_cannot_be_opened_is_said_with_its_file() -> None:
    said = "failed to upgrade database: file is not a database"
    assert translate.from_raised(said, "/s.db") == StoreUnusable(reason=f"/s.db: {said}")


OLD = "failed to decrypt: failed to get or create message keys: received message with old counter (index: 9)"


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (f"Ignoring message 3A from 7755@lid: {OLD}", ("3A", "7755@lid", "7755@lid")),
        (f"Ignoring message 3A from 7755:3@lid in 120@g.us: {OLD}", ("3A", "120@g.us", "7755@lid")),
        ("Ignoring message 3A from 7755@lid: event was already processed", None),
        (f"Error decrypting message 3A from 7755@lid: {OLD}", None),
    ],
)
def test_what_is_thrown_away_is_read_from_the_log(line: str, expected: tuple[str, str, str] | None) -> None:
    found = translate.already_decrypted(line)
    assert (found and (found.wa_id, found.chat, found.sender)) == expected
