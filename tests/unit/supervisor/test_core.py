"""OTP's semantics, decision by decision: starting, ending, restarting, giving up."""

import pytest

from supervisor.api import Phase
from supervisor.reasons import Crash, ExitReason, FailedToStartChild, Killed, Normal, Shutdown
from supervisor.spec import ABANDON, INFINITY, AutoShutdown, ChildType, Restart, Strategy
from supervisor.state import (
    Begin,
    Booted,
    Defer,
    Effect,
    Event,
    Exit,
    Exited,
    Ignored,
    KillChild,
    Launch,
    RestartDue,
    SignalShutdown,
    Started,
    Stop,
    TimedOut,
    TryAgain,
)
from tests.unit.supervisor.driver import BOOM, REASONS, Driver, spec

STATIC = [Strategy.ONE_FOR_ONE, Strategy.ONE_FOR_ALL, Strategy.REST_FOR_ONE]
A, B, C = spec("a"), spec("b"), spec("c")


def three(**flags: object) -> Driver:
    return Driver(A, B, C, **flags).up()


# -- starting --


def test_children_are_started_one_after_another_each_once_the_one_before_it_is_up() -> None:
    driver = Driver(A, B)
    assert driver.begin() == [Launch(A, 1)]
    assert driver.started("a") == [Launch(B, 1)]
    assert driver.started("b") == [Booted()]


@pytest.mark.parametrize("strategy", STATIC)
def test_a_supervisor_without_children_is_up_at_once(strategy: Strategy) -> None:
    assert Driver(strategy=strategy).do(Begin()) == [Booted()]


def test_a_dynamic_supervisor_starts_nothing_by_itself() -> None:
    assert Driver(spec("template"), strategy=Strategy.DYNAMIC).begin() == [Booted()]


@pytest.mark.parametrize("reason", REASONS, ids=str)
@pytest.mark.parametrize("restart", Restart)
@pytest.mark.parametrize("strategy", STATIC)
def test_a_first_start_that_fails_stops_the_others_in_reverse_and_fails_the_supervisor(
    strategy: Strategy, restart: Restart, reason: ExitReason
) -> None:
    driver = Driver(A, B, spec("c", restart=restart), spec("d"), strategy=strategy, intensity=9)
    driver.begin()
    driver.started("a")
    driver.started("b")
    assert driver.ends("c", reason) == [SignalShutdown(B, 1)]
    assert driver.ends("b", Shutdown()) == [SignalShutdown(A, 1)]
    assert driver.ends("a", Shutdown()) == [Exit(Shutdown(FailedToStartChild("c", reason)))]


@pytest.mark.parametrize("restart", Restart)
def test_a_child_that_ignores_its_start_is_no_error_and_remembered_unless_it_is_temporary(restart: Restart) -> None:
    driver = Driver(spec("a", restart=restart), B)
    driver.begin()
    assert driver.do(Ignored("a", 1)) == [Launch(B, 1)]
    assert driver.phase("a") is (None if restart is Restart.TEMPORARY else Phase.DOWN)


def test_a_child_that_was_up_and_ends_while_others_start_is_restarted_afterwards() -> None:
    driver = Driver(A, B)
    driver.begin()
    driver.started("a")
    assert driver.ends("a") == []
    assert driver.started("b") == [Booted(), Launch(A, 2)]


# -- who is restarted --


def restarts(restart: Restart, reason: ExitReason) -> bool:
    return restart is Restart.PERMANENT or (restart is Restart.TRANSIENT and isinstance(reason, Crash | Killed))


@pytest.mark.parametrize("reason", REASONS, ids=str)
@pytest.mark.parametrize("restart", Restart)
@pytest.mark.parametrize(
    ("strategy", "group"),
    [(Strategy.ONE_FOR_ONE, "b"), (Strategy.REST_FOR_ONE, "bc"), (Strategy.ONE_FOR_ALL, "abc")],
)
def test_restart_type_and_reason_decide_whether_and_the_strategy_decides_who(
    strategy: Strategy, group: str, restart: Restart, reason: ExitReason
) -> None:
    specs = {"a": A, "b": spec("b", restart=restart), "c": C}
    driver = Driver(*specs.values(), strategy=strategy).up()
    effects = driver.ends("b", reason)
    if not restarts(restart, reason):
        assert effects == []
        assert driver.phase("b") is (None if restart is Restart.TEMPORARY else Phase.DOWN)
        assert driver.phase("a") is driver.phase("c") is Phase.UP
        return
    for name in reversed(group.replace("b", "")):
        assert effects == [SignalShutdown(specs[name], 1)], "in reverse order"
        effects = driver.ends(name, Shutdown())
    for name in group:
        assert effects == [Launch(specs[name], 2)], "in order"
        effects = driver.started(name)
    assert effects == []


@pytest.mark.parametrize("reason", REASONS, ids=str)
@pytest.mark.parametrize("restart", Restart)
def test_an_instance_of_a_template_is_restarted_alone_or_forgotten(restart: Restart, reason: ExitReason) -> None:
    driver = Driver(spec("t", restart=restart), strategy=Strategy.DYNAMIC).up()
    driver.add_instance()
    driver.add_instance()
    effects = driver.ends("t#1", reason)
    if restarts(restart, reason):
        (launch,) = effects
        assert isinstance(launch, Launch)
        assert (launch.spec.id, launch.incarnation) == ("t#1", 2)
    else:
        assert effects == []
        assert driver.phase("t#1") is None


def test_a_group_restart_forgets_its_temporary_members_and_revives_those_that_were_down() -> None:
    temporary, transient = spec("tmp", restart=Restart.TEMPORARY), spec("done", restart=Restart.TRANSIENT)
    driver = Driver(A, temporary, transient, strategy=Strategy.ONE_FOR_ALL).up()
    driver.ends("done", Normal())
    assert driver.ends("a") == [SignalShutdown(temporary, 1)]
    assert driver.ends("tmp", Shutdown()) == [Launch(A, 2)]
    assert driver.started("a") == [Launch(transient, 2)]
    assert driver.phase("tmp") is None


def test_an_end_that_comes_while_a_group_is_stopped_is_absorbed() -> None:
    driver = three(strategy=Strategy.ONE_FOR_ALL)
    assert driver.ends("b") == [SignalShutdown(C, 1)]
    assert driver.ends("a") == []
    assert driver.ends("c", Shutdown()) == [Launch(A, 2)], "a is down already"
    assert len(driver.state.restarts) == 1


def test_a_child_tells_its_restarts_and_its_last_exit() -> None:
    driver = three()
    driver.ends("a")
    child = driver.state.children["a"]
    assert (child.restarts, child.last_exit, child.incarnation) == (1, "RuntimeError: boom", 2)


# -- restarts that fail --


@pytest.mark.parametrize("reason", REASONS, ids=str)
@pytest.mark.parametrize("restart", [Restart.PERMANENT, Restart.TRANSIENT])
def test_a_failed_restart_is_tried_again_through_the_mailbox_and_counts_again(
    restart: Restart, reason: ExitReason
) -> None:
    child = spec("a", restart=restart)
    driver = Driver(child, intensity=2).up()
    assert driver.ends("a") == [Launch(child, 2)]
    assert driver.ends("a", reason) == [Defer(TryAgain("a"))]
    assert driver.phase("a") is Phase.RESTARTING
    assert driver.do(TryAgain("a")) == [Launch(child, 3)]
    driver.ends("a", reason)
    assert driver.do(TryAgain("a")) == [Exit(Shutdown())]


def test_a_sibling_that_fails_in_a_group_restart_makes_the_whole_group_be_tried_again() -> None:
    driver = three(strategy=Strategy.ONE_FOR_ALL, intensity=5)
    driver.ends("a")
    driver.ends("c", Shutdown())
    driver.ends("b", Shutdown())
    driver.started("a")
    assert driver.ends("b") == [Defer(TryAgain("b"))]
    assert (driver.phase("a"), driver.phase("b"), driver.phase("c")) == (Phase.UP, Phase.RESTARTING, Phase.DOWN)
    assert driver.do(TryAgain("b")) == [SignalShutdown(A, 2)]
    assert driver.ends("a", Shutdown()) == [Launch(A, 3)]


def test_in_rest_for_one_only_those_from_the_failed_sibling_on_are_tried_again() -> None:
    driver = three(strategy=Strategy.REST_FOR_ONE, intensity=5)
    driver.ends("a")
    driver.ends("c", Shutdown())
    driver.ends("b", Shutdown())
    driver.started("a")
    driver.ends("b")
    assert driver.do(TryAgain("b")) == [Launch(B, 3)]
    assert driver.phase("a") is Phase.UP


def test_a_restart_may_be_ignored() -> None:
    driver = three()
    driver.ends("a")
    assert driver.do(Ignored("a", 2)) == []
    assert driver.phase("a") is Phase.DOWN


# -- intensity --


def test_more_restarts_than_the_intensity_within_the_period_end_the_supervisor_with_shutdown() -> None:
    driver = Driver(A, B, intensity=2, period_s=5.0).up()
    driver.ends("b")
    driver.started("b")
    driver.now += 5.0
    assert driver.ends("b") == [Launch(B, 3)]
    driver.started("b")
    assert driver.ends("b") == [SignalShutdown(A, 1)]
    assert driver.ends("a", Shutdown()) == [Exit(Shutdown())]


def test_restarts_older_than_the_period_are_forgotten() -> None:
    driver = Driver(A, intensity=1, period_s=5.0).up()
    for incarnation in range(1, 20):
        assert driver.ends("a") == [Launch(A, incarnation + 1)]
        driver.started("a")
        driver.now += 5.1
    assert len(driver.state.restarts) <= 2


@pytest.mark.parametrize("strategy", STATIC)
def test_restarts_of_all_children_count_together_and_a_group_once(strategy: Strategy) -> None:
    driver = three(strategy=strategy, intensity=1)
    effects = driver.ends("a")
    while effects:
        match effects[0]:
            case SignalShutdown(spec, incarnation):
                effects = driver.do(Exited(spec.id, incarnation, Shutdown()))
            case Launch() as launch:
                effects = driver.comes_up(launch)
            case other:
                raise AssertionError(other)
    assert len(driver.state.restarts) == 1
    driver.ends("c")
    assert driver.state.ending


# -- auto_shutdown --

MATTERS = {"significant": True}


@pytest.mark.parametrize("reason", REASONS, ids=str)
@pytest.mark.parametrize("restart", [Restart.TRANSIENT, Restart.TEMPORARY])
@pytest.mark.parametrize("mode", [AutoShutdown.ANY_SIGNIFICANT, AutoShutdown.ALL_SIGNIFICANT])
def test_a_significant_child_that_ends_for_good_ends_the_supervisor_as_auto_shutdown_says(
    mode: AutoShutdown, restart: Restart, reason: ExitReason
) -> None:
    first, last = spec("first", restart=restart, **MATTERS), spec("last", restart=restart, **MATTERS)
    driver = Driver(first, last, A, auto_shutdown=mode, intensity=9).up()
    driver.ends("first", reason)
    assert driver.state.ending == (mode is AutoShutdown.ANY_SIGNIFICANT and not restarts(restart, reason))
    if not driver.state.ending:
        if restarts(restart, reason):
            driver.started("first")
        driver.ends("last", reason)
        assert driver.state.ending == (not restarts(restart, reason))


def test_children_that_do_not_matter_end_no_supervisor() -> None:
    driver = Driver(spec("a", restart=Restart.TEMPORARY), auto_shutdown=AutoShutdown.ANY_SIGNIFICANT).up()
    assert driver.ends("a") == []


# -- ending --


def test_children_are_stopped_one_after_another_in_the_reverse_order() -> None:
    driver = three()
    assert driver.do(Stop(Shutdown())) == [SignalShutdown(C, 1)]
    assert driver.ends("c", Shutdown()) == [SignalShutdown(B, 1)]
    assert driver.ends("b", BOOM) == [SignalShutdown(A, 1)]
    assert driver.ends("a", Shutdown()) == [Exit(Shutdown())]


def test_instances_of_a_template_are_stopped_all_at_once() -> None:
    driver = Driver(spec("t"), strategy=Strategy.DYNAMIC).up()
    for _ in range(3):
        driver.add_instance()
    effects = driver.do(Stop(Shutdown()))
    assert sorted(e.spec.id for e in effects if isinstance(e, SignalShutdown)) == ["t#1", "t#2", "t#3"]
    for name in ("t#2", "t#1"):
        assert driver.ends(name, Shutdown()) == []
    assert driver.ends("t#3", Shutdown()) == [Exit(Shutdown())]


def test_stop_while_starting_tells_the_one_that_starts_to_end_and_starts_no_other() -> None:
    driver = Driver(A, B, C)
    driver.begin()
    driver.started("a")
    assert driver.do(Stop(Shutdown())) == [SignalShutdown(B, 1)]
    assert driver.do(Started("b", 1)) == [], "too late"
    assert driver.ends("b", Shutdown()) == [SignalShutdown(A, 1)]
    assert driver.ends("a", Shutdown()) == [Exit(Shutdown())]


def test_stop_while_stopping_a_group_waits_for_whom_it_waits_already_and_restarts_nobody() -> None:
    driver = three(strategy=Strategy.ONE_FOR_ALL)
    assert driver.ends("b") == [SignalShutdown(C, 1)]
    assert driver.do(Stop(Shutdown())) == []
    assert driver.ends("c", Shutdown()) == [SignalShutdown(A, 1)]
    assert driver.ends("a", Shutdown()) == [Exit(Shutdown())]


def test_a_second_stop_changes_nothing() -> None:
    driver = Driver(A).up()
    driver.do(Stop(Shutdown("first")))
    assert driver.do(Stop(BOOM)) == []
    assert driver.ends("a", Shutdown()) == [Exit(Shutdown("first"))]


def test_a_child_that_ends_by_itself_while_the_supervisor_stops_is_neither_told_nor_restarted() -> None:
    driver = three(intensity=0)
    driver.do(Stop(Shutdown()))
    assert driver.ends("a") == []
    assert driver.ends("c", Shutdown()) == [SignalShutdown(B, 1)]
    assert driver.ends("b", Shutdown()) == [Exit(Shutdown())]


def test_a_child_that_does_not_end_in_its_time_is_killed_and_its_end_waited_for() -> None:
    driver = Driver(A, B).up()
    driver.do(Stop(Shutdown()))
    assert driver.do(TimedOut("b", 1)) == [KillChild("b", 1)]
    assert driver.ends("b", Killed()) == [SignalShutdown(A, 1)]
    assert driver.do(TimedOut("b", 1)) == [], "too late"


def test_a_child_to_be_abandoned_is_never_asked() -> None:
    abandoned = spec("a", shutdown=ABANDON)
    driver = Driver(abandoned).up()
    assert driver.do(Stop(Shutdown())) == [KillChild("a", 1)]
    assert driver.ends("a", Killed()) == [Exit(Shutdown())]


@pytest.mark.parametrize(
    ("shutdown", "type", "patience"),
    [
        (None, ChildType.WORKER, 5.0),
        (None, ChildType.SUPERVISOR, INFINITY),
        (2, ChildType.SUPERVISOR, 2),
        (INFINITY, ChildType.WORKER, INFINITY),
        (ABANDON, ChildType.WORKER, ABANDON),
    ],
)
def test_a_worker_has_five_seconds_to_end_and_a_supervisor_all_it_needs(
    shutdown: object, type: ChildType, patience: object
) -> None:
    assert spec("a", shutdown=shutdown, type=type).patience == patience


# -- what is not for now --


@pytest.mark.parametrize(
    "stale",
    [
        event
        for name, number in (("a", 1), ("nobody", 1))
        for event in (
            Started(name, number),
            Ignored(name, number),
            Exited(name, number, BOOM),
            TimedOut(name, number),
            RestartDue(name, number),
            TryAgain(name),
        )
    ],
    ids=repr,
)
def test_what_a_past_incarnation_says_is_dropped(stale: Event) -> None:
    driver = Driver(A).up()
    driver.ends("a")
    driver.started("a")
    before, nothing = driver.state, list[Effect]()
    assert driver.do(stale) == nothing
    assert driver.state == before
