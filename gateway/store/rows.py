"""Commands, results, headers and times as they stand in a row.

What was received is kept as it came, JSON or msgpack. The rest is msgpack by msgspec, which writes times as its
timestamp extension; what version 1 of the file holds is msgpack with times as text. Both are read.
"""

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final, TypeVar

import msgspec

from protocol.bus import Later
from protocol.codec import MAX_BODY, decode
from protocol.commands import SendCommand
from protocol.errors import InvalidBodyError
from protocol.events import ErrorBody, FailedAttempt, ResultEvent
from protocol.ledger import Accepted, Contact, Inbound, Offer
from protocol.subjects import Priority

T = TypeVar("T")
Row = tuple[Any, ...]

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)
_STORED_LIMIT: Final = 16 * MAX_BODY
"""A body in JSON grows when it is written as msgpack: ``1.5,`` is 4 bytes there and 9 here."""
_TIMES: Final = ("not_before", "expires_at", "deliver_by")
_NESTED: Final = ("media", "reply_to")

pack: Final = msgspec.msgpack.Encoder().encode
"""A Struct or builtin as a stored blob."""
_unpack_result: Final = msgspec.msgpack.Decoder(ResultEvent).decode
_unpack_headers: Final = msgspec.msgpack.Decoder(dict[str, str]).decode
_unpack_meta: Final = msgspec.msgpack.Decoder(dict[str, Any]).decode
_unpack_inbound: Final[Callable[[bytes], Inbound]] = msgspec.msgpack.Decoder(Inbound).decode
_unpack_failures: Final = msgspec.json.Decoder(list[tuple[int, int, int, str, str, bool]], strict=False).decode
_plain_json: Final = msgspec.json.Encoder(order="deterministic").encode
_priorities: Final = {priority.value: priority for priority in Priority}


def micros(at: datetime) -> int:
    """Whole microseconds from 1970-01-01 UTC to ``at``, which has an offset."""
    return (at - _EPOCH) // _MICROSECOND


def moment(micros: int) -> datetime:
    """The time that is ``micros`` microseconds after 1970-01-01 UTC."""
    return _EPOCH + timedelta(microseconds=micros)


def maybe_micros(at: datetime | None) -> int | None:
    """The same of a time that may be missing."""
    return None if at is None else micros(at)


def maybe_moment(number: int | None) -> datetime | None:
    """The same of a time that may be missing."""
    return None if number is None else moment(number)


def array(texts: Iterable[str | int]) -> str:
    """A JSON array, for a statement that takes any number of them."""
    return json.dumps(list(texts))


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
    return hashlib.blake2b(_plain_json(plain), digest_size=16).digest()


def _stated(fields: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value is not None and value is not False and value != []}


def command_row(channel: str, offer: Offer, state: str, seq: int, turn: int | None, chat: str) -> Row:
    """The parameters of ``insert_command``."""
    command = offer.command
    return (
        seq,
        channel,
        command.id,
        state,
        turn,
        micros(offer.queued_at),
        maybe_micros(command.not_before),
        maybe_micros(command.expires_at),
        maybe_micros(command.deliver_by),
        offer.priority.value,
        command.to,
        chat,
        command.type,
        content_of(command),
        pack(offer.headers if type(offer.headers) is dict else dict(offer.headers)),
        None if command.meta is None else pack(command.meta),
    )


def _checked(unpack: Callable[[bytes], T], blob: bytes) -> T:
    try:
        return unpack(blob)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise InvalidBodyError("row", "a blob that can be decoded") from error


def read_command(body: bytes) -> SendCommand:
    """A stored command. Raises InvalidBodyError if the row is damaged; so do all that follow."""
    return decode(body, SendCommand, limit=_STORED_LIMIT)


def read_result(event: bytes) -> ResultEvent:
    """A stored result."""
    return _checked(_unpack_result, event)


def read_headers(headers: bytes) -> dict[str, str]:
    """Stored headers."""
    return _checked(_unpack_headers, headers)


def read_meta(meta: bytes | None) -> dict[str, Any] | None:
    """A command's stored ``meta``."""
    return None if meta is None else _checked(_unpack_meta, meta)


def read_inbound(what: bytes) -> Inbound:
    """What came in, as it was spooled."""
    return _checked(_unpack_inbound, what)


def read_failures(failures: str | None) -> list[FailedAttempt]:
    """Failed attempts, from the JSON that a statement makes of them."""
    if failures is None:
        return []
    return [
        FailedAttempt(
            run=run,
            number=number,
            at=moment(at),
            error=ErrorBody(code=code, message=message, permanent=permanent),
        )
        for run, number, at, code, message, permanent in _checked(_unpack_failures, failures.encode())
    ]


def read_contact(last_in: int | None, first_out: int | None, opted_out: int | None) -> Contact:
    """From the columns of ``people``, all None for a stranger."""
    return Contact(last_in=maybe_moment(last_in), written=first_out is not None, opted_out=bool(opted_out))


def read_later(row: Row) -> Later:
    """A row of ``select_scheduled``."""
    key, run, not_before = row
    return Later(id=key, run=run, at=moment(not_before))


def read_accepted(channel: str, row: Row) -> Accepted:
    """A row of ``select_unfinished`` and its like."""
    body, run, priority, attempts, state, queued_at, headers, secret, wa_id, *contact = row
    return Accepted(
        channel=channel,
        command=read_command(body),
        run=run,
        priority=_priorities[priority],
        attempts=attempts,
        uncertain=state == "in_flight",
        queued_at=moment(queued_at),
        headers=read_headers(headers),
        contact=read_contact(*contact),
        secret=secret,
        wa_id=wa_id,
    )
