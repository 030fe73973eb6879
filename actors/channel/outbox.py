"""The outbox of a channel, pure: which command is sent next, and what follows from each answer.

Laws: within one chat commands go out one after another, in order of acceptance (by priority first), also across
retries; a chat that waits holds up no other; at most ``in_flight`` commands are with the port at once.
"""

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime
from random import Random
from typing import Final, assert_never

from protocol.codes import ErrorCode, Permanence
from protocol.events import ResultStatus
from protocol.ledger import Accepted
from protocol.port import Failed, Sent
from protocol.subjects import Priority
from supervisor.backoff import Backoff

NOT_CONNECTED_PAUSE_S: Final = 0.25
"""Before a command that met a lost session is offered again, so that the news of the loss arrives first."""

_ORDER: Final = (Priority.HIGH, Priority.NORMAL, Priority.BULK)


@dataclass(frozen=True, slots=True, kw_only=True)
class OutboxPolicy:
    """``window``: commands held at once; ``in_flight``: with the port at once; ``attempts``: tries of each."""

    window: int = 64
    in_flight: int = 8
    attempts: int = 5
    on_uncertain: str = "resend"
    backoff: Backoff = field(default_factory=lambda: Backoff(base_s=1.0, cap_s=60.0))


@dataclass(frozen=True, slots=True)
class Ended:
    """The command is at its end: ``status`` as in the result event, with the error if there is one."""

    accepted: Accepted
    status: ResultStatus
    attempts: int
    wa_id: str | None = None
    sent_at: datetime | None = None
    code: ErrorCode | None = None
    message: str = ""


@dataclass(frozen=True, slots=True)
class Again:
    """Another attempt in ``delay_s`` seconds; ``nothing_sent`` says that the last one certainly sent nothing."""

    accepted: Accepted
    delay_s: float
    nothing_sent: bool


Settled = Ended | Again


@dataclass(slots=True)
class _Lane:
    """The commands of one (chat, priority), oldest first; ``not_before`` is monotonic seconds."""

    waiting: deque[Accepted] = field(default_factory=deque)
    not_before: float = 0.0


class Outbox:
    """Not thread-safe: it belongs to one channel's actor. Times are monotonic seconds unless they are dates."""

    def __init__(self, policy: OutboxPolicy) -> None:
        self._policy = policy
        self._lanes: dict[tuple[str, Priority], _Lane] = {}
        self._flying: dict[str, Accepted] = {}
        self._busy: set[str] = set()
        self._waiting = 0
        self._expiring = 0

    def __len__(self) -> int:
        return len(self._flying) + self._waiting

    @property
    def room(self) -> int:
        """How many more commands may be taken from the queue; 0 until a good part of the window is free, so that a
        busy channel takes them in batches."""
        room = self._policy.window - len(self)
        return room if room >= self._policy.window // 4 else 0

    @property
    def flying(self) -> int:
        """Commands with the port."""
        return len(self._flying)

    def add(self, commands: Iterable[Accepted]) -> None:
        """Take what the ledger owns."""
        for accepted in commands:
            self._lane(accepted).waiting.append(accepted)
            self._count(accepted, 1)

    def expire(self, now: datetime) -> list[Ended]:
        """Take out what has expired: it is not sent any more. If it may have been sent before, the error says so."""
        ended: list[Ended] = []
        if not self._expiring:
            return ended
        for key, lane in list(self._lanes.items()):
            for accepted in [a for a in lane.waiting if a.command.expired(now)]:
                if accepted is lane.waiting[0]:
                    lane.not_before = 0.0  # the pause was its own
                lane.waiting.remove(accepted)
                self._count(accepted, -1)
                ended.append(_expired(accepted))
            self._tidy(key)
        return ended

    def hold_uncertain(self) -> list[Ended]:
        """Take out what may have been sent already and is not to be sent again without a person's word."""
        ended: list[Ended] = []
        for key, lane in list(self._lanes.items()):
            for accepted in [a for a in lane.waiting if a.uncertain and self._holds(a)]:
                lane.waiting.remove(accepted)
                self._count(accepted, -1)
                message = "it may have been sent before a restart"
                ended.append(_final(accepted, "held", ErrorCode.OUTCOME_UNKNOWN, message))
            self._tidy(key)
        return ended

    def due(self, now: float) -> bool:
        """Whether there is something to give to the port."""
        return any(lane.waiting and lane.not_before <= now for lane in self._lanes.values())

    def take(self, now: float, most: int) -> list[Accepted]:
        """What is to be given to the port now, in this order, but at most ``most``; each stays in flight until
        ``settle``."""
        taken: list[Accepted] = []
        limit = min(self._policy.in_flight, len(self._flying) + most)
        if len(self._flying) >= limit:
            return taken
        for priority in _ORDER:
            for key in [key for key in self._lanes if key[1] is priority]:
                if len(self._flying) >= limit:
                    return taken
                lane = self._lanes[key]
                if key[0] in self._busy or lane.not_before > now:
                    continue
                accepted = lane.waiting.popleft()
                self._count(accepted, -1)
                flying = replace(accepted, attempts=accepted.attempts + 1, uncertain=False)
                self._flying[accepted.command.id] = flying
                self._busy.add(key[0])
                taken.append(flying)
                self._rotate(key)
        return taken

    def wait(self, now: float) -> float | None:
        """Seconds until a lane that waits for its retry is due; None if none waits."""
        due = [lane.not_before for lane in self._lanes.values() if lane.waiting and lane.not_before > now]
        return min(due) - now if due else None

    def settle(self, id: str, answer: Sent | Failed, now: float, random: Random) -> Settled | None:
        """The port's answer to ``id``; None if it is not in flight (an answer that came twice)."""
        accepted = self._flying.pop(id, None)
        if accepted is None:
            return None
        self._busy.discard(self._key(accepted)[0])
        if isinstance(answer, Sent):
            self._tidy(self._key(accepted))
            return Ended(accepted, "sent", accepted.attempts, wa_id=answer.wa_id, sent_at=answer.at)
        code = ErrorCode.of(answer.code)
        match code.permanence:
            case Permanence.PERMANENT:
                return self._end(accepted, "failed", code, answer.message)
            case Permanence.NOT_CONNECTED:
                unspent = replace(accepted, attempts=accepted.attempts - 1)
                return self._again(unspent, NOT_CONNECTED_PAUSE_S, now, nothing_sent=True)
            case Permanence.UNKNOWN if self._holds(accepted):
                return self._end(accepted, "held", code, answer.message)
            case Permanence.TRANSIENT | Permanence.UNKNOWN:
                if accepted.attempts >= self._policy.attempts:
                    return self._end(accepted, "failed", code, answer.message)
                delay = self._policy.backoff.delay(accepted.attempts, random)
                nothing_sent = code.permanence is Permanence.TRANSIENT
                return self._again(replace(accepted, uncertain=not nothing_sent), delay, now, nothing_sent=nothing_sent)
            case _:
                assert_never(code.permanence)

    def _holds(self, accepted: Accepted) -> bool:
        return (accepted.command.on_uncertain or self._policy.on_uncertain) == "hold"

    def _end(self, accepted: Accepted, status: ResultStatus, code: ErrorCode, message: str) -> Ended:
        self._tidy(self._key(accepted))
        return _final(accepted, status, code, message)

    def _again(self, accepted: Accepted, delay: float, now: float, *, nothing_sent: bool) -> Again:
        lane = self._lane(accepted)
        lane.waiting.appendleft(accepted)
        self._count(accepted, 1)
        lane.not_before = now + delay
        return Again(accepted, delay, nothing_sent)

    def _count(self, accepted: Accepted, by: int) -> None:
        """One more or one less waits: counted, so that nothing here grows with the window."""
        self._waiting += by
        if accepted.command.expires_at is not None:
            self._expiring += by

    @staticmethod
    def _key(accepted: Accepted) -> tuple[str, Priority]:
        return str(accepted.command.address), accepted.priority

    def _lane(self, accepted: Accepted) -> _Lane:
        return self._lanes.setdefault(self._key(accepted), _Lane())

    def _rotate(self, key: tuple[str, Priority]) -> None:
        """Let the other chats of the same priority go first next time."""
        self._lanes[key] = self._lanes.pop(key)
        self._tidy(key)

    def _tidy(self, key: tuple[str, Priority]) -> None:
        lane = self._lanes.get(key)
        if lane is not None and not lane.waiting:
            del self._lanes[key]


def _expired(accepted: Accepted) -> Ended:
    if accepted.uncertain:
        message = "expires_at passed; an attempt before that may have sent it"
        return _final(accepted, "expired", ErrorCode.OUTCOME_UNKNOWN, message)
    return _final(accepted, "expired", ErrorCode.EXPIRED, ErrorCode.EXPIRED.meaning)


def _final(accepted: Accepted, status: ResultStatus, code: ErrorCode, message: str) -> Ended:
    return Ended(accepted, status, accepted.attempts, code=code, message=message)
