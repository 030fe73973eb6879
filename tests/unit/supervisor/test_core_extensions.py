"""Extensions ``backoff`` and ``quarantine``: failures that are a child's own."""

import pytest

from supervisor.api import DeleteChild, Done, Phase, Refused, RestartChild, StartChild, TerminateChild, Why
from supervisor.backoff import Backoff
from supervisor.reasons import FailedToStartChild, Normal, Shutdown
from supervisor.spec import ABANDON, AutoShutdown, Quarantine, Restart, Strategy
from supervisor.state import Defer, DelayRestart, Exit, Launch, Park, Reply, RestartDue, SignalShutdown, Stop, TryAgain
from tests.unit.supervisor.driver import BOOM, Driver, spec

BACKOFF = Backoff(base_s=1.0, cap_s=8.0, stable_s=30.0)
QUARANTINE = Quarantine(restarts=2, period_s=10.0, release_s=60.0)


# -- backoff --


def test_a_child_with_backoff_is_restarted_later_and_counts_towards_no_intensity() -> None:
    child = spec("a", backoff=BACKOFF)
    driver = Driver(child, intensity=0).up()
    for attempt in range(1, 10):
        assert driver.ends("a") == [DelayRestart(child, attempt, attempt)]
        assert driver.phase("a") is Phase.WAITING
        assert driver.do(RestartDue("a", attempt)) == [Launch(child, attempt + 1)]
        driver.started("a")
    assert driver.state.restarts == ()


@pytest.mark.parametrize(("up_s", "attempt"), [(29.9, 2), (30.0, 1)])
def test_backoff_begins_anew_after_the_child_was_stable(up_s: float, attempt: int) -> None:
    child = spec("a", backoff=BACKOFF)
    driver = Driver(child).up()
    driver.ends("a")
    driver.do(RestartDue("a", 1))
    driver.started("a")
    driver.now += up_s
    assert driver.ends("a") == [DelayRestart(child, 2, attempt)]


def test_time_spent_starting_is_not_stable_time() -> None:
    child = spec("a", backoff=BACKOFF)
    driver = Driver(child).up()
    driver.ends("a")
    driver.do(RestartDue("a", 1))
    driver.now += 100.0
    assert driver.ends("a") == [DelayRestart(child, 2, 2)]


@pytest.mark.parametrize(
    ("strategy", "group"),
    [(Strategy.ONE_FOR_ONE, "b"), (Strategy.REST_FOR_ONE, "bc"), (Strategy.ONE_FOR_ALL, "abc")],
)
def test_the_group_is_restarted_when_the_delay_is_over_and_not_before(strategy: Strategy, group: str) -> None:
    specs = {"a": spec("a"), "b": spec("b", backoff=BACKOFF), "c": spec("c")}
    driver = Driver(*specs.values(), strategy=strategy, intensity=0).up()
    assert driver.ends("b") == [DelayRestart(specs["b"], 1, 1)]
    effects = driver.do(RestartDue("b", 1))
    for name in reversed(group.replace("b", "")):
        assert effects == [SignalShutdown(specs[name], 1)]
        effects = driver.ends(name, Shutdown())
    for name in group:
        assert effects == [Launch(specs[name], 2)]
        effects = driver.started(name)
    assert effects == []


def test_a_delay_is_forgotten_when_the_child_is_terminated_and_a_late_one_starts_nothing() -> None:
    child = spec("a", backoff=BACKOFF)
    driver = Driver(child).up()
    driver.ends("a")
    assert driver.answer(TerminateChild("a")) == Done()
    assert driver.do(RestartDue("a", 1)) == []
    assert driver.asks(RestartChild("a")) == [Launch(child, 2)]
    assert driver.do(RestartDue("a", 1)) == []


def test_a_child_that_waits_is_nothing_to_wait_for_at_the_end() -> None:
    driver = Driver(spec("a", backoff=BACKOFF)).up()
    driver.ends("a")
    assert driver.do(Stop(Shutdown())) == [Exit(Shutdown())]


@pytest.mark.parametrize("extension", [{"backoff": BACKOFF}, {"quarantine": QUARANTINE}], ids=str)
def test_a_new_child_that_fails_to_start_is_kept_and_started_again(extension: dict[str, object]) -> None:
    child = spec("x", **extension)
    driver = Driver(intensity=0).up()
    driver.asks(StartChild(child))
    refusal, again = driver.ends("x")
    assert refusal == Reply("asker", Refused(why=Why.START_FAILED, detail=BOOM))
    assert again in (DelayRestart(child, 1, 1), Launch(child, 2))


@pytest.mark.parametrize("extension", [{"backoff": BACKOFF}, {"quarantine": QUARANTINE}], ids=str)
def test_a_temporary_child_is_never_started_again_whatever_its_extensions(extension: dict[str, object]) -> None:
    child = spec("x", restart=Restart.TEMPORARY, **extension)
    driver = Driver(intensity=0).up()
    driver.asks(StartChild(child))
    assert driver.ends("x") == [Reply("asker", Refused(why=Why.START_FAILED, detail=BOOM))]
    assert driver.phase("x") is None
    driver.asks(StartChild(child))
    driver.started("x")
    assert driver.ends("x") == []
    assert driver.phase("x") is None


@pytest.mark.parametrize("extension", [{"backoff": BACKOFF}, {"quarantine": QUARANTINE}], ids=str)
def test_a_supervisors_own_first_children_have_to_start_all_the_same(extension: dict[str, object]) -> None:
    driver = Driver(spec("a", **extension))
    driver.begin()
    assert driver.ends("a") == [Exit(Shutdown(FailedToStartChild("a", BOOM)))]


def test_a_sibling_that_fails_in_a_group_restart_is_delayed_if_its_failures_are_its_own() -> None:
    a, b, c = spec("a"), spec("b", backoff=BACKOFF), spec("c")
    driver = Driver(a, b, c, strategy=Strategy.ONE_FOR_ALL, intensity=1).up()
    driver.ends("a")
    driver.ends("c", Shutdown())
    driver.ends("b", Shutdown())
    driver.started("a")
    assert driver.ends("b") == [DelayRestart(b, 2, 1)]
    assert (driver.phase("a"), driver.phase("b"), driver.phase("c")) == (Phase.UP, Phase.WAITING, Phase.DOWN)
    assert driver.do(RestartDue("b", 2)) == [SignalShutdown(a, 2)]


# -- quarantine --


def parked(driver: Driver, id: str = "a") -> Driver:
    """``id``, which has no backoff, has failed too often."""
    for _ in range(QUARANTINE.restarts):
        driver.ends(id)
        driver.started(id)
    assert driver.ends(id) == [Park(driver.state.children[id].spec, QUARANTINE.restarts + 1)]
    assert driver.phase(id) is Phase.QUARANTINED
    return driver


def test_a_child_that_is_restarted_too_often_is_parked_and_its_neighbours_and_the_intensity_are_untouched() -> None:
    neighbour = spec("n")
    driver = parked(Driver(spec("a", quarantine=QUARANTINE), neighbour, intensity=1).up())
    assert driver.phase("n") is Phase.UP
    assert driver.incarnation("n") == 1
    assert driver.ends("n") == [Launch(neighbour, 2)], "its restart is the first that counts"


def test_restarts_older_than_its_period_do_not_count() -> None:
    driver = Driver(spec("a", quarantine=QUARANTINE), intensity=0).up()
    for _ in range(20):
        driver.ends("a")
        driver.started("a")
        driver.now += 5.1
    assert driver.phase("a") is Phase.UP


def test_a_restart_that_is_exactly_as_old_as_the_period_counts() -> None:
    driver = Driver(spec("a", quarantine=QUARANTINE), intensity=0).up()
    for _ in range(3):
        driver.ends("a")
        if driver.phase("a") is not Phase.QUARANTINED:
            driver.started("a")
        driver.now += 5.0
    assert driver.phase("a") is Phase.QUARANTINED


@pytest.mark.parametrize("backoff", [None, BACKOFF])
def test_a_start_that_fails_every_time_ends_quarantined(backoff: Backoff | None) -> None:
    child = spec("x", quarantine=QUARANTINE, backoff=backoff)
    driver = Driver(spec("n"), intensity=0).up()
    driver.asks(StartChild(child))
    effects = driver.ends("x")
    while Park(child, driver.incarnation("x")) not in effects:
        delayed = [effect for effect in effects if isinstance(effect, DelayRestart)]
        effects = driver.do(RestartDue("x", delayed[0].incarnation)) if delayed else driver.ends("x")
    assert driver.incarnation("x") == 1 + QUARANTINE.restarts
    assert driver.phase("n") is Phase.UP
    assert not driver.state.ending


def test_its_time_releases_it_and_its_count_begins_anew() -> None:
    driver = parked(Driver(spec("a", quarantine=QUARANTINE)).up())
    assert driver.do(RestartDue("a", 3)) == [Launch(driver.state.children["a"].spec, 4)]
    driver.started("a")
    for _ in range(QUARANTINE.restarts):
        (launch,) = driver.ends("a")
        assert isinstance(launch, Launch)
        driver.comes_up(launch)


def test_a_person_can_release_it_whereupon_its_time_does_nothing_more() -> None:
    driver = parked(Driver(spec("a", quarantine=QUARANTINE)).up())
    assert driver.asks(RestartChild("a")) == [Launch(driver.state.children["a"].spec, 4)]
    assert driver.started("a") == [Reply("asker", Done(id="a", incarnation=4))]
    assert driver.do(RestartDue("a", 3)) == []


def test_a_release_that_fails_is_refused_and_counts_again() -> None:
    driver = parked(Driver(spec("a", quarantine=QUARANTINE)).up())
    driver.asks(RestartChild("a"))
    refusal, again = driver.ends("a")
    assert refusal == Reply("asker", Refused(why=Why.START_FAILED, detail=BOOM))
    assert again == Launch(driver.state.children["a"].spec, 5)


def test_a_parked_child_is_down_for_whoever_asks() -> None:
    driver = parked(Driver(spec("a", quarantine=QUARANTINE)).up())
    assert driver.answer(StartChild(spec("a"))) == Refused(why=Why.ALREADY_PRESENT)
    assert driver.answer(TerminateChild("a")) == Done()
    assert driver.phase("a") is Phase.DOWN
    assert driver.answer(DeleteChild("a")) == Done()


def test_a_parked_instance_of_a_template_is_kept() -> None:
    driver = Driver(spec("t", quarantine=QUARANTINE), strategy=Strategy.DYNAMIC, intensity=0).up()
    driver.asks(StartChild())
    driver.started("t#1")
    assert parked(driver, "t#1").do(Stop(Shutdown())) == [Exit(Shutdown())]


def test_a_normal_end_of_a_permanent_child_counts_as_any_other() -> None:
    child = spec("a", quarantine=Quarantine(restarts=0, period_s=1.0))
    assert Driver(child).up().ends("a", Normal()) == [Park(child, 1)]


def test_a_parked_child_holds_up_no_automatic_end() -> None:
    significant = {"significant": True, "restart": Restart.TRANSIENT}
    a, b = spec("a", quarantine=QUARANTINE, **significant), spec("b", **significant)
    driver = parked(Driver(a, b, auto_shutdown=AutoShutdown.ALL_SIGNIFICANT).up())
    assert driver.ends("b", Normal()) == [Exit(Shutdown())]


def test_a_group_restart_that_a_sibling_fails_in_is_tried_again_though_the_first_has_backoff() -> None:
    a, b = spec("a", backoff=BACKOFF), spec("b", shutdown=ABANDON)
    driver = Driver(a, b, strategy=Strategy.ONE_FOR_ALL, intensity=1).up()
    driver.ends("a")
    driver.do(RestartDue("a", 1))
    driver.ends("b", Shutdown())
    driver.started("a")
    assert driver.ends("b") == [Defer(TryAgain("b"))]
    assert driver.do(TryAgain("b")) == [SignalShutdown(a, 2)]
