"""What passes over NATS, as tables: each kind of message with its type, and a sample for who reads the contract."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Final

from msgspec import Struct

from gateway.nats.requests import (
    Body,
    Channels,
    CheckBody,
    CommandBody,
    MarkReadBody,
    PairBody,
    PresenceBody,
)
from protocol.channel import Breaker, ChannelSnapshot, ChannelState, PairingCode, QrCode, WantedState
from protocol.codes import ErrorCode
from protocol.commands import SendCommand
from protocol.events import (
    DeadLetter,
    ErrorBody,
    Event,
    FailedAttempt,
    GapEvent,
    LostMessage,
    MessageEvent,
    QrEvent,
    ReceiptEvent,
    ResultEvent,
    StateEvent,
)
from protocol.subjects import ClinicVerb, EventKind, Priority, Verb
from protocol.views import (
    ChannelStats,
    ClinicStats,
    CommandState,
    CommandView,
    NumberCheck,
    NumberChecks,
)

EVENTS: Final[Mapping[EventKind, type[Event]]] = {
    EventKind.MESSAGE: MessageEvent,
    EventKind.RECEIPT: ReceiptEvent,
    EventKind.RESULT: ResultEvent,
    EventKind.STATE: StateEvent,
    EventKind.QR: QrEvent,
    EventKind.GAP: GapEvent,
}
"""The type of the body on ``event.<kind>``."""

VERBS: Final[Mapping[Verb | ClinicVerb, str]] = {
    Verb.STATUS: "The channel as it is now",
    Verb.CONNECT: "Open a port now; on a live channel, replace it; lets a quarantined one out",
    Verb.DISCONNECT: "Close the port until connect, also over a restart of the node",
    Verb.SUSPEND: "Close the port until resume or connect; commands wait meanwhile",
    Verb.RESUME: "Open a port if the channel is suspended",
    Verb.LOGOUT: "Unlink the device: the number has to be paired again",
    Verb.PAIR: "Begin pairing, by QR code or by a code typed on a phone",
    Verb.QR: "The QR code to show now",
    Verb.CHECK: "Which numbers are on WhatsApp",
    Verb.MARK_READ: "Tell a chat that we have read these messages",
    Verb.PRESENCE: "Show the account as available or not, or as typing in a chat",
    Verb.COMMAND: "A command with its history",
    Verb.CANCEL: "End a command that waits or is scheduled",
    Verb.RELEASE: "Send a held command in a new run",
    Verb.REPLAY: "Send a failed command (a dead letter) in a new run",
    Verb.DISCARD: "Put a failed or held command away",
    ClinicVerb.CHANNELS: "The clinic's channels as they are now",
    ClinicVerb.STATS: "What the clinic's channels hold",
}
"""What each request is for."""

_AT: Final = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
_SOON: Final = _AT + timedelta(minutes=1)
_PATIENT: Final = "5511999990000@s.whatsapp.net"
_WA_ID: Final = "3EB0C431C26A1916E07A"
_FAILED: Final = ErrorBody.of(ErrorCode.NOT_ON_WHATSAPP, ErrorCode.NOT_ON_WHATSAPP.meaning)
_CHANNEL: Final = ChannelSnapshot(
    clinic="acme",
    channel="reception",
    name="Recepção",
    wanted=WantedState.CONNECTED,
    state=ChannelState.CONNECTED,
    reason="connected",
    since=_AT,
    phone="5511900000001",
    jid="5511900000001@s.whatsapp.net",
    profile_name="Clínica Acme",
    attempt=0,
    next_retry_at=None,
    breaker=Breaker.CLOSED,
    sending_breaker=Breaker.CLOSED,
    queued=0,
    created_at=_AT,
    last_connected_at=_AT,
    last_activity_at=_SOON,
    config={},
)

SAMPLES: Final[Mapping[type[Struct], Struct]] = {
    type(sample): sample
    for sample in (
        SendCommand(
            v=1,
            id="reminder-17",
            to="5511999990000",
            type="text",
            text="Sua consulta é amanhã às 10 h",
            expires_at=_AT + timedelta(hours=12),
            deliver_by=_AT + timedelta(hours=6),
            meta={"appointment": 17},
        ),
        MessageEvent(
            clinic="acme",
            channel="reception",
            wa_id=_WA_ID,
            chat=_PATIENT,
            from_=_PATIENT,
            from_phone="5511999990000",
            from_lid=None,
            push_name="Maria",
            is_group=False,
            from_me=False,
            backlog=False,
            at=_AT,
            type="text",
            text="Posso remarcar?",
        ),
        ReceiptEvent(
            clinic="acme",
            channel="reception",
            wa_id=_WA_ID,
            id="reminder-17",
            type="read",
            chat=_PATIENT,
            from_=_PATIENT,
            at=_SOON,
            meta={"appointment": 17},
        ),
        ResultEvent(
            clinic="acme",
            channel="reception",
            id="reminder-17",
            status="sent",
            wa_id=_WA_ID,
            to=_PATIENT,
            attempts=1,
            queued_at=_AT,
            sent_at=_SOON,
            meta={"appointment": 17},
        ),
        StateEvent(
            clinic="acme",
            channel="reception",
            state=ChannelState.RECONNECTING,
            previous=ChannelState.CONNECTED,
            reason="connection lost",
            since=_AT,
            attempt=1,
            next_retry_at=_SOON,
            breaker=Breaker.CLOSED,
        ),
        QrEvent(clinic="acme", channel="reception", code="2@made-up,made-up,made-up", expires_at=_SOON),
        GapEvent(
            clinic="acme",
            channel="reception",
            since=_AT,
            until=_SOON,
            announced=3,
            arrived=2,
            undecryptable=0,
            lost=[LostMessage(wa_id=_WA_ID, chat=_PATIENT, from_=_PATIENT)],
        ),
        DeadLetter(
            clinic="acme",
            channel="reception",
            id="reminder-18",
            error=_FAILED,
            attempts=1,
            at=_SOON,
            body=b'{"v":1,"id":"reminder-18","to":"5511999990001","type":"text","text":"Bom dia"}',
            history=[FailedAttempt(run=1, number=1, at=_SOON, error=_FAILED)],
        ),
        Body(),
        PairBody(phone="5511900000001"),
        CheckBody(phones=["5511999990000"]),
        MarkReadBody(chat=_PATIENT, ids=[_WA_ID]),
        PresenceBody(presence="typing", chat=_PATIENT),
        CommandBody(id="reminder-17"),
        _CHANNEL,
        Channels(items=[_CHANNEL]),
        PairingCode(code="ABCD-2345", phone="5511900000001", expires_at=_SOON),
        QrCode(code="2@made-up,made-up,made-up", expires_at=_SOON),
        NumberChecks(items=[NumberCheck(phone="5511999990000", on_whatsapp=True, jid=_PATIENT)]),
        CommandView(
            id="reminder-17",
            run=1,
            state=CommandState.SENT,
            priority=Priority.NORMAL,
            to=_PATIENT,
            type="text",
            attempts=1,
            queued_at=_AT,
            sent_at=_SOON,
            wa_id=_WA_ID,
        ),
        ClinicStats(
            clinic="acme",
            channels=[ChannelStats(channel="reception", commands={CommandState.SENT: 12}, spooled=0)],
            database_bytes=1 << 20,
            database_limit=1 << 30,
        ),
    )
}
"""One of each type that is a whole body."""
