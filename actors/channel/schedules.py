"""Commands that are for later: set on the clinic's bus, given out by it when their time has come, woken in the ledger.

The ledger owns them, the bus only rings: a schedule that is lost is set again at the next start, or a while after its
time; one that rings twice wakes nothing the second time. What rings is settled once the ledger knows that it is awake.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import islice
from typing import Any, Final

from actors.channel.context import Context
from actors.channel.retry import Retry
from protocol.bus import Due, Later
from protocol.errors import BusUnavailableError, StoreUnavailableError
from protocol.interfaces import Failure
from protocol.ledger import Accepted

DUE_TIMEOUT_S: Final = 300.0
WAKE_TIMEOUT_S: Final = 300.0
"""Far beyond what the store allows itself: what it woke must not be lost to a time-out."""
SET_TIMEOUT_S: Final = 60.0
MOST_AT_ONCE: Final = 500
"""Schedules that are set together."""
LATE_S: Final = 60.0
"""So long after its time a schedule that has not rung is looked for, and no sooner again."""
QUIET_S: Final = 5.0
"""The bus gives out at once what is due. If it is asked for so long and gives nothing, nothing more is to ring."""
LONGEST_WAIT_S: Final = 3600.0
"""The wall clock may be set: it is looked at so often at least while there are schedules."""


@dataclass(frozen=True, slots=True)
class Rang:
    """Schedules whose time has come."""

    outcome: Sequence[Due] | Failure


@dataclass(frozen=True, slots=True)
class Woken:
    """The ledger has woken them."""

    outcome: Sequence[Accepted] | Failure


@dataclass(frozen=True, slots=True)
class WakeDue:
    """Try again."""


@dataclass(frozen=True, slots=True)
class ScheduleSet:
    """The bus has these, or not yet."""

    failure: Failure | None


@dataclass(frozen=True, slots=True)
class ScheduleDue:
    """Set what is not set again."""


@dataclass(frozen=True, slots=True)
class LateDue:
    """What should have rung may have been lost."""


@dataclass(frozen=True, slots=True)
class Unrung:
    """What the ledger still has as scheduled; before it was asked, ``first`` was the earliest time of all."""

    first: datetime
    outcome: Sequence[Later] | Failure


class Schedules:
    """Belongs to one channel's actor. ``room``: how many commands may be woken now; ``woken`` gets them."""

    def __init__(self, context: Context, room: Callable[[], int], woken: Callable[[Sequence[Accepted]], None]) -> None:
        self._context = context
        self._room = room
        self._woken = woken
        self._to_set: dict[str, Later] = {}
        self._setting: dict[str, Later] = {}
        self._retry_set = Retry(context, "not scheduled yet", "schedule", ScheduleDue())
        self._cancel: Callable[[], None] | None = None
        self._rang: Sequence[Due] = ()
        self._taken_back: dict[tuple[str, int], bool] = {}
        self._retry = Retry(context, "due commands not woken", "wake", WakeDue())
        self._first: datetime | None = None
        self._asked_at: float | None = None
        self._open = False
        self.trouble: str | None = None
        """Why the ledger could not wake the last ones."""

    @property
    def handlers(self) -> dict[type, Callable[[Any], None]]:
        """Who deals with which of the messages that this part sends to its actor."""
        return {
            Rang: self._on_rang,
            Woken: self._on_woken,
            WakeDue: lambda _: self._on_wake_due(),
            ScheduleSet: self._on_set,
            ScheduleDue: lambda _: self._set(),
            LateDue: lambda _: self._on_late_due(),
            Unrung: self._on_unrung,
        }

    def open(self) -> None:
        """Wake commands from now on."""
        self._open = True
        self.listen()

    def close(self) -> None:
        """Wake no more. In any thread."""
        self._open = False
        if self._cancel is not None:
            self._cancel()

    # -- setting --

    def add(self, later: Sequence[Later]) -> None:
        """Set these; as often as it takes."""
        self._to_set |= {one.id: one for one in later}
        self._expect([one.at for one in later])
        if not self._retry_set.failing:
            self._set()

    def _set(self) -> None:
        if self._setting or not self._to_set:
            return
        self._setting = dict(islice(self._to_set.items(), MOST_AT_ONCE))
        for name in self._setting:
            del self._to_set[name]
        work = self._context.bus.schedule(self._context.channel, list(self._setting.values()))
        self._context.errand(work, lambda outcome: ScheduleSet(Failure.of(outcome)), timeout=SET_TIMEOUT_S)

    def _on_set(self, message: ScheduleSet) -> None:
        setting, self._setting = self._setting, {}
        if message.failure is None:
            self._retry_set.succeeded()
            self._set()
            return
        self._to_set = setting | self._to_set
        self._retry_set.failed(message.failure.error)

    def take_back(self, id: str, run: int) -> None:
        """This one is not wanted any more: should the ledger wake it before it knows that (``forget``), nobody hears of
        it."""
        self._taken_back[id, run] = False
        self._to_set.pop(id, None)
        work = self._context.bus.unschedule(self._context.channel, [id])
        self._context.loop.spawn(work, _ignore, timeout=SET_TIMEOUT_S)

    def forget(self, id: str, run: int) -> None:
        """The ledger knows that this one has ended: no wake that begins from now on brings it."""
        if self._rang:
            self._taken_back[id, run] = True  # one is under way
        else:
            self._taken_back.pop((id, run), None)

    # -- ringing --

    def listen(self) -> None:
        """Ask the bus for what is due, if there is room and it is not being asked."""
        if self._cancel is not None or not self._open or (room := self._room()) == 0:
            return
        self._asked_at = self._context.now().mono
        self._cancel = self._context.errand(
            self._context.bus.due(self._context.channel, room), Rang, timeout=DUE_TIMEOUT_S
        )

    def _on_rang(self, message: Rang) -> None:
        self._asked_at = None
        match message.outcome:
            case Failure(error=TimeoutError()):
                self._cancel = None
                self.listen()
            case Failure(error=error):
                self._later(error)
            case rang:
                self._wake(rang)

    def _wake(self, rang: Sequence[Due]) -> None:
        self._rang = rang
        self._context.errand(self._awake(rang), Woken, timeout=WAKE_TIMEOUT_S)

    async def _awake(self, rang: Sequence[Due]) -> Sequence[Accepted]:
        """On the loop. What could not be settled rings again, in vain."""
        channel = self._context.channel
        woken = await self._context.ledger.wake(channel, [(due.id, due.run) for due in rang])
        try:
            await self._context.bus.settle(rang, taken=True)
        except BusUnavailableError as error:
            self._context.log.warning("due commands not settled", error=str(error))
        return woken

    def _on_woken(self, message: Woken) -> None:
        """Raises what is not known to have left the ledger as it was: the channel begins anew."""
        match message.outcome:
            case Failure(error=StoreUnavailableError() as error):
                self.trouble = str(error)
                self._later(error)
                return
            case Failure(error=error):
                raise error
            case woken:
                self._rang = ()
        self._retry.succeeded()
        self.trouble = None
        self._cancel = None
        wanted = [each for each in woken if (each.command.id, each.run) not in self._taken_back]
        self._taken_back = {key: ended for key, ended in self._taken_back.items() if not ended}
        self._woken(wanted)
        self.listen()

    def _later(self, error: BaseException) -> None:
        if self._open:
            self._retry.failed(error)

    def _on_wake_due(self) -> None:
        if self._rang:
            self._wake(self._rang)
            return
        self._cancel = None
        self.listen()

    # -- what does not ring --

    def _expect(self, times: Sequence[datetime]) -> None:
        """Look, when the earliest of all these times is over, whether what was scheduled then has rung."""
        first = min(times, default=None)
        if first is not None and (self._first is None or first < self._first):
            self._first = first
            self._watch(first)

    def _watch(self, first: datetime) -> None:
        wait = (first - self._context.now().wall).total_seconds() + LATE_S
        self._context.timer("late", min(LONGEST_WAIT_S, max(LATE_S, wait)), LateDue())

    def _on_late_due(self) -> None:
        """Ask the ledger, if something's time is over and the bus, which is asked, has nothing to give."""
        first, now = self._first, self._context.now()
        if first is None or not self._open:
            return
        quiet = self._asked_at is not None and now.mono - self._asked_at >= QUIET_S
        if not quiet or first > _late(now.wall):
            self._watch(first)
            return
        self._first = None
        work = self._context.ledger.scheduled(self._context.channel)
        self._context.errand(work, lambda outcome: Unrung(first, outcome), timeout=SET_TIMEOUT_S)

    def _on_unrung(self, message: Unrung) -> None:
        """Set again what has not rung, as at a start. If it is under way after all it rings twice."""
        if isinstance(message.outcome, Failure):
            self._context.log.warning("schedules not looked for", error=str(message.outcome.error))
            self._expect([message.first])
            return
        self._expect([one.at for one in message.outcome])
        late = _late(self._context.now().wall)
        lost = [one for one in message.outcome if one.at <= late and (one.id, one.run) not in self._taken_back]
        if lost:
            self._context.log.warning("schedules did not ring and are set again", count=len(lost))
            self.add(lost)


def _late(now: datetime) -> datetime:
    """What was to ring at this time, or before it, should have rung."""
    return now - timedelta(seconds=LATE_S)


def _ignore(_outcome: object) -> None:
    """A schedule that stays behind rings in vain."""
