"""The extensions with real children: backoff, quarantine, independent children, staggered starts, hung ones."""

import random
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from pykka import ActorRef
from structlog.testing import capture_logs

from supervisor.actor import Link, ShutDown, monitor, of, tell
from supervisor.api import Done, Phase, Refused, Why
from supervisor.backoff import Backoff
from supervisor.client import delete_child, restart_child, start_child, terminate_child
from supervisor.reasons import ExitReason, Killed, Shutdown
from supervisor.shell import Supervisor
from supervisor.spec import ABANDON, Flags, Quarantine, Restart, Stagger
from tests.fakes.crashing_child import CrashingChild
from tests.fakes.parent import PATIENCE_S, Parent, Starts, taken, until
from tests.fakes.slow_child import ComeUp, SlowChild
from tests.fakes.steady_child import Do
from tests.fakes.stuck_child import Hang, StuckChild
from tests.unit.supervisor.house import BOOM, House, do_crash

NO_DELAY = Backoff(base_s=0.0)


class Ends:
    """The next ends of those that it watches."""

    def __init__(self, *refs: ActorRef[Any]) -> None:
        self._told = threading.Semaphore(0)
        self.reasons: list[ExitReason] = []
        for ref in refs:
            monitor(ref, self._on_end)

    def _on_end(self, reason: ExitReason) -> None:
        self.reasons.append(reason)
        self._told.release()

    def wait(self) -> None:
        assert self._told.acquire(timeout=PATIENCE_S), "nobody ended"


# -- backoff and quarantine --


def test_a_child_with_backoff_comes_back_however_often_it_crashes(house: House) -> None:
    starts = house.steady("a")
    house.up(starts.spec("a", backoff=NO_DELAY), intensity=0)
    for _ in range(10):
        tell(starts.next(), Do(do_crash))
    starts.next()
    assert house.parent.heard_nothing_more()


def test_a_start_that_fails_every_time_ends_quarantined_and_reported_and_the_others_never_notice(house: House) -> None:
    bad = Starts(CrashingChild.start, "initialize", BOOM)
    house.up(house.steady("good").spec("good"), intensity=0)
    with capture_logs() as logs:
        quarantine = Quarantine(restarts=3, period_s=60.0)
        answer = house.asks(start_child, bad.spec("bad", quarantine=quarantine, backoff=NO_DELAY))
        assert isinstance(answer, Refused)
        assert answer.why is Why.START_FAILED
        for _ in range(4):
            bad.next()
        until(lambda: house.children()["bad"].phase is Phase.QUARANTINED)
    assert bad.count == 4
    children = house.children()
    assert (children["good"].phase, children["good"].incarnation) == (Phase.UP, 1)
    reports = [entry for entry in logs if entry["event"] == "child quarantined"]
    assert [(entry["child"], entry["release_in_s"]) for entry in reports] == [("bad", None)]


def test_a_quarantined_child_is_released_by_a_person(house: House) -> None:
    starts = house.steady("a")
    house.up(starts.spec("a", quarantine=Quarantine(restarts=0, period_s=60.0)))
    tell(starts.next(), Do(do_crash))
    until(lambda: house.children()["a"].phase is Phase.QUARANTINED)
    assert house.asks(restart_child, "a") == Done(id="a", incarnation=2, ref=starts.next())
    assert house.children()["a"].phase is Phase.UP


def test_a_quarantined_child_is_released_when_its_time_is_over(house: House) -> None:
    starts = house.steady("a")
    house.up(starts.spec("a", quarantine=Quarantine(restarts=0, period_s=60.0, release_s=0.01)))
    tell(starts.next(), Do(do_crash))
    starts.next()
    assert house.children()["a"].incarnation == 2


# -- independent children --


def test_a_child_that_hangs_in_its_start_or_end_holds_up_nobody_and_at_the_end_all_are_told_at_once(
    house: House,
) -> None:
    starting, slow = Starts(SlowChild.start), [Starts(SlowChild.start) for _ in range(3)]
    ref = house.up(independent=True)
    house.asked(start_child, starting.spec("starting", shutdown=0.01))
    starting.next()
    for number, starts in enumerate(slow):
        answers = house.asked(start_child, starts.spec(str(number), shutdown=0.01))
        tell(starts.next(), ComeUp())
        assert isinstance(answers.get(timeout=PATIENCE_S), Done)
    stopping = house.asked(terminate_child, "0")
    steady = house.steady("a")
    assert isinstance(house.asks(start_child, steady.spec("a")), Done)
    assert house.asks(terminate_child, "a") == Done()
    assert stopping.get(timeout=PATIENCE_S) == Done()
    tell(ref, ShutDown())
    assert house.parent.wait_exit() == Shutdown()


def test_one_that_hangs_in_its_first_start_holds_up_no_sibling(house: House) -> None:
    starting, steady = Starts(SlowChild.start), house.steady("a")
    house.start(starting.spec("starting", shutdown=ABANDON), steady.spec("a"), independent=True)
    starting.next()
    first = steady.next()
    tell(first, Do(do_crash))
    assert steady.next() != first


# -- stagger --


@pytest.mark.parametrize("jitter_s", [0.0, 0.005])
def test_never_more_than_at_once_are_starting_and_everyone_is_started_in_the_end(house: House, jitter_s: float) -> None:
    refs: list[ActorRef[Any]] = []
    started = threading.Semaphore(0)

    def start(link: Link) -> ActorRef[Any]:
        refs.append(SlowChild.start(link))
        started.release()
        return refs[-1]

    children = [Starts(start).spec(str(number), shutdown=ABANDON) for number in range(9)]
    house.start(*children, independent=True, stagger=Stagger(at_once=3, jitter_s=jitter_s))
    for _ in range(3):
        assert started.acquire(timeout=PATIENCE_S)
    for number in range(9):
        phases = [view.phase for view in house.children().values()]
        assert phases.count(Phase.STARTING) <= 3
        assert len(refs) <= number + 3
        tell(refs[number], ComeUp())
        assert number >= 6 or started.acquire(timeout=PATIENCE_S)
    house.parent.wait_started()
    assert len(refs) == 9


def test_one_that_is_told_to_end_in_the_pause_before_its_start_is_never_started(house: House) -> None:
    starts = house.steady("a")
    house.start(starts.spec("a"), independent=True, stagger=Stagger(at_once=1, jitter_s=3600.0))
    until(lambda: house.children()["a"].phase is Phase.STARTING)
    house.end()
    assert starts.count == 0


def test_one_to_be_abandoned_in_the_pause_before_its_start_is_never_started(house: House) -> None:
    starts = house.steady("a")
    house.start(starts.spec("a", shutdown=ABANDON), independent=True, stagger=Stagger(at_once=1, jitter_s=3600.0))
    house.children()
    house.end()
    assert starts.count == 0


class Pauses(random.Random):
    """Draws what the test says."""

    def __init__(self, *pauses: float) -> None:
        super().__init__()
        self._pauses = list(pauses)

    def uniform(self, a: float, b: float) -> float:
        return self._pauses.pop(0)


def test_one_that_is_started_again_under_an_old_id_is_not_taken_for_the_old_one(house: House) -> None:
    old, waits, new = house.steady("old"), house.steady("waits"), house.steady("new")
    ref = house.up(independent=True, stagger=Stagger(at_once=2, jitter_s=3600.0))
    _supervisor(ref)._random = Pauses(0.0, 3600.0, 3600.0)
    assert isinstance(house.asks(start_child, old.spec("x")), Done)
    house.asked(start_child, waits.spec("waits"))
    house.asks(terminate_child, "x")
    house.asks(delete_child, "x")
    house.asked(start_child, new.spec("x"))
    assert house.children()["x"].ref is None
    house.end()
    assert new.count == 0


def test_a_delay_that_was_set_for_an_old_id_releases_no_new_one(house: House) -> None:
    old, new = house.steady("old"), house.steady("new")
    ref = house.up(old.spec("x", backoff=Backoff(base_s=3600.0, cap_s=3600.0)))
    tell(old.next(), Do(do_crash))
    until(lambda: house.children()["x"].phase is Phase.WAITING)
    house.asks(terminate_child, "x")
    house.asks(delete_child, "x")
    house.asks(start_child, new.spec("x", quarantine=Quarantine(restarts=0, period_s=60.0)))
    tell(new.next(), Do(do_crash))
    until(lambda: house.children()["x"].phase is Phase.QUARANTINED)
    assert not _supervisor(ref)._inbox._timers


# -- hung ones --


@pytest.fixture
def hung(house: House) -> Iterator[Starts]:
    yield Starts(StuckChild.start, house.trap)
    house.trap.let_go.set()


def test_a_hung_child_is_killed_counted_and_replaced(house: House, hung: Starts) -> None:
    ref = house.up(hung.spec("a", hang_s=0.5))
    first = hung.next()
    ends = Ends(first)
    tell(first, Hang())
    ends.wait()
    hung.next()
    (reason,) = ends.reasons
    assert isinstance(reason, Killed)
    assert "it hung for" in reason.why
    assert _supervisor(ref).hung == 1
    assert house.children()["a"].restarts == 1


def test_one_that_hangs_when_it_begins_is_killed_too(house: House, hung: Starts) -> None:
    house.trap.at_start = True
    ref = house.up()
    answers = house.asked(start_child, hung.spec("a", hang_s=0.5))
    answer = taken(answers, "no answer")
    assert isinstance(answer, Refused)
    assert answer.why is Why.START_FAILED
    assert isinstance(answer.detail, Killed)
    assert _supervisor(ref).hung == 1


def test_a_hung_child_counts_once_however_long_its_thread_hangs_and_its_restart_takes(
    house: House, hung: Starts
) -> None:
    ref = house.up(hung.spec("a", hang_s=0.5, backoff=Backoff(base_s=3600.0, cap_s=3600.0)))
    first = hung.next()
    ends = Ends(first)
    tell(first, Hang())
    ends.wait()
    looks = _supervisor(ref).handled
    until(lambda: _supervisor(ref).handled >= looks + 5)
    assert _supervisor(ref).hung == 1


def test_a_busy_child_is_not_hung(house: House) -> None:
    starts = house.steady("a")
    ref = house.up(starts.spec("a", hang_s=2.0))
    child = starts.next()
    done = threading.Semaphore(0)
    for _ in range(200):
        tell(child, Do(lambda _: done.release()))
    looks = _supervisor(ref).handled
    while _supervisor(ref).handled < looks + 3:
        tell(child, Do(lambda _: done.release()))
        assert done.acquire(timeout=PATIENCE_S)
    assert _supervisor(ref).hung == 0
    assert starts.count == 1


def test_one_that_is_never_restarted_is_killed_and_forgotten(house: House, hung: Starts) -> None:
    house.up(hung.spec("a", hang_s=0.5, restart=Restart.TEMPORARY))
    child = hung.next()
    ends = Ends(child)
    tell(child, Hang())
    ends.wait()
    assert house.children() == {}


def test_a_hung_supervisor_is_killed_with_its_children_and_replaced(house: House) -> None:
    inner = house.steady("inner")
    nested = Starts(Supervisor.start, "nested", [inner.spec("inner")], Flags())
    house.up(nested.spec("nested", hang_s=0.5))
    child = inner.next()
    ends = Ends(child)

    def hang(_: Link) -> ActorRef[Any]:
        house.trap.hold()
        raise BOOM

    first = nested.next()
    start_child(first, Starts(hang).spec("stuck"))
    ends.wait()
    assert inner.next() != child
    assert nested.next() != first


def _supervisor(ref: ActorRef[Any]) -> Supervisor:
    actor = of(ref)
    assert isinstance(actor, Supervisor)
    return actor


def test_nobody_is_looked_for_who_may_take_all_the_time_it_needs() -> None:
    parent, starts = Parent(), Starts(SlowChild.start)
    ref = Supervisor.start(parent.link, "patient", [starts.spec("a", shutdown=ABANDON)])
    tell(starts.next(), ComeUp())
    parent.wait_started()
    assert not _supervisor(ref)._looking
    tell(ref, ShutDown())
    assert parent.wait_exit() == Shutdown()
