import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from queue import Empty, SimpleQueue
from typing import Any

import pytest
from pykka import ActorRef, ActorRegistry

from supervisor.actor import Actor, Link, ShutDown, ask, tell
from supervisor.backoff import Backoff
from supervisor.core import ChildPhase, ChildStartError
from supervisor.reasons import Crash, Normal, Shutdown
from supervisor.shell import ChildSnapshot, Supervisor, WhichChildren, remove_child, start_child
from supervisor.spec import ChildSpec, Intensity, Restart
from tests.fakes.crashing_child import CrashingChild, Poke
from tests.fakes.deaf_child import DeafChild
from tests.fakes.parent import PATIENCE_S, Parent, Starts
from tests.fakes.slow_child import BeGone, ComeUp, SlowChild
from tests.fakes.steady_child import Do, SteadyChild, Story

BOOM = ValueError("boom")
NO_DELAY = Backoff(base_s=0.0)


@dataclass
class House:
    """Starts one supervisor, and ends it with its test."""

    parent: Parent = field(default_factory=Parent)
    story: Story = field(default_factory=SimpleQueue)
    removed: SimpleQueue[str] = field(default_factory=SimpleQueue)
    ref: ActorRef[Any] | None = None

    def start(self, *children: ChildSpec, restarts: int = 5) -> ActorRef[Any]:
        self.ref = Supervisor.start(self.parent.link, "house", children, Intensity(restarts), self.removed.put)
        return self.ref

    def steady(self, id: str) -> Starts:
        return Starts(SteadyChild.start, id, self.story)

    def tale(self, length: int) -> list[tuple[str, str]]:
        return [self.story.get(timeout=PATIENCE_S) for _ in range(length)]

    def end(self) -> None:
        assert self.ref is not None
        tell(self.ref, ShutDown())
        assert self.parent.wait_exit() == Shutdown()


@pytest.fixture
def house() -> Iterator[House]:
    house = House()
    yield house
    if house.ref is not None and house.ref.is_alive():
        house.end()


def do_exit(actor: Actor) -> None:
    actor.exit(Normal())


def do_crash(_: Actor) -> None:
    raise BOOM


def test_children_come_and_go_in_order(house: House) -> None:
    house.start(*(house.steady(name).spec(name) for name in "abc"))
    house.parent.wait_started()
    house.end()
    began, ended = house.tale(3), house.tale(3)
    assert began == [("a", "began"), ("b", "began"), ("c", "began")]
    assert ended == [("c", "ended"), ("b", "ended"), ("a", "ended")]


def test_the_next_child_is_not_started_before_the_one_before_it_is_up(house: House) -> None:
    slow, after = Starts(SlowChild.start), house.steady("after")
    house.start(slow.spec("slow"), after.spec("after"))
    child = slow.next()
    assert after.count == 0
    tell(child, ComeUp())
    after.next()
    house.parent.wait_started()
    assert house.ref is not None
    tell(house.ref, ShutDown())
    assert house.tale(2) == [("after", "began"), ("after", "ended")]
    tell(child, BeGone())
    assert house.parent.wait_exit() == Shutdown()


@pytest.mark.parametrize("end", [do_exit, do_crash])
def test_a_permanent_child_is_started_again_with_a_new_link(house: House, end: Any) -> None:
    starts = house.steady("a")
    house.start(starts.spec("a"))
    first = starts.next()
    tell(first, Do(end))
    second = starts.next()
    assert second != first
    assert house.tale(3) == [("a", "began"), ("a", "ended"), ("a", "began")]


def test_a_transient_child_that_ends_normally_is_gone_and_its_owner_told(house: House) -> None:
    starts = house.steady("a")
    house.start(starts.spec("a", restart=Restart.TRANSIENT))
    tell(starts.next(), Do(do_exit))
    assert house.removed.get(timeout=PATIENCE_S) == "a"
    assert starts.count == 1


def test_too_many_restarts_end_the_supervisor_and_the_other_children(house: House) -> None:
    starts = house.steady("bad")
    house.start(house.steady("good").spec("good"), starts.spec("bad"), restarts=1)
    for _ in range(2):
        tell(starts.next(), Do(do_crash))
    reason = house.parent.wait_exit()
    assert isinstance(reason, Shutdown)
    assert "restart intensity reached by bad: ValueError: boom" in reason.term


def test_a_child_with_backoff_comes_back_however_often_it_crashes(house: House) -> None:
    starts = house.steady("a")
    house.start(starts.spec("a", backoff=NO_DELAY), restarts=0)
    for _ in range(10):
        tell(starts.next(), Do(do_crash))
    starts.next()
    assert house.parent.heard_nothing_more()


def test_a_first_start_that_fails_stops_the_others_and_says_which_and_why(house: House) -> None:
    bad = Starts(CrashingChild.start, "initialize", BOOM)
    house.start(house.steady("a").spec("a"), bad.spec("bad"), house.steady("c").spec("c"))
    reason = house.parent.wait_exit()
    assert isinstance(reason, Crash)
    assert isinstance(reason.error, ChildStartError)
    assert (reason.error.id, reason.error.reason) == ("bad", Crash(BOOM))
    assert house.tale(2) == [("a", "began"), ("a", "ended")]
    assert house.story.empty()
    assert not house.parent.started.is_set()


@pytest.mark.parametrize("error", [BOOM, SystemExit(1)], ids=["Exception", "BaseException"])
def test_a_start_function_that_raises_is_an_exit_like_any_other(house: House, error: BaseException) -> None:
    def start(_: Link) -> ActorRef[Any]:
        raise error

    house.start(house.steady("a").spec("a"), ChildSpec(id="bad", start=start))
    reason = house.parent.wait_exit()
    assert isinstance(reason, Crash)
    assert isinstance(reason.error, ChildStartError)
    assert reason.error.reason == Crash(error)
    assert house.tale(2) == [("a", "began"), ("a", "ended")]


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
    assert house.parent.wait_exit() == Shutdown()


def test_a_child_that_does_not_end_in_its_time_is_left_behind(house: House) -> None:
    let_go = threading.Event()
    deaf = Starts(DeafChild.start, let_go)
    house.start(house.steady("a").spec("a"), deaf.spec("deaf", shutdown_s=0.01))
    house.parent.wait_started()
    house.end()
    assert house.tale(2) == [("a", "began"), ("a", "ended")]
    assert deaf.next().is_alive()
    let_go.set()


async def test_a_deaf_child_that_was_removed_can_be_replaced_and_its_late_end_harms_nobody(house: House) -> None:
    let_go = threading.Event()
    deaf, steady = Starts(DeafChild.start, let_go), house.steady("x")
    ref = house.start()
    start_child(ref, deaf.spec("x", shutdown_s=0.01))
    deaf.next()
    remove_child(ref, "x")
    assert house.removed.get(timeout=PATIENCE_S) == "x"
    start_child(ref, steady.spec("x"))
    steady.next()
    let_go.set()
    while any(actor.actor_class is DeafChild for actor in deaf_alive()):
        await which(ref)
    (child,) = await which(ref)
    assert (child.id, child.phase, child.restarts) == ("x", ChildPhase.RUNNING, 0)


def deaf_alive() -> list[ActorRef[Any]]:
    return ActorRegistry.get_by_class(DeafChild)


async def which(ref: ActorRef[Any]) -> list[ChildSnapshot]:
    answer: list[ChildSnapshot] = await ask(ref, WhichChildren(), timeout=PATIENCE_S)
    return answer


async def test_children_are_shown_in_start_order_with_what_became_of_them(house: House) -> None:
    a, b = house.steady("a"), house.steady("b")
    ref = house.start(a.spec("a"), b.spec("b"))
    a.next()
    tell(b.next(), Do(do_crash))
    b.next()
    house.tale(4)
    first, second = await which(ref)
    assert (first.id, first.incarnation, first.restarts, first.last_exit) == ("a", 1, 0, "")
    assert (second.id, second.incarnation, second.restarts, second.last_exit) == ("b", 2, 1, "ValueError: boom")


async def test_dynamic_children_are_added_and_removed_and_may_come_again_at_once(house: House) -> None:
    ref = house.start()
    for _ in range(3):
        starts = house.steady("x")
        start_child(ref, starts.spec("x"))
        start_child(ref, starts.spec("x"))
        starts.next()
        remove_child(ref, "x")
        assert house.removed.get(timeout=PATIENCE_S) == "x"
        assert starts.count == 1
    assert await which(ref) == []


def test_a_child_added_before_the_supervisor_has_begun_is_started(house: House) -> None:
    for _ in range(20):
        parent, starts = Parent(), Starts(SteadyChild.start)
        ref = Supervisor.start(parent.link, "early")
        start_child(ref, starts.spec("x"))
        starts.next()
        tell(ref, ShutDown())
        assert parent.wait_exit() == Shutdown()


def test_dynamic_children_end_together_while_static_ones_wait(house: House) -> None:
    slow = [Starts(SlowChild.start) for _ in range(3)]
    ref = house.start(house.steady("static").spec("static"))
    for number, starts in enumerate(slow):
        start_child(ref, starts.spec(str(number)))
    children = [starts.next() for starts in slow]
    tell(ref, ShutDown())
    assert house.tale(1) == [("static", "began")]
    for child in reversed(children):
        assert house.story.empty()
        tell(child, BeGone())
    assert house.parent.wait_exit() == Shutdown()
    assert house.tale(1) == [("static", "ended")]


def test_supervisors_can_be_nested_and_the_inner_ones_end_is_an_exit_like_any_other(house: House) -> None:
    inner_child = house.steady("inner")
    inner = Starts(Supervisor.start, "inner", [inner_child.spec("inner")], Intensity(0))
    house.start(inner.spec("supervisor"))
    tell(inner_child.next(), Do(do_crash))
    inner_child.next()
    assert inner.count == 2
    house.end()
    assert house.tale(4) == [("inner", "began"), ("inner", "ended"), ("inner", "began"), ("inner", "ended")]


def test_a_supervisor_that_fails_itself_tells_its_children_to_end(house: House) -> None:
    def fail(_: str) -> None:
        raise BOOM

    parent, good, gone = Parent(), house.steady("good"), Starts(CrashingChild.start, "handle", BOOM)
    Supervisor.start(
        parent.link, "bad", [good.spec("good"), gone.spec("x", restart=Restart.TEMPORARY)], on_removed=fail
    )
    parent.wait_started()
    tell(gone.next(), Poke())
    assert parent.wait_exit() == Crash(BOOM)
    assert house.tale(2) == [("good", "began"), ("good", "ended")]


def test_an_unknown_message_ends_no_supervisor(house: House) -> None:
    ref = house.start(house.steady("a").spec("a"))
    tell(ref, "what is this")
    house.parent.wait_started()
    with pytest.raises(Empty):
        house.removed.get_nowait()
