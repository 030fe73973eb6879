"""How fast a channel may send, pure: WhatsApp restricts and bans numbers that behave like machines.

| rule | holds | until | lets pass |
|---|---|---|---|
| bucket (``per_minute``, ``burst``) | everything | there is a token | nothing |
| day (``per_day``; less while the number is new: ``warm_up``) | everything | midnight | nothing |
| restriction (WhatsApp refused with 463 or 475) | new contacts | ``restriction_s`` after the last refusal | nothing |
| new contacts (``new_per_day``) | new contacts | midnight | high priority |
| quiet hours | everything | they end | high priority, and who wrote in the last 24 h |

A new contact is a person who never wrote to us and to whom we never wrote; a group is none. What passes a rule is
counted all the same. Midnight and quiet hours are the clinic's. The counts are restored from the ledger at the start,
so a restart gives no second allowance; what an attempt did not send is given back. The restriction is WhatsApp's: it
holds also where pacing is switched off.
"""

from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from actors.channel.life import Now
from protocol.ledger import Sendings
from protocol.subjects import Priority

LONGEST_HOLD_S: Final = 900.0
"""A hold is looked at again so often at least: the wall clock may be set."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PacingPolicy:
    """``burst``: tokens that the bucket holds, so in any minute at most ``per_minute`` + ``burst`` are sent.

    ``warm_up``: what may be sent on a number's first, second … day (of which at most half to new contacts).
    ``quiet_from`` to ``quiet_until`` in ``zone``; equal: no quiet hours. ``typing_per_s``: characters, 0: nobody is
    shown typing; for at most ``typing_most_s`` seconds."""

    enabled: bool = True
    per_minute: float = 20.0
    burst: int = 5
    per_day: int = 200
    new_per_day: int = 50
    warm_up: tuple[int, ...] = (20, 30, 45, 65, 90, 120, 160)
    quiet_from: time = time(0)
    quiet_until: time = time(0)
    restriction_s: float = 21_600.0
    typing_per_s: float = 0.0
    typing_most_s: float = 5.0
    zone: str = "America/Sao_Paulo"

    def typing(self, text: str | None) -> float:
        """For how long, in seconds, we are shown typing before ``text``."""
        if not self.enabled or self.typing_per_s <= 0 or not text:
            return 0.0
        return min(self.typing_most_s, len(text) / self.typing_per_s)


OFF: Final = PacingPolicy(enabled=False)


@dataclass(frozen=True, slots=True)
class Candidate:
    """A command that is about to go: its priority, whether it would be the first to a new contact, and whether its
    person wrote in the last 24 hours."""

    priority: Priority
    new: bool = False
    favoured: bool = False


@dataclass(frozen=True, slots=True)
class Hold:
    """This command, and what is behind it in its line, is not to go for ``seconds``."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Stop:
    """Nothing is to go for ``seconds``."""

    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """What pacing knows. ``tokens`` in the bucket; ``restricted_until``: new contacts wait for that."""

    sent_today: int
    new_today: int
    tokens: float
    restricted_until: datetime | None


class Pacing:
    """Belongs to one channel's actor."""

    def __init__(self, policy: PacingPolicy, now: Now) -> None:
        self._policy = policy
        self._zone = ZoneInfo(policy.zone)
        self._tokens = float(policy.burst)
        self._filled = now.mono
        self._day = self._local(now).date()
        self._next_day = self._midnight(now)
        self._sent = 0
        self._new = 0
        self._first: date | None = None
        self._restricted_until: datetime | None = None

    @property
    def policy(self) -> PacingPolicy:
        """The rules."""
        return self._policy

    def configure(self, policy: PacingPolicy) -> None:
        """Go by ``policy`` from now on; what was counted stays counted."""
        self._policy = policy
        self._zone = ZoneInfo(policy.zone)
        self._next_day = datetime.combine(self._day + timedelta(days=1), time(), self._zone)
        self._tokens = min(self._tokens, float(policy.burst))

    def restore(self, sendings: Sendings, now: Now) -> None:
        """Count what an earlier life sent."""
        self._turn(now)
        self._sent = sendings.today
        self._new = sendings.new_today
        self._tokens = max(0.0, self._policy.burst - sendings.last_minute)
        self._filled = now.mono
        if sendings.first is not None:
            self._first = sendings.first.astimezone(self._zone).date()

    def day(self, now: Now) -> datetime:
        """When the clinic's present day began."""
        return datetime.combine(self._local(now).date(), time(), self._zone)

    def admit(self, candidate: Candidate, now: Now) -> Hold | Stop | None:
        """None lets it go, and counts it."""
        refusal = self.refusal(candidate, now)
        if refusal is not None:
            return refusal
        self._tokens = max(0.0, self._tokens - 1.0)  # while it is switched off nothing is owed for later
        self._sent += 1
        self._new += candidate.new
        return None

    def sent(self, now: Now) -> None:
        """Something was sent: a new number's first day is the one on which it first did that."""
        if self._first is None:
            self._first = self._local(now).date()

    def refusal(self, candidate: Candidate, now: Now) -> Hold | Stop | None:
        """As ``admit``, but counts nothing."""
        self._turn(now)
        self._fill(now)
        until = self._restricted_until
        if candidate.new and until is not None and now.wall < until:
            return Hold(self._until(until, now))
        return self._refusal(candidate, now) if self._policy.enabled else None

    def give_back(self, *, new: bool) -> None:
        """What was let go sent nothing after all."""
        self._tokens = min(float(self._policy.burst), self._tokens + 1.0)
        self._sent = max(0, self._sent - 1)
        self._new = max(0, self._new - new)

    def restrict(self, now: Now) -> None:
        """WhatsApp keeps this number from new contacts."""
        self._restricted_until = now.after(self._policy.restriction_s)

    def counts(self, now: Now) -> Counts:
        """As it is now."""
        self._turn(now)
        self._fill(now)
        until = self._restricted_until
        return Counts(
            sent_today=self._sent,
            new_today=self._new,
            tokens=max(0.0, self._tokens),
            restricted_until=until if until is not None and until > now.wall else None,
        )

    # -- the rules --

    def _refusal(self, candidate: Candidate, now: Now) -> Hold | Stop | None:
        policy = self._policy
        if self._sent >= self._most():
            return Stop(self._until(self._next_day, now))
        high = candidate.priority is Priority.HIGH or candidate.favoured
        if candidate.new and not high and self._new >= self._most_new():
            return Hold(self._until(self._next_day, now))
        if not high and (quiet := self._quiet_until(now)) is not None:
            return Hold(self._until(quiet, now))
        if self._tokens < 1.0:
            return Stop(max(0.001, (1.0 - self._tokens) * 60.0 / policy.per_minute))
        return None

    def _most(self) -> int:
        """Messages today."""
        policy = self._policy
        age = (self._day - self._first).days if self._first is not None else 0
        return min(policy.per_day, policy.warm_up[age]) if 0 <= age < len(policy.warm_up) else policy.per_day

    def _most_new(self) -> int:
        """New contacts today."""
        most = self._most()
        return self._policy.new_per_day if most >= self._policy.per_day else min(self._policy.new_per_day, most // 2)

    def _quiet_until(self, now: Now) -> datetime | None:
        """When the present quiet hours end; None if it is not quiet."""
        begin, end = self._policy.quiet_from, self._policy.quiet_until
        local = self._local(now)
        clock = local.time()
        if not (begin <= clock < end if begin <= end else clock >= begin or clock < end):
            return None
        day = local.date() if clock < end else local.date() + timedelta(days=1)
        return datetime.combine(day, end, self._zone)

    # -- time --

    def _local(self, now: Now) -> datetime:
        return now.wall.astimezone(self._zone)

    def _turn(self, now: Now) -> None:
        """Begin a new day's count. A clock that is set back begins none."""
        if now.wall >= self._next_day:
            self._day, self._sent, self._new = self._local(now).date(), 0, 0
            self._next_day = self._midnight(now)

    def _fill(self, now: Now) -> None:
        passed = max(0.0, now.mono - self._filled)
        self._tokens = min(float(self._policy.burst), self._tokens + passed * self._policy.per_minute / 60.0)
        self._filled = now.mono

    def _midnight(self, now: Now) -> datetime:
        return datetime.combine(self._local(now).date() + timedelta(days=1), time(), self._zone)

    @staticmethod
    def _until(at: datetime, now: Now) -> float:
        return min(LONGEST_HOLD_S, max(0.001, (at - now.wall).total_seconds()))
