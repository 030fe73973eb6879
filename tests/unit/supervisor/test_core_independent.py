"""Extensions ``independent`` and ``stagger``: who takes long holds up nobody, and not all start at once."""

import pytest

from supervisor.api import Children, Done, Phase, Refused, RestartChild, StartChild, TerminateChild, WhichChildren, Why
from supervisor.reasons import FailedToStartChild, Shutdown
from supervisor.spec import Restart, Stagger
from supervisor.state import Booted, Exit, KillChild, Launch, Reply, SignalShutdown, Started, Stop, TimedOut
from tests.unit.supervisor.driver import BOOM, Driver, spec


def test_independent_children_all_start_at_once_and_it_is_up_when_the_last_of_them_is() -> None:
    a, b, c = spec("a"), spec("b"), spec("c")
    driver = Driver(a, b, c, independent=True)
    assert driver.begin() == [Launch(a, 1), Launch(b, 1), Launch(c, 1)]
    assert driver.started("c") == []
    assert driver.started("a") == []
    assert driver.started("b") == [Booted()]


def test_a_child_that_hangs_in_its_first_start_holds_up_no_other_restart_or_request() -> None:
    stuck, a, x = spec("stuck"), spec("a"), spec("x")
    driver = Driver(stuck, a, independent=True, intensity=5)
    driver.begin()
    driver.started("a")
    assert driver.ends("a") == [Launch(a, 2)]
    assert driver.asks(StartChild(x)) == [Launch(x, 1)]
    assert driver.started("x") == [Reply("asker", Done(id="x", incarnation=1))]
    assert isinstance(driver.answer(WhichChildren()), Children)


def test_a_first_start_that_fails_ends_all_that_were_started_with_it() -> None:
    a, b, c = spec("a"), spec("b"), spec("c")
    driver = Driver(a, b, c, independent=True)
    driver.begin()
    driver.started("a")
    assert driver.ends("b") == [SignalShutdown(c, 1), SignalShutdown(a, 1)]
    driver.ends("a", Shutdown())
    assert driver.ends("c", Shutdown()) == [Exit(Shutdown(FailedToStartChild("b", BOOM)))]


def test_a_child_that_hangs_in_its_end_holds_up_only_what_concerns_itself() -> None:
    a, b = spec("a"), spec("b")
    driver = Driver(a, b, independent=True).up()
    assert driver.asks(TerminateChild("a"), 1) == [SignalShutdown(a, 1)]
    assert driver.asks(RestartChild("a"), 2) == [], "its own turn comes after its end"
    assert driver.asks(TerminateChild("b"), 3) == [SignalShutdown(b, 1)]
    assert driver.ends("b", Shutdown()) == [Reply(3, Done())]
    assert driver.asks(RestartChild("b"), 4) == [Launch(b, 2)]
    assert driver.do(TimedOut("a", 1)) == [KillChild("a", 1)]
    assert driver.ends("a", Shutdown()) == [Reply(1, Done()), Launch(a, 2)]
    assert driver.started("a") == [Reply(2, Done(id="a", incarnation=2))]


def test_at_the_end_all_are_told_at_once_whatever_they_are_at() -> None:
    up, starting, stopping = spec("up"), spec("starting"), spec("stopping")
    driver = Driver(up, stopping, independent=True).up()
    driver.asks(StartChild(starting), 1)
    driver.asks(TerminateChild("stopping"), 2)
    effects = driver.do(Stop(Shutdown()))
    assert {effect for effect in effects if isinstance(effect, SignalShutdown)} == {
        SignalShutdown(starting, 1),
        SignalShutdown(up, 1),
    }
    driver.ends("up", Shutdown())
    driver.ends("starting", Shutdown())
    assert driver.ends("stopping", Shutdown()) == [Exit(Shutdown())]


def test_the_intensity_counts_the_restarts_of_independent_children_together() -> None:
    driver = Driver(spec("a"), spec("b"), spec("c"), independent=True, intensity=2).up()
    driver.ends("a")
    driver.ends("b")
    assert any(isinstance(effect, SignalShutdown) for effect in driver.ends("c"))
    assert driver.state.ending


# -- stagger --


@pytest.mark.parametrize("at_once", [1, 2, 5])
def test_never_more_than_at_once_are_starting_and_everyone_is_started_in_the_end(at_once: int) -> None:
    specs = [spec(f"{number}") for number in range(12)]
    driver = Driver(*specs[:6], independent=True, stagger=Stagger(at_once=at_once))
    launched = [effect for effect in driver.begin() if isinstance(effect, Launch)]
    for each in specs[6:]:
        launched += [effect for effect in driver.asks(StartChild(each), each.id) if isinstance(effect, Launch)]
    assert len(launched) == at_once
    order = []
    while launched:
        first = launched.pop(0)
        order.append(first.spec.id)
        launched += [effect for effect in driver.comes_up(first) if isinstance(effect, Launch)]
        assert sum(child.phase is Phase.STARTING for child in driver.state.children.values()) <= at_once
    assert order == [each.id for each in specs], "who came first is started first"
    assert all(child.phase is Phase.UP for child in driver.state.children.values())


@pytest.mark.parametrize("restart", Restart)
def test_one_that_fails_to_start_makes_room_for_the_next(restart: Restart) -> None:
    a, b = spec("a", restart=restart), spec("b")
    driver = Driver(independent=True, stagger=Stagger(at_once=1)).up()
    assert driver.asks(StartChild(a), 1) == [Launch(a, 1)]
    assert driver.asks(StartChild(b), 2) == []
    assert driver.ends("a") == [Reply(1, Refused(why=Why.START_FAILED, detail=BOOM)), Launch(b, 1)]


def test_restarts_wait_for_their_turn_as_first_starts_do() -> None:
    a, b = spec("a"), spec("b")
    driver = Driver(a, b, independent=True, stagger=Stagger(at_once=1), intensity=9).up()
    assert driver.ends("a") == [Launch(a, 2)]
    assert driver.ends("b") == []
    assert driver.do(Started("a", 2)) == [Launch(b, 2)]


def test_who_waits_for_its_turn_when_all_ends_is_never_started() -> None:
    a, b = spec("a"), spec("b")
    driver = Driver(independent=True, stagger=Stagger(at_once=1)).up()
    driver.asks(StartChild(a), 1)
    driver.asks(StartChild(b), 2)
    effects = driver.do(Stop(Shutdown()))
    assert [effect for effect in effects if not isinstance(effect, Reply)] == [SignalShutdown(a, 1)]
    assert driver.ends("a", Shutdown()) == [Exit(Shutdown())]
