"""The supervisor actor with real children: OTP's ways."""

import threading
from typing import Any

import pytest
from pykka import ActorRef

from supervisor.actor import Call, Link, NoAnswerError, ShutDown, ask, kill, monitor, tell
from supervisor.api import Counts, Done, Phase, Refused, SpecOf, Why
from supervisor.client import (
    count_children,
    delete_child,
    get_childspec,
    restart_child,
    start_child,
    start_instance,
    terminate_child,
    which_children,
)
from supervisor.reasons import Crash, FailedToStartChild, Killed, Normal, Shutdown
from supervisor.shell import Supervisor
from supervisor.spec import ABANDON, INFINITY, ChildSpec, ChildType, Flags, Restart, SpecError, Strategy
from tests.fakes.crashing_child import CrashingChild, Poke
from tests.fakes.deaf_child import DeafChild
from tests.fakes.parent import PATIENCE_S, Parent, Starts, until
from tests.fakes.slow_child import BeGone, ComeUp, SlowChild, StayAway
from tests.fakes.steady_child import Do, SteadyChild
from tests.unit.supervisor.house import BOOM, House, do_crash, do_exit


def test_children_come_and_go_in_order(house: House) -> None:
    house.up(*(house.steady(name).spec(name) for name in "abc"))
    house.end()
    assert house.tale(3) == [("a", "began"), ("b", "began"), ("c", "began")]
    assert house.tale(3) == [("c", "ended"), ("b", "ended"), ("a", "ended")]


def test_the_next_child_is_not_started_before_the_one_before_it_is_up(house: House) -> None:
    slow, after = Starts(SlowChild.start), house.steady("after")
    ref = house.start(slow.spec("slow"), after.spec("after"))
    child = slow.next()
    assert after.count == 0
    tell(child, ComeUp())
    after.next()
    house.parent.wait_started()
    tell(ref, ShutDown())
    assert house.tale(2) == [("after", "began"), ("after", "ended")]
    tell(child, BeGone())
    assert house.parent.wait_exit() == Shutdown()


@pytest.mark.parametrize("end", [do_exit, do_crash, lambda actor: kill(actor.actor_ref, "enough")])
def test_a_permanent_child_is_started_again_with_a_new_link(house: House, end: Any) -> None:
    starts = house.steady("a")
    house.up(starts.spec("a"))
    first = starts.next()
    tell(first, Do(end))
    assert starts.next() != first
    assert [what for _, what in house.tale(3)][::2] == ["began", "began"]
    assert house.children()["a"].incarnation == 2


def test_a_transient_child_that_ends_normally_stays_down(house: House) -> None:
    starts = house.steady("a")
    house.up(starts.spec("a", restart=Restart.TRANSIENT))
    tell(starts.next(), Do(do_exit))
    until(lambda: house.children()["a"].phase is Phase.DOWN)
    assert starts.count == 1


def test_too_many_restarts_end_the_supervisor_and_the_other_children(house: House) -> None:
    starts = house.steady("bad")
    house.start(house.steady("good").spec("good"), starts.spec("bad"), intensity=1)
    for _ in range(2):
        tell(starts.next(), Do(do_crash))
    reason = house.parent.wait_exit()
    assert reason == Shutdown()
    assert str(reason) == "shutdown (bad had to be restarted too often: ValueError: boom)"


@pytest.mark.parametrize(
    ("strategy", "again"), [(Strategy.ONE_FOR_ONE, "b"), (Strategy.ONE_FOR_ALL, "abc"), (Strategy.REST_FOR_ONE, "bc")]
)
def test_the_strategy_says_who_is_restarted(house: House, strategy: Strategy, again: str) -> None:
    starts = {name: house.steady(name) for name in "abc"}
    house.up(*(each.spec(name) for name, each in starts.items()), strategy=strategy)
    tell(starts["b"].next(), Do(do_crash))
    others = [(name, "ended") for name in reversed(again.replace("b", ""))]
    assert house.tale(3 + 1 + len(others) + len(again)) == [
        *((name, "began") for name in "abc"),
        ("b", "ended"),
        *others,
        *((name, "began") for name in again),
    ]


# -- starts that fail --


def test_a_first_start_that_fails_stops_the_others_and_says_which_and_why(house: House) -> None:
    bad = Starts(CrashingChild.start, "initialize", BOOM)
    house.start(house.steady("a").spec("a"), bad.spec("bad"), house.steady("c").spec("c"))
    assert house.parent.wait_exit() == Shutdown(FailedToStartChild("bad", Crash(BOOM)))
    assert house.tale(2) == [("a", "began"), ("a", "ended")]
    assert house.story.empty()
    assert not house.parent.started.is_set()


@pytest.mark.parametrize("error", [BOOM, SystemExit(1), KeyboardInterrupt()], ids=repr)
def test_a_start_function_that_raises_is_an_exit_like_any_other(house: House, error: BaseException) -> None:
    def start(_: Link) -> ActorRef[Any]:
        raise error

    house.start(house.steady("a").spec("a"), ChildSpec(id="bad", start=start))
    assert house.parent.wait_exit() == Shutdown(FailedToStartChild("bad", Crash(error)))
    assert house.tale(2) == [("a", "began"), ("a", "ended")]


def test_a_child_that_ignores_its_start_is_skipped(house: House) -> None:
    shy, after = Starts(SlowChild.start), house.steady("after")
    house.start(shy.spec("shy"), after.spec("after"))
    tell(shy.next(), StayAway())
    house.parent.wait_started()
    assert house.counts() == Counts(specs=2, active=1, supervisors=0, workers=2)


def test_a_restart_that_fails_is_tried_again_until_it_is_too_often(house: House) -> None:
    bad = Starts(CrashingChild.start, "initialize", BOOM)
    good, fails = house.steady("a"), threading.Event()

    def start(link: Link) -> ActorRef[Any]:
        return bad(link) if fails.is_set() else good(link)

    house.up(ChildSpec(id="a", start=start), intensity=3)
    fails.set()
    tell(good.next(), Do(do_crash))
    assert house.parent.wait_exit() == Shutdown()
    assert bad.count == 3


@pytest.mark.parametrize(
    ("children", "flags", "code"),
    [
        ([ChildSpec(id="a", start=None)], Flags(), "missing_start"),  # type: ignore[arg-type]
        (["no spec"], Flags(), "invalid_child_spec"),
        ([], Flags(strategy=Strategy.DYNAMIC), "bad_start_spec"),
        ([], Flags(intensity=-1), "invalid_intensity"),
    ],
)
def test_specs_that_cannot_be_end_it_before_any_child_is_started(children: Any, flags: Flags, code: str) -> None:
    parent = Parent()
    Supervisor.start(parent.link, "wrong", children, flags)
    reason = parent.wait_exit()
    assert isinstance(reason, Crash)
    assert isinstance(reason.error, SpecError)
    assert reason.error.code == code
    assert not parent.started.is_set()


# -- ends --


def test_an_end_that_comes_before_the_news_of_a_failed_start_crashes_nobody(house: House) -> None:
    failing, go_on = threading.Event(), threading.Event()

    def start(_: Link) -> ActorRef[Any]:
        failing.set()
        assert go_on.wait(PATIENCE_S)
        raise BOOM

    ref = house.start(ChildSpec(id="bad", start=start))
    assert failing.wait(PATIENCE_S)
    tell(ref, ShutDown())
    go_on.set()
    assert house.parent.wait_exit() in (Shutdown(), Shutdown(FailedToStartChild("bad", Crash(BOOM))))


def test_stop_while_a_child_is_starting_ends_it_and_starts_no_other(house: House) -> None:
    slow, after = Starts(SlowChild.start), house.steady("after")
    ref = house.start(slow.spec("slow"), after.spec("after"))
    child = slow.next()
    tell(ref, ShutDown(Shutdown("enough")))
    tell(child, BeGone())
    assert house.parent.wait_exit() == Shutdown("enough")
    assert after.count == 0


def test_a_child_that_does_not_end_in_its_time_is_killed(house: House) -> None:
    let_go = threading.Event()
    deaf = Starts(DeafChild.start, let_go)
    house.up(house.steady("a").spec("a"), deaf.spec("deaf", shutdown=0.01))
    ref = deaf.next()
    told: list[Any] = []
    monitor(ref, told.append)
    house.end()
    assert told == [Killed("its supervisor gave it up")]
    assert house.tale(2) == [("a", "began"), ("a", "ended")]
    let_go.set()


def test_one_to_be_abandoned_is_never_asked(house: House) -> None:
    starts = house.steady("a")
    house.up(starts.spec("a", shutdown=ABANDON))
    house.end()
    assert house.tale(2) == [("a", "began"), ("a", "was given up")]


def test_one_with_all_the_time_it_needs_gets_it(house: House) -> None:
    slow = Starts(SlowChild.start)
    ref = house.start(slow.spec("slow", shutdown=INFINITY))
    child = slow.next()
    tell(child, ComeUp())
    house.parent.wait_started()
    tell(ref, ShutDown())
    assert not house.parent.exits.qsize()
    tell(child, BeGone())
    assert house.parent.wait_exit() == Shutdown()


def test_a_supervisor_that_crashes_takes_its_children_with_it(house: House) -> None:
    inner = house.steady("inner")
    nested = Starts(Supervisor.start, "nested", [inner.spec("inner")])
    ref = house.up(house.steady("a").spec("a"), nested.spec("nested", type=ChildType.SUPERVISOR))

    def crash(_: Any) -> None:
        raise SystemExit(3)

    tell(ref, Call("hello", crash))
    reason = house.parent.wait_exit()
    assert isinstance(reason, Crash)
    assert isinstance(reason.error, SystemExit)
    assert sorted(house.tale(4))[::2] == [("a", "began"), ("inner", "began")]
    assert not inner.next().is_alive()
    assert not nested.next().is_alive()


def test_a_supervisor_that_is_killed_takes_its_whole_tree_with_it(house: House) -> None:
    inner = house.steady("inner")
    nested = Starts(Supervisor.start, "nested", [inner.spec("inner")])
    ref = house.up(house.steady("a").spec("a"), nested.spec("nested", type=ChildType.SUPERVISOR))
    kill(ref, "enough")
    assert house.parent.exits.get_nowait() == Killed("enough")
    assert house.tale(4)[2:] == [("a", "was given up"), ("inner", "was given up")]
    assert not inner.next().is_alive()


def test_a_child_that_a_killed_supervisor_was_just_starting_goes_with_it(house: House) -> None:
    starting, go_on = threading.Event(), threading.Event()
    late = house.steady("late")

    def start(link: Link) -> ActorRef[Any]:
        starting.set()
        assert go_on.wait(PATIENCE_S)
        return late(link)

    ref = house.start(ChildSpec(id="late", start=start))
    assert starting.wait(PATIENCE_S)
    kill(ref, "enough")
    go_on.set()
    child = late.next()
    ended = threading.Event()
    monitor(child, lambda _: ended.set())
    assert ended.wait(PATIENCE_S)


def test_a_nested_supervisor_that_gives_up_is_restarted_as_any_child(house: House) -> None:
    inner = house.steady("inner")
    nested = Starts(Supervisor.start, "nested", [inner.spec("inner")], Flags(intensity=0))
    house.up(nested.spec("nested", type=ChildType.SUPERVISOR))
    tell(inner.next(), Do(do_crash))
    inner.next()
    assert nested.next() != nested.next()


# -- requests --


def test_what_can_be_asked_of_a_supervisor(house: House) -> None:
    starts = house.steady("a")
    spec = starts.spec("a")
    house.up()
    started = house.asks(start_child, spec)
    first = starts.next()
    assert started == Done(id="a", incarnation=1, ref=first)
    assert house.asks(start_child, spec) == Refused(why=Why.ALREADY_STARTED, detail=started)
    assert house.asks(get_childspec, "a") == SpecOf(spec)
    assert house.children()["a"].ref == first
    assert house.counts() == Counts(specs=1, active=1, supervisors=0, workers=1)
    assert house.asks(delete_child, "a") == Refused(why=Why.RUNNING)
    assert house.asks(terminate_child, "a") == Done()
    assert house.counts().active == 0
    assert house.asks(restart_child, "a") == Done(id="a", incarnation=2, ref=starts.next())
    assert house.asks(terminate_child, "a") == Done()
    assert house.asks(delete_child, "a") == Done()
    assert house.asks(restart_child, "a") == Refused(why=Why.NOT_FOUND)


def test_a_started_child_may_have_more_to_say_of_itself(house: House) -> None:
    slow = Starts(SlowChild.start)
    house.up()
    answers = house.asked(start_child, slow.spec("slow", shutdown=ABANDON))
    tell(slow.next(), ComeUp("on port 4222"))
    assert answers.get(timeout=PATIENCE_S).info == "on port 4222"


def test_instances_of_a_template_are_started_with_arguments_and_named_by_their_refs(house: House) -> None:
    template = Starts(SteadyChild.start)
    house.up(template.spec("t"), strategy=Strategy.DYNAMIC)
    one = house.asks(start_instance, "one", house.story).ref
    two = house.asks(start_instance, "two", house.story).ref
    assert house.tale(2) == [("one", "began"), ("two", "began")]
    assert house.asks(terminate_child, one) == Done()
    assert house.asks(terminate_child, one) == Done(), "dead already"
    assert house.asks(terminate_child, house.ref) == Refused(why=Why.NOT_FOUND)
    assert [view.ref for view in house.children().values()] == [two]
    assert house.counts() == Counts(specs=1, active=1, supervisors=0, workers=1)
    house.end()


def test_a_supervisor_that_has_ended_answers_nothing(house: House) -> None:
    house.up()
    house.end()
    for request in (which_children, count_children):
        answer = house.asks(request)
        assert isinstance(answer, NoAnswerError)


def test_who_waits_for_an_answer_when_the_supervisor_ends_is_told_why(house: House) -> None:
    slow = Starts(SlowChild.start)
    ref = house.up()
    answers = house.asked(start_child, slow.spec("slow"))
    child = slow.next()
    tell(ref, ShutDown(Shutdown("enough")))
    tell(child, BeGone())
    answer = answers.get(timeout=PATIENCE_S)
    assert isinstance(answer, NoAnswerError)
    assert answer.reason == Shutdown("enough")


async def test_an_unknown_message_or_question_ends_no_supervisor(house: House) -> None:
    ref = house.up(house.steady("a").spec("a"))
    tell(ref, "what is this")
    with pytest.raises(NotImplementedError):
        await ask(ref, "and this", timeout=PATIENCE_S)
    assert house.children()["a"].phase is Phase.UP


def test_a_child_added_before_the_supervisor_has_begun_is_started() -> None:
    for _ in range(20):
        parent, starts = Parent(), Starts(SteadyChild.start)
        ref = Supervisor.start(parent.link, "early")
        start_child(ref, starts.spec("x"))
        starts.next()
        tell(ref, ShutDown(Normal()))
        assert parent.wait_exit() == Normal()


def test_a_temporary_child_that_crashes_is_forgotten(house: House) -> None:
    gone = Starts(CrashingChild.start, "handle", BOOM)
    house.up(gone.spec("x", restart=Restart.TEMPORARY), intensity=0)
    ref = gone.next()
    ended = threading.Event()
    monitor(ref, lambda _: ended.set())
    tell(ref, Poke())
    assert ended.wait(PATIENCE_S)
    assert house.children() == {}


def test_an_asker_that_fails_at_the_answer_harms_no_supervisor(house: House) -> None:
    def fail(_: object) -> None:
        raise BOOM

    ref = house.up()
    which_children(ref, fail)
    start_child(ref, house.steady("a").spec("a"), fail)
    assert house.asks(start_child, house.steady("b").spec("b")) == Done(
        id="b", incarnation=1, ref=house.children()["b"].ref
    )
    assert house.parent.heard_nothing_more()
