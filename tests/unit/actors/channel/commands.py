"""Commands as the ledger gives them out."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

from actors.channel.life import Now
from actors.channel.parcel import Parcel
from protocol.commands import SendCommand
from protocol.ledger import STRANGER, Accepted, Contact
from protocol.port import Failed, Sent
from protocol.subjects import Priority

AT = datetime(2026, 1, 1, tzinfo=UTC)
SENT = Sent(wa_id="WA", at=AT)


def accepted(
    id: str,
    to: str = "5511988887777",
    *,
    priority: Priority = Priority.NORMAL,
    attempts: int = 0,
    uncertain: bool = False,
    headers: dict[str, str] | None = None,
    contact: Contact = STRANGER,
    secret: bytes | None = None,
    wa_id: str | None = None,
    run: int = 1,
    **fields: Any,
) -> Accepted:
    fields = {"type": "text", "text": "Olá"} | fields
    return Accepted(
        channel="reception",
        command=SendCommand(v=1, id=id, to=to, **fields),
        run=run,
        priority=priority,
        attempts=attempts,
        uncertain=uncertain,
        queued_at=AT,
        headers=headers or {},
        contact=contact,
        secret=secret,
        wa_id=wa_id,
    )


def failed(code: str, message: str = "why") -> Failed:
    return Failed(code=code, message=message)


def ids(commands: Any) -> list[str]:
    return [one.command.id for one in commands]


def names(parcels: Iterable[Parcel]) -> list[str]:
    return [parcel.id for parcel in parcels]


def at(seconds: float) -> Now:
    """So many seconds after the test began."""
    return Now(AT + timedelta(seconds=seconds), seconds)
