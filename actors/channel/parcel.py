"""A command on its way out, and what an attempt at it can lead to: the words of the outbox."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import Enum

from protocol.codec import encode
from protocol.codes import ErrorCode
from protocol.commands import SendCommand
from protocol.events import ErrorBody, ResultStatus
from protocol.ledger import Accepted
from protocol.subjects import Priority

_OVERHEAD = 512
"""Bytes that a command takes beside what it says, roughly."""


class Place(Enum):
    """Where a parcel is: in its chat's line, with the port, or nobody knows whether it was sent."""

    LINE = "line"
    PORT = "port"
    DOUBT = "doubt"


@dataclass(slots=True, eq=False)
class Parcel:
    """A command that the ledger owns. ``chat``: the JID it goes to; ``seq``: its place in the order of acceptance.

    ``attempts``: those that count, the one under way included. ``key`` and ``secret`` are the present attempt's, or the
    last one's; ``wa_id``: what that one is called in the session store, that of ``device``; ``whole``: what is not in
    that store was never sent. ``doubted``: an earlier one may have sent it. ``watched``: it is among those that can
    expire. ``new_contact``: pacing let it go as the first to its person. ``unknown``: why it is in doubt, if somebody
    said so; ``cut``: because something died under it; ``absences``: how often it was then found never to have been
    sent.
    """

    accepted: Accepted
    chat: str
    seq: int
    size: int
    attempts: int
    doubted: bool
    secret: bytes | None
    wa_id: str | None
    device: str | None = None
    whole: bool = True
    key: str = ""
    place: Place = Place.LINE
    watched: bool = False
    new_contact: bool = False
    unknown: ErrorBody | None = None
    cut: bool = True
    absences: int = 0

    @classmethod
    def of(cls, accepted: Accepted, seq: int) -> "Parcel":
        """Of what the ledger gave out."""
        return cls(
            accepted=accepted,
            chat=str(accepted.command.address),
            seq=seq,
            size=_size(accepted.command),
            attempts=accepted.attempts,
            doubted=False,
            secret=accepted.secret,
            wa_id=accepted.wa_id,
            key=attempt_key(accepted.run, accepted.command.id, accepted.secret) if accepted.secret else "",
        )

    @property
    def id(self) -> str:
        """The command's."""
        return self.accepted.command.id

    @property
    def command(self) -> SendCommand:
        """What is to be sent."""
        return self.accepted.command

    @property
    def run(self) -> int:
        """The command's present one."""
        return self.accepted.run

    @property
    def priority(self) -> Priority:
        """As it was queued."""
        return self.accepted.priority

    @property
    def waits_since(self) -> datetime:
        """From when on it could have been sent, as far as its sender is concerned."""
        queued_at, not_before = self.accepted.queued_at, self.accepted.command.not_before
        return queued_at if not_before is None else max(queued_at, not_before)

    @property
    def headers(self) -> Mapping[str, str]:
        """Those to pass on."""
        return self.accepted.headers

    def begin(self, secret: bytes) -> None:
        """Another attempt, whose message carries ``secret``."""
        self.attempts += 1
        self.secret = secret
        self.wa_id = None
        self.key = attempt_key(self.run, self.id, secret)

    def unspend(self) -> None:
        """The attempt did not count."""
        self.attempts = max(0, self.attempts - 1)


def attempt_key(run: int, id: str, secret: bytes) -> str:
    """What an attempt is called in the port's journal. A record outlives the ledger's knowledge of it (main may be
    killed before the journal is trimmed), so it must not be taken for that of a later attempt of the same run."""
    return f"{run}:{id}#{secret[:6].hex()}"


@dataclass(frozen=True, slots=True)
class Ended:
    """The command is at its end: ``status`` as in the result event, with the error if there is one."""

    parcel: Parcel
    status: ResultStatus
    wa_id: str | None = None
    sent_at: datetime | None = None
    code: ErrorCode | None = None
    message: str = ""


@dataclass(frozen=True, slots=True)
class Again:
    """Another attempt in ``delay_s`` seconds. ``spent`` False: the last one does not count. ``in_doubt``: it may be
    the second copy. ``error``: why; None if there was no session, or no attempt to speak of."""

    parcel: Parcel
    delay_s: float
    spent: bool
    in_doubt: bool = False
    error: ErrorBody | None = None


@dataclass(frozen=True, slots=True)
class Doubted:
    """It may have been sent: to be resolved."""

    parcel: Parcel
    error: ErrorBody


Settled = Ended | Again | Doubted


def final(parcel: Parcel, status: ResultStatus, code: ErrorCode, message: str) -> Ended:
    """It ends with an error."""
    return Ended(parcel, status, code=code, message=message)


def expired(parcel: Parcel) -> Ended:
    """Its time is over; if it may have been sent before, the error says so."""
    if parcel.doubted:
        message = "expires_at passed; an attempt before that may have sent it"
        return final(parcel, "expired", ErrorCode.OUTCOME_UNKNOWN, message)
    return final(parcel, "expired", ErrorCode.EXPIRED, ErrorCode.EXPIRED.meaning)


@dataclass(frozen=True, slots=True)
class Disowned:
    """What was queued ``before`` is not ours to send, since ``code``."""

    before: datetime
    code: ErrorCode

    def covers(self, accepted: Accepted) -> bool:
        """Whether that is one of them. One that was not to be sent before the clinic was put back cannot have been sent
        by then."""
        if accepted.queued_at >= self.before:
            return False
        not_before = accepted.command.not_before
        return self.code is not ErrorCode.RESTORED or not_before is None or not_before <= self.before

    def end(self, parcel: Parcel) -> Ended:
        """It waits for a person."""
        known = "; an attempt before that may have sent it" if parcel.doubted else ""
        return final(parcel, "held", self.code, self.code.meaning + known)


def _size(command: SendCommand) -> int:
    size = _OVERHEAD + len(command.text or "")
    if command.media is not None:
        size += len(command.media.data or b"") + len(command.media.caption or "")
    return size if command.meta is None else size + len(encode(command.meta))
