"""Commands, results and times as they stand in a row.

What was received is kept as it came, JSON or msgpack. The rest is msgpack by msgspec, which writes times as its
timestamp extension; what version 1 of the file holds is msgpack with times as text. Both are read. What is personal is
sealed for its row (see ``sealing``), as are bodies.
"""

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final, TypeVar

import msgspec

from gateway.store.sealing import ATTEMPT, BODY, COMMAND, CONSENT, FAILURE, ID, JID, PAIRED, RESULT, SPOOLED, Seal
from protocol.bus import Later
from protocol.codec import MAX_BODY, decode
from protocol.commands import SendCommand
from protocol.errors import InvalidBodyError
from protocol.events import ErrorBody, FailedAttempt, ResultEvent
from protocol.inbound import Inbound
from protocol.ledger import Accepted, Contact, Offer, Paired
from protocol.subjects import Priority

T = TypeVar("T")
Row = tuple[Any, ...]

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)
_STORED_LIMIT: Final = 16 * MAX_BODY
"""A body in JSON grows when it is written as msgpack: ``1.5,`` is 4 bytes there and 9 here."""
_TIMES: Final = ("not_before", "expires_at", "deliver_by")
_NESTED: Final = ("media", "reply_to")


class Private(msgspec.Struct, array_like=True, frozen=True):
    """What a command says of people, and what may: the column ``private``. ``chat`` is ``to`` as a JID; ``content`` is
    told by ``content_of``."""

    id: str
    to: str
    chat: str
    content: bytes
    headers: Mapping[str, str]
    meta: dict[str, Any] | None


class Agreed(msgspec.Struct, array_like=True, frozen=True):
    """The JIDs of who agreed to something or did not, and a note: the column ``sealed`` of ``consents``."""

    people: list[str]
    note: str


pack: Final = msgspec.msgpack.Encoder().encode
"""A Struct, dataclass or builtin as a blob."""
_unpack_private: Final = msgspec.msgpack.Decoder(Private).decode
_unpack_result: Final = msgspec.msgpack.Decoder(ResultEvent).decode
_unpack_paired: Final = msgspec.msgpack.Decoder(Paired).decode
_unpack_agreed: Final = msgspec.msgpack.Decoder(Agreed).decode
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


def command_row(
    seal: Seal, channel: str, offer: Offer, state: str, seq: int, turn: int | None, chat: str, token: str
) -> Row:
    """The parameters of ``insert_command``; ``chat`` is the recipient's JID, ``token`` that of it."""
    command = offer.command
    headers = offer.headers if type(offer.headers) is dict else dict(offer.headers)
    private = Private(command.id, command.to, chat, content_of(command), headers, command.meta)
    return (
        seq,
        channel,
        seal.token(ID, command.id),
        state,
        turn,
        micros(offer.queued_at),
        maybe_micros(command.not_before),
        maybe_micros(command.expires_at),
        maybe_micros(command.deliver_by),
        offer.priority.value,
        token,
        command.type,
        seal.seal(COMMAND, seq, pack(private)),
    )


def of_run(seq: int, run: int) -> str:
    """What a result is sealed for."""
    return f"{seq}/{run}"


def of_attempt(seq: int, run: int, number: int) -> str:
    """What the message of a failure is sealed for."""
    return f"{seq}/{run}/{number}"


def _checked(unpack: Callable[[bytes], T], blob: bytes) -> T:
    try:
        return unpack(blob)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise InvalidBodyError("row", "a blob that can be decoded") from error


def read_private(seal: Seal, seq: int, private: bytes) -> Private:
    """What a command says of people. Raises InvalidBodyError if the row is damaged; so do all that follow."""
    return _checked(_unpack_private, seal.open(COMMAND, seq, private))


def read_command(body: bytes) -> SendCommand:
    """A command, of its body."""
    return decode(body, SendCommand, limit=_STORED_LIMIT)


def read_result(seal: Seal, seq: int, run: int, event: bytes) -> ResultEvent:
    """A result."""
    return _checked(_unpack_result, seal.open(RESULT, of_run(seq, run), event))


def read_inbound(seal: Seal, seq: int, what: bytes) -> Inbound:
    """What came in, as it was spooled."""
    return _checked(_unpack_inbound, seal.open(SPOOLED, seq, what))


def read_paired(seal: Seal, channel: str, paired: bytes) -> Paired:
    """The number that a channel was connected with."""
    return _checked(_unpack_paired, seal.open(PAIRED, channel, paired))


def agreeing(seal: Seal, seq: int, agreed: Agreed) -> list[Row]:
    """The parameters of ``insert_consenting``."""
    return [(seal.token(JID, jid), seq) for jid in agreed.people]


def read_agreed(seal: Seal, seq: int, sealed: bytes) -> Agreed:
    """Who agreed to something or did not."""
    return _checked(_unpack_agreed, seal.open(CONSENT, seq, sealed))


def read_failures(seal: Seal, seq: int, failures: str | None) -> list[FailedAttempt]:
    """Failed attempts of a command, from the JSON that a statement makes of them."""
    if failures is None:
        return []
    return [
        FailedAttempt(
            run=run,
            number=number,
            at=moment(at),
            error=ErrorBody(
                code=code,
                message=seal.open(FAILURE, of_attempt(seq, run, number), bytes.fromhex(message)).decode(),
                permanent=permanent,
            ),
        )
        for run, number, at, code, message, permanent in _checked(_unpack_failures, failures.encode())
    ]


def read_contact(last_in: int | None, first_out: int | None, opted_out: int | None) -> Contact:
    """From the columns of ``people``, all None for a stranger."""
    return Contact(last_in=maybe_moment(last_in), written=first_out is not None, opted_out=bool(opted_out))


def read_later(seal: Seal, row: Row) -> Later:
    """A row of ``select_scheduled``."""
    seq, run, not_before, private = row
    return Later(id=read_private(seal, seq, private).id, run=run, at=moment(not_before))


def read_accepted(channel: str, seal: Seal, row: Row) -> Accepted:
    """A row of ``select_unfinished`` and its like."""
    seq, token, body, run, priority, attempts, state, queued_at, private, secret, wa_id, *contact = row
    return Accepted(
        channel=channel,
        command=read_command(seal.open(BODY, seq, body)),
        run=run,
        priority=_priorities[priority],
        attempts=attempts,
        uncertain=state == "in_flight",
        queued_at=moment(queued_at),
        headers=read_private(seal, seq, private).headers,
        contact=read_contact(*contact),
        secret=seal.maybe_open(ATTEMPT, token, secret),
        wa_id=wa_id,
    )
