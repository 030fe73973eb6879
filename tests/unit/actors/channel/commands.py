"""Commands as the ledger gives them out."""

from datetime import UTC, datetime
from typing import Any

from protocol.commands import SendCommand
from protocol.ledger import Accepted
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
    **fields: Any,
) -> Accepted:
    fields = {"type": "text", "text": "Olá"} | fields
    return Accepted(
        channel="reception",
        command=SendCommand(v=1, id=id, to=to, **fields),
        run=1,
        priority=priority,
        attempts=attempts,
        uncertain=uncertain,
        queued_at=AT,
        headers=headers or {},
    )


def failed(code: str, message: str = "why") -> Failed:
    return Failed(code=code, message=message)


def ids(commands: Any) -> list[str]:
    return [one.command.id for one in commands]
