"""Offers and results as a channel would make them."""

from datetime import UTC, datetime, timedelta
from typing import Any

from protocol.codec import Encoding, encode
from protocol.commands import SendCommand, parse
from protocol.events import ResultEvent
from protocol.ledger import Offer
from protocol.subjects import Priority

CHANNEL = "recepcao"
PHONE = "5511987654321"
QUEUED_AT = datetime(2026, 11, 20, 12, 0, 0, 123456, tzinfo=UTC)
HEADERS = {"Plantao-Correlation-Id": "visit-7"}


def offer(id: str, text: str = "Olá", *, encoding: Encoding = Encoding.JSON, after_s: int = 0, **more: Any) -> Offer:
    """A text message to ``PHONE``, through the body that a service would publish."""
    command = SendCommand(v=1, id=id, to=PHONE, type="text", text=text, **more)
    body = encode(command, encoding)
    return Offer(
        command=parse(body),
        body=body,
        priority=Priority.NORMAL,
        queued_at=QUEUED_AT + timedelta(seconds=after_s),
        headers=HEADERS,
    )


def sent(id: str, wa_id: str | None = None, run: int = 1) -> ResultEvent:
    """The result of a command that was sent as ``wa_id``."""
    return ResultEvent(
        clinic="acme",
        channel=CHANNEL,
        id=id,
        run=run,
        status="sent",
        wa_id=wa_id or f"3EB0{id}",
        to=PHONE,
        attempts=1,
        queued_at=QUEUED_AT,
        sent_at=QUEUED_AT + timedelta(seconds=1),
    )
