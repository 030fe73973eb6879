"""What is given up, and who watches: ``kill`` and ``monitor``."""

import asyncio
import threading
from collections.abc import Callable, Iterator
from queue import SimpleQueue
from typing import Any

import pytest
from pykka import ActorRef, ActorRegistry

from supervisor.actor import Actor, Call, Initialize, Link, NoAnswerError, ShutDown, ask, kill, monitor, of, tell
from supervisor.reasons import Crash, ExitReason, Killed, Normal, Shutdown
from tests.fakes.crashing_child import CrashingChild
from tests.fakes.parent import PATIENCE_S, Parent, taken
from tests.fakes.slow_child import BeGone, SlowChild
from tests.fakes.steady_child import Do, SteadyChild
from tests.fakes.stuck_child import Hang, StuckChild, Trap

HUNG = Killed("it hung")


def threads_of(kind: type[Actor]) -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name.startswith(kind.__name__)]


class Prison:
    """A child that hangs."""

    def __init__(self, *, at_start: bool = False) -> None:
        self.parent, self.trap = Parent(), Trap(at_start=at_start)
        self.ref = StuckChild.start(self.parent.link, self.trap)
        if not at_start:
            self.parent.wait_started()
            tell(self.ref, Hang())
        assert self.trap.entered.wait(PATIENCE_S)

    def let_go(self) -> None:
        """Its late thread has said all that it had to say."""
        self.trap.let_go.set()
        for thread in threads_of(StuckChild):
            thread.join(PATIENCE_S)

    def story(self) -> list[str]:
        return [self.trap.story.get() for _ in range(self.trap.story.qsize())]


@pytest.fixture
def prison() -> Iterator[Prison]:
    prison = Prison()
    yield prison
    prison.let_go()


# -- kill --


def test_a_killed_actor_is_reported_once_and_before_kill_returns(prison: Prison) -> None:
    kill(prison.ref, "it hung")
    assert prison.parent.exits.get_nowait() == HUNG
    kill(prison.ref, "again")
    tell(prison.ref, ShutDown())
    assert not prison.ref.is_alive()
    assert prison.parent.heard_nothing_more()


def test_what_it_owns_is_killed_once_before_its_end_is_reported(prison: Prison) -> None:
    seen: list[str] = []
    monitor(prison.ref, lambda _: seen.extend(prison.story()))
    kill(prison.ref, "it hung")
    kill(prison.ref, "again")
    assert seen == ["given up"]
    assert prison.story() == []


def test_its_late_thread_says_and_does_nothing_more(prison: Prison) -> None:
    kill(prison.ref, "it hung")
    prison.let_go()
    assert prison.parent.wait_exit() == HUNG
    assert prison.parent.heard_nothing_more()
    assert prison.story() == ["given up"], "no cleanup: what it owned is another's by now"


def test_one_killed_while_it_begins_never_came_up() -> None:
    prison = Prison(at_start=True)
    kill(prison.ref, "it hung")
    prison.let_go()
    assert prison.parent.wait_exit() == HUNG
    assert not prison.parent.started.is_set()
    assert prison.parent.heard_nothing_more()


async def test_questions_that_wait_are_answered_at_once_with_the_reason(prison: Prison) -> None:
    asking = asyncio.ensure_future(ask(prison.ref, "question", timeout=PATIENCE_S))
    await asyncio.sleep(0)
    kill(prison.ref, "it hung")
    with pytest.raises(NoAnswerError, match="has ended: killed: it hung") as raised:
        await asking
    assert raised.value.reason == HUNG


async def test_a_question_after_the_kill_is_refused_at_once_though_the_thread_still_hangs(prison: Prison) -> None:
    kill(prison.ref, "it hung")
    with pytest.raises(NoAnswerError, match="has ended"):
        await ask(prison.ref, "question", timeout=PATIENCE_S)
    assert not tell(prison.ref, "message")


def test_an_asker_that_fails_at_its_answer_harms_neither_the_killer_nor_the_other_askers(prison: Prison) -> None:
    answers = SimpleQueue[Any]()

    def fail(_: object) -> None:
        raise ValueError("no")

    tell(prison.ref, Call("question", fail))
    tell(prison.ref, Call("question", answers.put))
    kill(prison.ref, "it hung")
    assert isinstance(answers.get_nowait(), NoAnswerError)


def test_messages_that_wait_are_dropped(prison: Prison) -> None:
    tell(prison.ref, "waits")
    kill(prison.ref, "it hung")
    of(prison.ref).tell("too late")
    assert prison.story() == ["given up", "dropped waits", "dropped too late"]


def test_an_idle_actor_can_be_killed_and_its_thread_ends() -> None:
    for _ in range(20):
        parent = Parent()
        ref = SteadyChild.start(parent.link)
        parent.wait_started()
        kill(ref, "enough")
        assert parent.wait_exit() == Killed("enough")
    for thread in threads_of(SteadyChild):
        thread.join(PATIENCE_S)
        assert not thread.is_alive()


def test_an_idle_actor_with_a_timer_can_be_killed_too() -> None:
    parent = Parent()
    ref = SteadyChild.start(parent.link)
    tell(ref, Do(lambda actor: actor.timer("much later", 60, "message")))
    parent.wait_started()
    kill(ref, "enough")
    assert parent.wait_exit() == Killed("enough")


def test_killing_what_has_ended_changes_nothing() -> None:
    parent = Parent()
    ref = SteadyChild.start(parent.link)
    tell(ref, ShutDown())
    assert parent.wait_exit() == Shutdown()
    kill(ref, "too late")
    assert parent.heard_nothing_more()


@pytest.mark.parametrize("error", [ValueError("no"), SystemExit(3)], ids=repr)
def test_one_that_fails_in_being_given_up_is_reported_all_the_same(error: BaseException) -> None:
    parent = Parent()
    ref = CrashingChild.start(parent.link, "given_up", error)
    kill(ref, "enough")
    assert parent.wait_exit() == Killed("enough")


def test_a_kill_that_races_with_the_end_is_reported_as_one_of_the_two() -> None:
    for _ in range(50):
        parent = Parent()
        ref = SteadyChild.start(parent.link)
        tell(ref, ShutDown())
        kill(ref, "race")
        assert parent.wait_exit() in (Shutdown(), Killed("race"))
        assert parent.heard_nothing_more()


class Hesitant(SteadyChild):
    """Has already taken ``question`` out of its inbox when it hesitates."""

    def __init__(self, link: Link, trap: Trap) -> None:
        super().__init__(link)
        self._trap = trap

    def on_receive(self, message: Any) -> None:
        if not isinstance(message, Initialize):
            self._trap.hold()
        super().on_receive(message)

    def dropped(self, message: Any) -> None:
        self._trap.story.put(f"dropped {message}")


@pytest.mark.parametrize("kind", ["question", "message"])
def test_what_an_actor_has_just_taken_when_it_is_killed_is_not_lost(kind: str) -> None:
    parent, trap, answers = Parent(), Trap(), SimpleQueue[Any]()
    ref = Hesitant.start(parent.link, trap)
    tell(ref, Call("question", answers.put) if kind == "question" else "message")
    assert trap.entered.wait(PATIENCE_S)
    kill(ref, "enough")
    trap.let_go.set()
    if kind == "question":
        assert isinstance(taken(answers, "the question was left without answer"), NoAnswerError)
    else:
        assert taken(trap.story, "the message was lost") == "dropped message"


# -- monitors --


@pytest.mark.parametrize(
    ("end", "reason"),
    [
        (lambda ref: tell(ref, ShutDown(Shutdown("more"))), Shutdown("more")),
        (lambda ref: tell(ref, Do(lambda actor: actor.exit(Normal()))), Normal()),
        (lambda ref: kill(ref, "enough"), Killed("enough")),
    ],
    ids=["told", "by itself", "killed"],
)
def test_whoever_monitors_is_told_once_with_the_reason(
    end: Callable[[ActorRef[Any]], object], reason: ExitReason
) -> None:
    parent, told, other = Parent(), SimpleQueue[ExitReason](), SimpleQueue[ExitReason]()
    ref = SteadyChild.start(parent.link)
    monitor(ref, told.put)
    monitor(ref, other.put)
    end(ref)
    assert taken(told, "not told") == taken(other, "not told") == reason
    kill(ref, "again")
    assert told.empty()
    assert other.empty()


@pytest.mark.parametrize(
    "end", [lambda ref: tell(ref, ShutDown()), lambda ref: kill(ref, "enough")], ids=["told", "killed"]
)
def test_a_monitor_that_fails_harms_no_other(end: Callable[[ActorRef[Any]], object]) -> None:
    def fail(_: ExitReason) -> None:
        raise ValueError("no")

    parent, told = Parent(), SimpleQueue[ExitReason]()
    ref = SteadyChild.start(parent.link)
    monitor(ref, fail)
    monitor(ref, told.put)
    end(ref)
    assert taken(told, "not told") == parent.wait_exit()


def test_a_crash_is_what_a_monitor_is_told() -> None:
    told = SimpleQueue[ExitReason]()
    error, parent = ValueError("no"), Parent()
    ref = CrashingChild.start(parent.link, "shut_down", error)
    monitor(ref, told.put)
    tell(ref, ShutDown())
    assert taken(told, "not told") == Crash(error)


def test_whoever_comes_after_the_end_is_told_at_once() -> None:
    parent, told = Parent(), list[ExitReason]()
    ref = SteadyChild.start(parent.link)
    tell(ref, ShutDown())
    parent.wait_exit()
    monitor(ref, told.append)()
    assert told == [Shutdown()]


def test_whoever_looks_away_is_not_told() -> None:
    parent, told, other = Parent(), SimpleQueue[ExitReason](), SimpleQueue[ExitReason]()
    ref = SlowChild.start(parent.link)
    look_away = monitor(ref, told.put)
    monitor(ref, other.put)
    look_away()
    look_away()
    tell(ref, BeGone())
    taken(other, "not told")
    assert told.empty()


def test_the_parent_hears_of_an_end_before_those_who_monitor() -> None:
    parent, order = Parent(), SimpleQueue[str]()
    ref = SteadyChild.start(parent.link)
    monitor(ref, lambda _: order.put("first" if parent.exits.empty() else "after the parent"))
    tell(ref, ShutDown())
    assert taken(order, "not told") == "after the parent"


def test_nothing_of_this_is_left(prison: Prison) -> None:
    kill(prison.ref, "it hung")
    assert ActorRegistry.get_all() == []
