"""Offers, results and what comes in, as a channel would make them."""

import hashlib
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from gateway.vault.keys import DataKey
from protocol.codec import Encoding, encode
from protocol.codes import ErrorCode
from protocol.commands import SendCommand, parse
from protocol.events import ErrorBody, ResultEvent, ResultStatus
from protocol.inbound import Claim
from protocol.ledger import Attempt, Changes, Offer, Setback
from protocol.port_events import MessageReceived, ReceiptReceived
from protocol.subjects import Priority

CHANNEL = "recepcao"
PHONE = "5511987654321"
JID = f"{PHONE}@s.whatsapp.net"
QUEUED_AT = datetime(2026, 11, 20, 12, 0, 0, 123456, tzinfo=UTC)
NOW = QUEUED_AT + timedelta(seconds=1)
HEADERS = {"Plantao-Correlation-Id": "visit-7"}
SECRET = b"\x07" * 32


def keys_of(clinic: str) -> list[DataKey]:
    """A clinic's data keys, always the same."""
    return [DataKey(hashlib.sha256(clinic.encode()).digest())]


def later(seconds: float) -> datetime:
    """So long after ``NOW``."""
    return NOW + timedelta(seconds=seconds)


def offer(
    id: str,
    text: str = "Olá",
    *,
    encoding: Encoding = Encoding.JSON,
    after_s: int = 0,
    to: str = PHONE,
    priority: Priority = Priority.NORMAL,
    **more: Any,
) -> Offer:
    """A text message, through the body that a service would publish."""
    command = SendCommand(v=1, id=id, to=to, type="text", text=text, **more)
    body = encode(command, encoding)
    return Offer(
        command=parse(body),
        body=body,
        priority=priority,
        queued_at=QUEUED_AT + timedelta(seconds=after_s),
        headers=HEADERS,
    )


def ended(id: str, status: ResultStatus, *, run: int = 1, code: ErrorCode | None = None, **more: Any) -> ResultEvent:
    """The result of a command."""
    error = None if code is None else ErrorBody.of(code, "in words")
    return ResultEvent(
        clinic="acme",
        channel=CHANNEL,
        id=id,
        run=run,
        status=status,
        to=PHONE,
        error=error,
        queued_at=QUEUED_AT,
        **{"attempts": 1, **more},
    )


def sent(id: str, wa_id: str | None = None, *, run: int = 1, at: datetime = NOW, **more: Any) -> ResultEvent:
    """The result of a command that was sent as ``wa_id``."""
    return ended(id, "sent", run=run, wa_id=wa_id or f"3EB0{id}", sent_at=at, **more)


def failed(id: str, code: ErrorCode = ErrorCode.REJECTED, *, run: int = 1, **more: Any) -> ResultEvent:
    """The result of a command that failed."""
    return ended(id, "failed", run=run, code=code, **more)


def begun(*ids: str, run: int = 1, secret: bytes = SECRET) -> Changes:
    """Attempts that begin."""
    return Changes(begun=[Attempt(id=each, run=run, secret=secret) for each in ids])


def settled(*results: ResultEvent) -> Changes:
    """Runs that are over."""
    return Changes(results=results)


def published(*ids: str, run: int = 1) -> Changes:
    """What NATS has."""
    return Changes(published=[(each, run) for each in ids])


def set_back(
    id: str,
    code: ErrorCode | None = ErrorCode.SERVER_ERROR,
    *,
    run: int = 1,
    spent: bool = True,
    uncertain: bool = False,
    wa_id: str | None = None,
    at: datetime = NOW,
) -> Changes:
    """An attempt that did not end the run."""
    error = None if code is None else ErrorBody.of(code, "in words")
    setback = Setback(id=id, run=run, spent=spent, uncertain=uncertain, at=at, wa_id=wa_id, error=error)
    return Changes(setbacks=[setback])


def message(wa_id: str, text: str = "Oi", *, at: datetime = NOW, sender: str = JID) -> MessageReceived:
    """A text message of a person to us."""
    return MessageReceived(
        wa_id=wa_id,
        chat=sender,
        sender=sender,
        sender_phone=PHONE,
        sender_lid=None,
        push_name="Ana",
        is_group=False,
        from_me=False,
        backlog=False,
        at=at,
        type="text",
        text=text,
    )


def receipt(*wa_ids: str) -> ReceiptReceived:
    """A person has received our messages."""
    return ReceiptReceived(wa_ids=list(wa_ids), chat=JID, sender=JID, kind="delivered", at=NOW)


def claim(key: str, text: str = "Oi", *, people: Sequence[str] = (), opted_out: bool | None = None) -> Claim:
    """A message that came in."""
    return Claim(key=key, what=message(key, text), people=people, opted_out=opted_out)
