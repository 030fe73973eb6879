from typing import Any

import pytest
from pykka import ActorRef

from supervisor.actor import Link
from supervisor.backoff import Backoff
from supervisor.core import (
    AbandonChild,
    AddChild,
    Boot,
    Booted,
    Child,
    ChildPhase,
    ChildRemoved,
    ChildStartError,
    DelayRestart,
    Effect,
    Event,
    Exit,
    Exited,
    RemoveChild,
    RestartDue,
    ShutdownTimedOut,
    StartChild,
    Started,
    State,
    Stop,
    StopChild,
    step,
)
from supervisor.reasons import Crash, ExitReason, Normal, Shutdown
from supervisor.spec import ChildSpec, Intensity, Restart

BOOM = Crash(RuntimeError("boom"))
REASONS: list[ExitReason] = [Normal(), Shutdown(), Shutdown("more"), BOOM]


def never_started(_: Link) -> ActorRef[Any]:
    raise AssertionError("the core starts nothing")


def spec(id: str, restart: Restart = Restart.PERMANENT, backoff: Backoff | None = None) -> ChildSpec:
    return ChildSpec(id=id, start=never_started, restart=restart, backoff=backoff)


class Driver:
    """A state with its past effects, at a time that only the test moves."""

    def __init__(self, *specs: ChildSpec, restarts: int = 1, period_s: float = 5.0) -> None:
        children = tuple(Child(spec=spec) for spec in specs)
        self.state = State(intensity=Intensity(restarts, period_s), children=children)
        self.now = 100.0

    def do(self, event: Event) -> list[Effect]:
        self.state, effects = step(self.state, event, self.now)
        return effects

    def up(self) -> "Driver":
        """All static children are up."""
        effects = self.do(Boot())
        while Booted() not in effects:
            (start,) = effects
            assert isinstance(start, StartChild)
            effects = self.do(Started(start.spec.id, start.incarnation))
        return self

    def phase(self, id: str) -> ChildPhase | None:
        child = self.state.find(id)
        return child.phase if child else None


def test_children_are_started_one_after_another_each_once_the_one_before_it_is_up() -> None:
    a, b = spec("a"), spec("b")
    driver = Driver(a, b)
    assert driver.do(Boot()) == [StartChild(a, 1)]
    assert driver.do(Started("a", 1)) == [StartChild(b, 1)]
    assert driver.do(Started("b", 1)) == [Booted()]


def test_a_supervisor_without_children_is_up_at_once() -> None:
    assert Driver().do(Boot()) == [Booted()]


def test_children_are_stopped_one_after_another_in_the_reverse_order() -> None:
    a, b, c = spec("a"), spec("b"), spec("c")
    driver = Driver(a, b, c).up()
    assert driver.do(Stop(Shutdown())) == [StopChild(c, 1)]
    assert driver.do(Exited("c", 1, Shutdown())) == [StopChild(b, 1)]
    assert driver.do(Exited("b", 1, BOOM)) == [StopChild(a, 1)]
    assert driver.do(Exited("a", 1, Shutdown())) == [Exit(Shutdown())]


def test_dynamic_children_are_stopped_all_at_once_and_before_the_static_ones() -> None:
    a, x, y = spec("a"), spec("x"), spec("y")
    driver = Driver(a).up()
    driver.do(AddChild(x))
    driver.do(AddChild(y))
    assert driver.do(Stop(Shutdown())) == [StopChild(x, 1), StopChild(y, 1)]
    assert driver.do(Exited("x", 1, Shutdown())) == []
    assert driver.do(Exited("y", 1, Shutdown())) == [StopChild(a, 1)]


ENDS = [
    (restart, started)
    for restart in Restart
    for started in (True, False)
    if started or restart is not Restart.TEMPORARY  # which is never restarting
]


@pytest.mark.parametrize("reason", REASONS, ids=str)
@pytest.mark.parametrize(("restart", "started"), ENDS)
def test_restart_type_and_reason_decide_whether_a_child_is_started_again(
    restart: Restart, reason: ExitReason, started: bool
) -> None:
    child = spec("a", restart)
    driver = Driver(child, restarts=9).up()
    incarnation = 1
    if not started:
        driver.do(Exited("a", 1, BOOM))
        incarnation = 2
    again = restart is Restart.PERMANENT or (restart is Restart.TRANSIENT and isinstance(reason, Crash))
    effects = driver.do(Exited("a", incarnation, reason))
    assert effects == ([StartChild(child, incarnation + 1)] if again else [ChildRemoved("a")])


def test_a_restarted_child_tells_its_restarts_and_last_exit() -> None:
    driver = Driver(spec("a")).up()
    driver.do(Exited("a", 1, BOOM))
    child = driver.state.find("a")
    assert child is not None
    assert (child.restarts, child.last_exit, child.incarnation) == (1, "RuntimeError: boom", 2)


def test_more_restarts_than_the_intensity_within_the_period_end_the_supervisor_with_shutdown() -> None:
    a, b = spec("a"), spec("b")
    driver = Driver(a, b, restarts=2, period_s=5.0).up()
    driver.do(Exited("b", 1, BOOM))
    driver.now += 5.0
    assert driver.do(Exited("b", 2, BOOM)) == [StartChild(b, 3)]
    assert driver.do(Exited("b", 3, BOOM)) == [StopChild(a, 1)]
    (end,) = driver.do(Exited("a", 1, Shutdown()))
    assert isinstance(end, Exit)
    assert isinstance(end.reason, Shutdown)
    assert "restart intensity reached by b: RuntimeError: boom" in str(end.reason)


def test_restarts_older_than_the_period_are_forgotten() -> None:
    driver = Driver(spec("a"), restarts=1, period_s=5.0).up()
    for incarnation in range(1, 20):
        assert driver.do(Exited("a", incarnation, BOOM)) == [StartChild(spec("a"), incarnation + 1)]
        driver.now += 5.1
    assert len(driver.state.restarts) <= 2


def test_restarts_of_all_children_count_together() -> None:
    a, b = spec("a"), spec("b")
    driver = Driver(a, b, restarts=1).up()
    driver.do(Exited("a", 1, BOOM))
    driver.do(Started("a", 2))
    assert driver.do(Exited("b", 1, BOOM)) == [StopChild(a, 2)]


BACKOFF = Backoff(base_s=1.0, cap_s=8.0, stable_s=30.0)


def test_a_child_with_backoff_is_restarted_later_and_counts_towards_no_intensity() -> None:
    child = spec("a", backoff=BACKOFF)
    driver = Driver(child, restarts=0).up()
    for attempt in range(1, 10):
        assert driver.do(Exited("a", attempt, BOOM)) == [DelayRestart(child, attempt, attempt)]
        assert driver.phase("a") is ChildPhase.WAITING
        assert driver.do(RestartDue("a", attempt)) == [StartChild(child, attempt + 1)]
        driver.do(Started("a", attempt + 1))


def test_backoff_begins_anew_after_the_child_was_stable() -> None:
    child = spec("a", backoff=BACKOFF)
    driver = Driver(child).up()
    driver.do(Exited("a", 1, BOOM))
    driver.do(RestartDue("a", 1))
    driver.do(Started("a", 2))
    driver.now += 29.9
    assert driver.do(Exited("a", 2, BOOM)) == [DelayRestart(child, 2, 2)]
    driver.do(RestartDue("a", 2))
    driver.do(Started("a", 3))
    driver.now += 30.0
    assert driver.do(Exited("a", 3, BOOM)) == [DelayRestart(child, 3, 1)]


def test_time_spent_starting_is_not_stable_time() -> None:
    child = spec("a", backoff=BACKOFF)
    driver = Driver(child).up()
    driver.do(Exited("a", 1, BOOM))
    driver.do(RestartDue("a", 1))
    driver.now += 100.0
    assert driver.do(Exited("a", 2, BOOM)) == [DelayRestart(child, 2, 2)]


@pytest.mark.parametrize("reason", REASONS, ids=str)
@pytest.mark.parametrize("restart", Restart)
def test_a_first_start_that_fails_stops_the_others_in_reverse_and_fails_the_supervisor(
    restart: Restart, reason: ExitReason
) -> None:
    a, b, c, d = spec("a"), spec("b"), spec("c", restart, BACKOFF), spec("d")
    driver = Driver(a, b, c, d)
    driver.do(Boot())
    driver.do(Started("a", 1))
    driver.do(Started("b", 1))
    assert driver.do(Exited("c", 1, reason)) == [StopChild(b, 1)]
    assert driver.do(Exited("b", 1, Shutdown())) == [StopChild(a, 1)]
    (end,) = driver.do(Exited("a", 1, Shutdown()))
    assert isinstance(end, Exit)
    assert isinstance(end.reason, Crash)
    assert isinstance(end.reason.error, ChildStartError)
    assert (end.reason.error.id, end.reason.error.reason) == ("c", reason)


def test_a_child_that_was_up_and_crashes_while_others_start_is_restarted_and_not_waited_for() -> None:
    a, b, c = spec("a"), spec("b"), spec("c")
    driver = Driver(a, b, c)
    driver.do(Boot())
    driver.do(Started("a", 1))
    assert driver.do(Exited("a", 1, BOOM)) == [StartChild(a, 2)]
    assert driver.do(Started("a", 2)) == [], "b is not up yet"
    assert driver.do(Started("b", 1)) == [StartChild(c, 1)]
    assert driver.do(Started("c", 1)) == [Booted()]


def test_removing_the_child_that_is_starting_lets_the_next_one_start() -> None:
    a, b = spec("a"), spec("b")
    driver = Driver(a, b)
    driver.do(Boot())
    assert driver.do(RemoveChild("a")) == [StopChild(a, 1), StartChild(b, 1)]
    assert driver.do(Started("b", 1)) == [Booted()]
    assert driver.do(Exited("a", 1, Shutdown())) == [ChildRemoved("a")]


def test_removing_the_last_child_that_is_starting_brings_the_supervisor_up() -> None:
    a = spec("a")
    driver = Driver(a)
    driver.do(Boot())
    assert driver.do(RemoveChild("a")) == [StopChild(a, 1), Booted()]


def test_removing_a_queued_child_means_that_it_is_never_started() -> None:
    driver = Driver(spec("a"), spec("b"))
    driver.do(Boot())
    assert driver.do(RemoveChild("b")) == [ChildRemoved("b")]
    assert driver.do(Started("a", 1)) == [Booted()]


def test_a_child_added_while_others_start_neither_hurries_nor_fails_them() -> None:
    a, b, x = spec("a"), spec("b"), spec("x", Restart.TEMPORARY)
    driver = Driver(a, b)
    driver.do(Boot())
    assert driver.do(AddChild(x)) == [StartChild(x, 1)]
    assert driver.do(Started("x", 1)) == [], "a is not up yet"
    driver.do(Exited("x", 1, BOOM))
    driver.do(AddChild(x))
    assert driver.do(Exited("x", 1, BOOM)) == [ChildRemoved("x")]
    assert driver.do(Started("a", 1)) == [StartChild(b, 1)]


def test_stop_while_starting_tells_the_one_that_starts_to_end_and_starts_no_other() -> None:
    a, b, c = spec("a"), spec("b"), spec("c")
    driver = Driver(a, b, c)
    driver.do(Boot())
    driver.do(Started("a", 1))
    assert driver.do(Stop(Shutdown())) == [StopChild(b, 1)]
    assert driver.do(Started("b", 1)) == []
    assert driver.do(Exited("b", 1, Shutdown())) == [StopChild(a, 1)]
    assert driver.do(Exited("a", 1, Shutdown())) == [Exit(Shutdown())]


def test_a_child_that_ends_by_itself_while_the_supervisor_stops_is_not_restarted() -> None:
    a, b, c = spec("a"), spec("b", backoff=BACKOFF), spec("c")
    driver = Driver(a, b, c, restarts=0).up()
    driver.do(Stop(Shutdown()))
    assert driver.do(Exited("a", 1, BOOM)) == []
    assert driver.do(Exited("b", 1, BOOM)) == []
    assert driver.do(Exited("c", 1, Shutdown())) == [Exit(Shutdown())]


def test_stop_forgets_a_child_that_waits_for_its_restart() -> None:
    driver = Driver(spec("a", backoff=BACKOFF)).up()
    driver.do(Exited("a", 1, BOOM))
    assert driver.do(Stop(Shutdown())) == [Exit(Shutdown())]
    assert driver.do(RestartDue("a", 1)) == []


def test_a_second_stop_changes_nothing() -> None:
    driver = Driver(spec("a")).up()
    driver.do(Stop(Shutdown("first")))
    assert driver.do(Stop(BOOM)) == []
    assert driver.do(Exited("a", 1, Shutdown())) == [Exit(Shutdown("first"))]


def test_a_child_that_does_not_end_in_its_time_is_abandoned_and_the_next_one_stopped() -> None:
    a, b = spec("a"), spec("b")
    driver = Driver(a, b).up()
    driver.do(Stop(Shutdown()))
    assert driver.do(ShutdownTimedOut("b", 1)) == [AbandonChild(b, 1), StopChild(a, 1)]
    assert driver.do(Exited("b", 1, Shutdown())) == [], "what an abandoned child says is dropped"
    assert driver.do(ShutdownTimedOut("a", 1)) == [AbandonChild(a, 1), Exit(Shutdown())]


def test_an_abandoned_child_that_was_to_be_removed_is_forgotten() -> None:
    a = spec("a")
    driver = Driver(a).up()
    driver.do(RemoveChild("a"))
    assert driver.do(ShutdownTimedOut("a", 1)) == [AbandonChild(a, 1), ChildRemoved("a")]


def test_what_an_abandoned_child_says_late_is_not_taken_for_its_successor() -> None:
    x = spec("x")
    driver = Driver().up()
    driver.do(AddChild(x))
    driver.do(RemoveChild("x"))
    driver.do(ShutdownTimedOut("x", 1))
    assert driver.do(AddChild(x)) == [StartChild(x, 2)]
    assert driver.do(Exited("x", 1, BOOM)) == []
    assert driver.phase("x") is ChildPhase.STARTING
    assert driver.state.abandoned == ()


@pytest.mark.parametrize(
    "stale",
    [
        Started("a", 1),
        Exited("a", 1, BOOM),
        ShutdownTimedOut("a", 1),
        RestartDue("a", 1),
        Started("nobody", 1),
        Exited("nobody", 1, BOOM),
        ShutdownTimedOut("nobody", 1),
        RestartDue("nobody", 1),
        RemoveChild("nobody"),
    ],
    ids=repr,
)
def test_what_a_past_incarnation_says_is_dropped(stale: Event) -> None:
    driver = Driver(spec("a")).up()
    driver.do(Exited("a", 1, BOOM))
    before = driver.state
    assert driver.do(stale) == []
    assert driver.state == before


def test_a_timeout_that_comes_after_the_end_is_dropped() -> None:
    driver = Driver(spec("a"), spec("b")).up()
    driver.do(RemoveChild("a"))
    driver.do(Exited("a", 1, Shutdown()))
    assert driver.do(ShutdownTimedOut("a", 1)) == []


@pytest.mark.parametrize("reason", REASONS, ids=str)
@pytest.mark.parametrize("restart", Restart)
def test_a_removed_child_ends_for_good_whatever_its_restart_type_and_reason(
    restart: Restart, reason: ExitReason
) -> None:
    a = spec("a", restart)
    driver = Driver(a).up()
    assert driver.do(RemoveChild("a")) == [StopChild(a, 1)]
    assert driver.do(RemoveChild("a")) == []
    assert driver.do(Exited("a", 1, reason)) == [ChildRemoved("a")]


def test_removing_a_child_that_waits_for_its_restart_forgets_it_at_once() -> None:
    driver = Driver(spec("a", backoff=BACKOFF)).up()
    driver.do(Exited("a", 1, BOOM))
    assert driver.do(RemoveChild("a")) == [ChildRemoved("a")]
    assert driver.do(RestartDue("a", 1)) == []


def test_removing_while_stopping_tells_no_child_twice_to_end() -> None:
    a, b = spec("a"), spec("b")
    driver = Driver(a, b).up()
    driver.do(Stop(Shutdown()))
    assert driver.do(RemoveChild("b")) == []
    assert driver.do(RemoveChild("a")) == [StopChild(a, 1)]
    assert driver.do(Exited("b", 1, Shutdown())) == [ChildRemoved("b")]
    assert driver.do(Exited("a", 1, Shutdown())) == [ChildRemoved("a"), Exit(Shutdown())]


@pytest.mark.parametrize("phase", ["starting", "running", "waiting", "stopping"])
def test_adding_an_id_that_is_there_already_changes_nothing(phase: str) -> None:
    a = spec("a", backoff=BACKOFF)
    driver = Driver().up()
    driver.do(AddChild(a))
    if phase != "starting":
        driver.do(Started("a", 1))
    if phase == "waiting":
        driver.do(Exited("a", 1, BOOM))
    if phase == "stopping":
        driver.do(RemoveChild("a"))
    assert driver.phase("a") is ChildPhase(phase)
    assert driver.do(AddChild(a)) == []


def test_a_removed_child_may_be_added_again_at_once() -> None:
    a = spec("a")
    driver = Driver().up()
    driver.do(AddChild(a))
    driver.do(RemoveChild("a"))
    assert driver.do(Exited("a", 1, Shutdown())) == [ChildRemoved("a")]
    assert driver.do(AddChild(a)) == [StartChild(a, 1)]


def test_nothing_is_added_while_stopping() -> None:
    driver = Driver(spec("a")).up()
    driver.do(Stop(Shutdown()))
    assert driver.do(AddChild(spec("x"))) == []
