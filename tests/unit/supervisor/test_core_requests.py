"""What a supervisor answers, in every phase of the child that it is asked about."""

from typing import Any

import pytest

from supervisor.actor import Link
from supervisor.api import (
    Answer,
    Children,
    ChildView,
    CountChildren,
    DeleteChild,
    Done,
    Ended,
    GetChildSpec,
    Phase,
    Process,
    Refused,
    Request,
    RestartChild,
    SpecOf,
    StartChild,
    TerminateChild,
    WhichChildren,
    Why,
)
from supervisor.backoff import Backoff
from supervisor.reasons import Killed, Normal, Shutdown
from supervisor.spec import ABANDON, ChildSpec, ChildType, Quarantine, Restart, SpecError, Strategy
from supervisor.state import (
    Count,
    Defer,
    Exit,
    Exited,
    Ignored,
    KillChild,
    Launch,
    Reply,
    SignalShutdown,
    Stop,
    TimedOut,
    TryAgain,
)
from tests.unit.supervisor.driver import BOOM, Driver, spec

A = spec("a")
BUSY = [Phase.STARTING, Phase.STOPPING]


def in_phase(phase: Phase) -> Driver:
    """A supervisor whose child ``a`` is in ``phase``, with independent children, so that it answers at any time."""
    settings: dict[str, object] = {}
    if phase is Phase.WAITING:
        settings = {"backoff": Backoff()}
    elif phase is Phase.QUARANTINED:
        settings = {"quarantine": Quarantine(restarts=0, period_s=1.0)}
    driver = Driver(spec("a", **settings), independent=True, intensity=9)
    driver.begin()
    match phase:
        case Phase.STARTING:
            return driver
        case Phase.DOWN:
            driver.do(Ignored("a", 1))
        case _:
            driver.started("a")
    match phase:
        case Phase.STOPPING:
            driver.asks(TerminateChild("a"), "first")
        case Phase.WAITING | Phase.QUARANTINED:
            driver.ends("a")
        case Phase.RESTARTING:
            driver.ends("a")
            driver.ends("a")
    assert driver.phase("a") is phase
    return driver


def kind(value: object) -> str:
    """For the names of tests."""
    return value.name if isinstance(value, Phase) else type(value).__name__


def refused(why: Why) -> Refused:
    return Refused(why=why)


RUNNING = Refused(why=Why.ALREADY_STARTED, detail=Done(id="a", incarnation=1))

AT_ONCE: list[tuple[Phase, Request, Answer]] = [
    *((phase, StartChild(A), refused(Why.ALREADY_PRESENT)) for phase in Phase if phase not in (Phase.UP, *BUSY)),
    (Phase.UP, StartChild(A), RUNNING),
    *((phase, TerminateChild("a"), Done()) for phase in Phase if phase not in (Phase.UP, *BUSY)),
    (Phase.UP, RestartChild("a"), refused(Why.RUNNING)),
    (Phase.RESTARTING, RestartChild("a"), refused(Why.RESTARTING)),
    (Phase.WAITING, RestartChild("a"), refused(Why.RESTARTING)),
    (Phase.UP, DeleteChild("a"), refused(Why.RUNNING)),
    (Phase.RESTARTING, DeleteChild("a"), refused(Why.RESTARTING)),
    (Phase.WAITING, DeleteChild("a"), refused(Why.RESTARTING)),
    (Phase.DOWN, DeleteChild("a"), Done()),
    (Phase.QUARANTINED, DeleteChild("a"), Done()),
    *(
        (Phase.UP, request, refused(Why.NOT_FOUND))
        for request in (TerminateChild("x"), RestartChild("x"), DeleteChild("x"), GetChildSpec("x"))
    ),
    (Phase.UP, TerminateChild(Process("a", 1, alive=True)), refused(Why.NOT_FOUND)),
    (Phase.UP, StartChild("no spec"), Refused(why=Why.INVALID_SPEC)),
]


@pytest.mark.parametrize(("phase", "request_", "answer"), AT_ONCE, ids=kind)
def test_what_is_answered_at_once(phase: Phase, request_: Request, answer: Answer) -> None:
    given = in_phase(phase).answer(request_)
    if isinstance(given, Refused) and isinstance(given.detail, SpecError):
        assert given.detail.code == "invalid_child_spec"
        given = Refused(why=given.why)
    assert given == answer


@pytest.mark.parametrize("phase", [phase for phase in Phase if phase not in BUSY])
def test_the_spec_of_a_child_can_be_had_in_every_phase(phase: Phase) -> None:
    driver = in_phase(phase)
    assert driver.answer(GetChildSpec("a")) == SpecOf(driver.state.children["a"].spec)


@pytest.mark.parametrize("phase", Phase)
def test_all_children_can_be_seen_in_every_phase(phase: Phase) -> None:
    answer = in_phase(phase).answer(WhichChildren())
    assert isinstance(answer, Children)
    (view,) = answer.children
    assert (view.id, view.phase) == ("a", phase)


@pytest.mark.parametrize(
    "request_", [StartChild(A), TerminateChild("a"), RestartChild("a"), DeleteChild("a")], ids=kind
)
@pytest.mark.parametrize("phase", BUSY)
def test_what_concerns_a_child_that_is_starting_or_stopping_waits_until_that_is_done(
    phase: Phase, request_: Request
) -> None:
    driver = in_phase(phase)
    assert driver.asks(request_) == []
    effects = driver.started("a") if phase is Phase.STARTING else driver.ends("a", Shutdown())
    assert effects


# -- starting --


def test_a_new_child_is_started_and_said_to_be_done_when_it_is_up() -> None:
    driver = Driver().up()
    assert driver.asks(StartChild(A)) == [Launch(A, 1)]
    assert driver.started("a") == [Reply("asker", Done(id="a", incarnation=1))]


@pytest.mark.parametrize("restart", Restart)
def test_a_new_child_that_fails_is_forgotten_and_its_failure_counts_towards_nothing(restart: Restart) -> None:
    driver = Driver(intensity=0).up()
    driver.asks(StartChild(spec("a", restart=restart)))
    assert driver.ends("a") == [Reply("asker", Refused(why=Why.START_FAILED, detail=BOOM))]
    assert driver.phase("a") is None
    assert not driver.state.restarts


@pytest.mark.parametrize("restart", Restart)
def test_a_new_child_that_ignores_its_start_is_kept_unless_it_is_temporary(restart: Restart) -> None:
    driver = Driver().up()
    driver.asks(StartChild(spec("a", restart=restart)))
    assert driver.do(Ignored("a", 1)) == [Reply("asker", Done())]
    assert driver.phase("a") is (None if restart is Restart.TEMPORARY else Phase.DOWN)


def test_a_child_that_was_down_and_fails_again_is_kept() -> None:
    driver = Driver(spec("a", restart=Restart.TRANSIENT), intensity=0).up()
    driver.ends("a", Normal())
    driver.asks(RestartChild("a"))
    assert driver.ends("a") == [Reply("asker", Refused(why=Why.START_FAILED, detail=BOOM))]
    assert driver.phase("a") is Phase.DOWN


def test_the_spec_is_checked_before_anything_else() -> None:
    answer = Driver(A).up().answer(StartChild(spec("a", shutdown=-1)))
    assert isinstance(answer, Refused)
    assert isinstance(answer.detail, SpecError)
    assert answer.detail.code == "invalid_shutdown"


# -- terminating --


@pytest.mark.parametrize("restart", Restart)
def test_a_terminated_child_stays_down_whatever_its_type_and_is_forgotten_if_temporary(restart: Restart) -> None:
    child = spec("a", restart=restart)
    driver = Driver(child, intensity=0).up()
    assert driver.asks(TerminateChild("a")) == [SignalShutdown(child, 1)]
    assert driver.ends("a", BOOM) == [Reply("asker", Done())]
    assert driver.phase("a") is (None if restart is Restart.TEMPORARY else Phase.DOWN)


def test_a_child_that_takes_too_long_is_killed_before_the_answer() -> None:
    driver = Driver(A).up()
    driver.asks(TerminateChild("a"))
    assert driver.do(TimedOut("a", 1)) == [KillChild("a", 1)]
    assert driver.ends("a", Killed()) == [Reply("asker", Done())]


def test_a_child_to_be_abandoned_is_killed_at_once() -> None:
    driver = Driver(spec("a", shutdown=ABANDON)).up()
    assert driver.asks(TerminateChild("a")) == [KillChild("a", 1)]


def test_terminating_a_child_whose_end_waits_in_the_mailbox_absorbs_it() -> None:
    b = spec("b")
    driver = Driver(A, b, intensity=0).up()
    driver.asks(TerminateChild("b"), 1)
    driver.asks(TerminateChild("a"), 2)
    assert driver.ends("a") == []
    assert driver.ends("b", Shutdown()) == [Reply(1, Done()), Reply(2, Done())]
    assert driver.phase("a") is Phase.DOWN


def test_terminating_cancels_a_restart_that_is_to_be_tried_again() -> None:
    driver = Driver(A, intensity=9).up()
    driver.ends("a")
    assert driver.ends("a") == [Defer(TryAgain("a"))]
    assert driver.answer(TerminateChild("a")) == Done()
    assert driver.do(TryAgain("a")) == []


# -- in turn, and at the end --


def test_a_supervisor_does_one_thing_at_a_time_in_the_order_in_which_it_was_asked() -> None:
    b, c = spec("b"), spec("c")
    driver = Driver(A, intensity=9).up()
    driver.asks(StartChild(b), 1)
    assert driver.ends("a") == []
    assert driver.asks(StartChild(c), 2) == []
    assert driver.asks(WhichChildren(), 3) == []
    assert driver.started("b") == [Reply(1, Done(id="b", incarnation=1)), Launch(A, 2)]
    assert driver.started("a") == [Launch(c, 1)]
    reply, seen = driver.started("c")
    assert reply == Reply(2, Done(id="c", incarnation=1))
    assert isinstance(seen, Reply)
    assert isinstance(seen.answer, Children)
    assert [view.id for view in seen.answer.children] == ["c", "b", "a"], "the one started last first"


def test_whoever_waits_when_the_supervisor_ends_is_told_so() -> None:
    b = spec("b")
    driver = Driver(A).up()
    driver.asks(StartChild(b), 1)
    driver.asks(CountChildren(), 2)
    assert Reply(1, Ended(Shutdown())) in driver.do(Stop(Shutdown()))
    driver.asks(RestartChild("a"), 3)
    driver.ends("b", Shutdown())
    assert driver.ends("a", Shutdown()) == [
        Exit(Shutdown()),
        Reply(2, Ended(Shutdown())),
        Reply(3, Ended(Shutdown())),
    ]


def test_counting_counts_all_that_are_known() -> None:
    driver = Driver(A, spec("s", type=ChildType.SUPERVISOR), spec("d", restart=Restart.TRANSIENT)).up()
    driver.ends("d", Normal())
    (count,) = driver.asks(CountChildren())
    assert isinstance(count, Count)
    assert [(view.id, view.phase, view.type) for view in count.children] == [
        ("d", Phase.DOWN, ChildType.WORKER),
        ("s", Phase.UP, ChildType.SUPERVISOR),
        ("a", Phase.UP, ChildType.WORKER),
    ]
    assert count.template is None


def test_a_child_is_seen_with_its_restarts_and_its_last_exit() -> None:
    driver = Driver(A).up()
    driver.ends("a")
    driver.started("a")
    answer = driver.answer(WhichChildren())
    view = ChildView(
        id="a", phase=Phase.UP, incarnation=2, type=ChildType.WORKER, restarts=1, last_exit="RuntimeError: boom"
    )
    assert answer == Children((view,))


# -- below a dynamic supervisor --


@pytest.fixture
def dynamic() -> Driver:
    driver = Driver(spec("t"), strategy=Strategy.DYNAMIC, intensity=9).up()
    driver.add_instance()
    return driver


def test_an_instance_is_the_template_with_its_own_id_and_arguments() -> None:
    seen: list[tuple[object, ...]] = []

    def start(*args: object) -> Any:
        seen.append(args)

    template = ChildSpec(id="t", start=start, shutdown=2)
    driver = Driver(template, strategy=Strategy.DYNAMIC).up()
    (launch,) = driver.asks(StartChild(args=(1, "two")))
    assert isinstance(launch, Launch)
    assert (launch.spec.id, launch.spec.shutdown) == ("t#1", 2)
    link = Link(exited=lambda _: None)
    launch.spec.start(link)
    assert seen == [(link, 1, "two")]


@pytest.mark.parametrize("request_", [RestartChild("t#1"), DeleteChild("t#1"), TerminateChild("t#1")], ids=kind)
def test_instances_have_no_ids_to_name_them_by(dynamic: Driver, request_: Request) -> None:
    assert dynamic.answer(request_) == refused(Why.DYNAMIC)


def test_an_instance_is_terminated_by_its_process_and_forgotten(dynamic: Driver) -> None:
    (signal,) = dynamic.asks(TerminateChild(Process("t#1", 1, alive=True)))
    assert isinstance(signal, SignalShutdown)
    assert dynamic.ends("t#1", Shutdown()) == [Reply("asker", Done())]
    assert dynamic.phase("t#1") is None


@pytest.mark.parametrize(
    ("process", "answer"),
    [
        (Process("t#1", 7, alive=False), Done()),
        (Process(None, 0, alive=False), Done()),
        (Process(None, 0, alive=True), refused(Why.NOT_FOUND)),
    ],
)
def test_terminating_a_dead_process_is_done_and_a_foreign_one_not_found(
    dynamic: Driver, process: Process, answer: Answer
) -> None:
    assert dynamic.answer(TerminateChild(process)) == answer


def test_the_spec_of_an_instance_is_found_by_its_process_or_the_templates_id(dynamic: Driver) -> None:
    template = dynamic.state.template
    assert template is not None
    assert dynamic.answer(GetChildSpec("t")) == SpecOf(template)
    assert dynamic.answer(GetChildSpec("t#1")) == refused(Why.NOT_FOUND)
    by_process = dynamic.answer(GetChildSpec(Process("t#1", 1, alive=True)))
    assert isinstance(by_process, SpecOf)
    assert by_process.spec.id == "t#1"


def test_an_instance_that_fails_or_ignores_its_start_is_forgotten(dynamic: Driver) -> None:
    dynamic.asks(StartChild())
    assert dynamic.ends("t#2") == [Reply("asker", Refused(why=Why.START_FAILED, detail=BOOM))]
    dynamic.asks(StartChild())
    assert dynamic.do(Ignored("t#3", 1)) == [Reply("asker", Done())]
    dynamic.do(Exited("t#1", 1, BOOM))
    assert dynamic.do(Ignored("t#1", 2)) == []
    assert list(dynamic.state.children) == []


def test_instances_are_counted_with_their_templates_type(dynamic: Driver) -> None:
    (count,) = dynamic.asks(CountChildren())
    assert isinstance(count, Count)
    assert count.template is ChildType.WORKER
