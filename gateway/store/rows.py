"""Commands, results, headers and times as they stand in a row."""

import hashlib
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import msgspec

from protocol.codec import MAX_BODY, decode, encode
from protocol.commands import SendCommand
from protocol.events import ResultEvent
from protocol.ledger import Accepted, Offer, Sender
from protocol.subjects import Priority

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_STORED_LIMIT: Final = 16 * MAX_BODY
"""A body in JSON grows when it is written as msgpack: ``1.5,`` is 4 bytes there and 9 here."""
_TIMES: Final = ("not_before", "expires_at", "deliver_by")
_NESTED: Final = ("media", "reply_to")


def micros(at: datetime) -> int:
    """Whole microseconds from 1970-01-01 UTC to ``at``, which has an offset."""
    return (at - _EPOCH) // timedelta(microseconds=1)


def moment(micros: int) -> datetime:
    """The time that is ``micros`` microseconds after 1970-01-01 UTC."""
    return _EPOCH + timedelta(microseconds=micros)


def content_of(command: SendCommand) -> bytes:
    """A hash (16 bytes) that two commands share if, and only if, they say the same.

    It is taken of the decoded command, so neither the encoding nor the order of fields matters, and a time is the
    instant it names. A field that says nothing is left out: a later version with more fields gives the same hash.
    """
    plain = _stated(msgspec.to_builtins(command))
    for field in _NESTED:
        if field in plain:
            plain[field] = _stated(plain[field])
    for field in _TIMES:
        if field in plain:
            plain[field] = micros(getattr(command, field))
    return hashlib.blake2b(msgspec.json.encode(plain, order="deterministic"), digest_size=16).digest()


def _stated(fields: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value is not None and value is not False and value != []}


def command_row(channel: str, offer: Offer, run: int) -> dict[str, Any]:
    """The parameters of ``insert_command``."""
    return {
        "channel": channel,
        "id": offer.command.id,
        "run": run,
        "content": content_of(offer.command),
        "priority": offer.priority.value,
        "queued_at": micros(offer.queued_at),
        "headers": encode(dict(offer.headers)),
        "body": encode(offer.command),
    }


def result_row(channel: str, result: ResultEvent) -> dict[str, Any]:
    """The parameters of ``finish_command`` and ``insert_result``."""
    return {
        "channel": channel,
        "id": result.id,
        "run": result.run,
        "wa_id": result.wa_id,
        "event": encode(result),
    }


def read_command(body: bytes) -> SendCommand:
    """A stored command. Raises InvalidBodyError if the row is damaged; so do all that follow."""
    return decode(body, SendCommand, limit=_STORED_LIMIT)


def read_result(event: bytes) -> ResultEvent:
    """A stored result."""
    return decode(event, ResultEvent, limit=_STORED_LIMIT)


def read_headers(headers: bytes) -> dict[str, str]:
    """Stored headers."""
    return decode(headers, dict[str, str], limit=_STORED_LIMIT)


def read_accepted(channel: str, row: tuple[Any, ...]) -> Accepted:
    """A row of ``select_unfinished``."""
    body, run, priority, attempts, state, queued_at, headers = row
    return Accepted(
        channel=channel,
        command=read_command(body),
        run=run,
        priority=Priority(priority),
        attempts=attempts,
        uncertain=state == "in_flight",
        queued_at=moment(queued_at),
        headers=read_headers(headers),
    )


def read_sender(body: bytes, headers: bytes) -> Sender:
    """From a row of ``select_senders``."""
    command = read_command(body)
    return Sender(id=command.id, to=command.to, meta=command.meta, headers=read_headers(headers))
