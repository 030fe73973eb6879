import asyncio
import threading
from collections.abc import Callable, Iterator
from queue import SimpleQueue
from typing import Any

import pytest
from pykka import ActorRegistry

from supervisor.actor import Actor, Link, NoAnswerError, ShutDown, ask, tell
from supervisor.reasons import Crash, ExitReason, Normal, Shutdown
from tests.fakes.crashing_child import CrashingChild, Poke, Where
from tests.fakes.parent import PATIENCE_S, Parent
from tests.fakes.slow_child import BeGone, ComeUp, SlowChild, StayAway
from tests.fakes.steady_child import Do, SteadyChild

ERRORS = [ValueError("no"), SystemExit(3), KeyboardInterrupt(), asyncio.CancelledError(), GeneratorExit()]


class Diary(Actor):
    """Writes down what it hears, and what came too late; held in ``initialize`` until it may go on."""

    def __init__(self, link: Link, book: "Fixture") -> None:
        super().__init__(link)
        self.heard: SimpleQueue[Any] = SimpleQueue()
        self.late: SimpleQueue[Any] = SimpleQueue()
        self._book = book

    def initialize(self) -> bool:
        self._book.actor = self
        self._book.entered.set()
        assert self._book.go_on.wait(PATIENCE_S)
        return True

    def handle(self, message: Any) -> None:
        if isinstance(message, Do):
            message.what(self)
        else:
            self.heard.put(message)

    def answer(self, request: Any, reply: Callable[[Any], None]) -> None:
        if request == "refuse":
            raise ValueError("refused")
        if request == "refuse kindly":
            reply(ValueError("refused"))
        elif request != "forget":
            reply(f"answer to {request}")
            reply("a second answer")

    def dropped(self, message: Any) -> None:
        self.late.put(message)


class Fixture:
    """A ``Diary`` that is in ``initialize``."""

    actor: Diary

    def __init__(self) -> None:
        self.parent = Parent()
        self.entered, self.go_on = threading.Event(), threading.Event()
        self.ref = Diary.start(self.parent.link, self)
        assert self.entered.wait(PATIENCE_S)

    def run(self) -> "Fixture":
        self.go_on.set()
        self.parent.wait_started()
        return self

    def do(self, what: Callable[[Actor], Any]) -> None:
        assert tell(self.ref, Do(what))

    def end(self) -> None:
        self.go_on.set()
        tell(self.ref, ShutDown())
        self.parent.wait_exit()


@pytest.fixture
def diary() -> Iterator[Fixture]:
    fixture = Fixture()
    yield fixture
    if fixture.ref.is_alive():
        fixture.end()


# -- ends --


WHERE: tuple[Where, ...] = ("initialize", "handle", "answer", "shut_down", "cleanup")
CRASHES = [
    (where, error)
    for where in WHERE
    for error in ERRORS
    if not (where == "answer" and isinstance(error, Exception))  # that is the answer
]


@pytest.mark.parametrize(("where", "error"), CRASHES, ids=lambda value: str(value) or type(value).__name__)
async def test_every_exception_reaches_the_parent_as_a_crash(where: Where, error: BaseException) -> None:
    parent, bystander = Parent(), Parent()
    other = SteadyChild.start(bystander.link)
    ref = CrashingChild.start(parent.link, where, error)
    if where != "initialize":
        parent.wait_started()
    match where:
        case "handle":
            tell(ref, Poke())
        case "answer":
            with pytest.raises(NoAnswerError, match="crashed"):
                await ask(ref, "request", timeout=PATIENCE_S)
        case "shut_down" | "cleanup":
            tell(ref, ShutDown())
    reason = parent.wait_exit()
    assert isinstance(reason, Crash)
    assert reason.error is error
    assert parent.heard_nothing_more()
    assert other.is_alive(), "pykka would have stopped every actor"
    tell(other, ShutDown())
    bystander.wait_exit()


def test_an_actor_that_fails_to_initialize_was_never_up() -> None:
    parent = Parent()
    CrashingChild.start(parent.link, "initialize", ValueError("no"))
    parent.wait_exit()
    assert not parent.started.is_set()


@pytest.mark.parametrize("reason", [Shutdown(), Shutdown("more"), Normal(), Crash(ValueError("no"))], ids=str)
def test_an_actor_told_to_end_ends_for_the_reason_it_was_told(reason: ExitReason) -> None:
    parent = Parent()
    ref = SteadyChild.start(parent.link)
    tell(ref, ShutDown(reason))
    assert parent.wait_exit() == reason
    assert parent.heard_nothing_more()


def test_an_actor_says_of_itself_what_it_likes_when_it_comes_up() -> None:
    parent = Parent()
    ref = SlowChild.start(parent.link)
    tell(ref, ComeUp("on port 4222"))
    parent.wait_started()
    assert parent.infos.get_nowait() == "on port 4222"
    tell(ref, BeGone())
    parent.wait_exit()


def test_an_actor_that_is_not_to_be_says_so_and_nothing_else() -> None:
    parent = Parent()
    ref = SlowChild.start(parent.link)
    tell(ref, StayAway())
    tell(ref, ComeUp())
    parent.wait_ignored()
    assert not parent.started.is_set()
    assert parent.heard_nothing_more()


async def test_an_actor_counts_what_it_has_done_and_says_since_when_it_is_at_it(diary: Fixture) -> None:
    since = diary.actor.busy_since
    assert since is not None
    tell(diary.ref, "waits")
    assert diary.actor.depth == 1
    diary.run()
    await ask(diary.ref, "all done?", timeout=PATIENCE_S)
    assert diary.actor.depth == 0
    assert diary.actor.handled >= 2


def test_pykkas_own_stop_is_an_end_like_any_other() -> None:
    parent = Parent()
    ref = SteadyChild.start(parent.link)
    ref.stop(block=False)
    assert parent.wait_exit() == Normal()
    assert not ActorRegistry.get_all()


def test_only_the_first_exit_counts(diary: Fixture) -> None:
    def exit_twice(actor: Actor) -> None:
        actor.exit(Normal())
        actor.exit(Shutdown())

    diary.run().do(exit_twice)
    assert diary.parent.wait_exit() == Normal()
    assert diary.parent.heard_nothing_more()


def test_an_actor_may_be_up_later_and_take_its_time_to_end() -> None:
    parent = Parent()
    ref = SlowChild.start(parent.link)
    tell(ref, ShutDown())
    tell(ref, ComeUp())
    parent.wait_started()
    assert parent.heard_nothing_more()
    tell(ref, BeGone())
    assert parent.wait_exit() == Shutdown()


def test_initialize_comes_before_what_others_have_sent_already() -> None:
    for _ in range(50):
        parent = Parent()
        ref = SteadyChild.start(parent.link)
        tell(ref, ShutDown())
        parent.wait_exit()
        assert parent.started.is_set()


def test_nothing_is_handled_after_the_end_and_all_of_it_is_dropped(diary: Fixture) -> None:
    diary.do(lambda actor: actor.exit(Normal()))
    tell(diary.ref, "late")
    diary.run()
    diary.parent.wait_exit()
    assert diary.actor.late.get(timeout=PATIENCE_S) == "late"
    assert diary.actor.heard.empty()


def test_what_an_actor_tells_itself_after_its_end_is_dropped_too(diary: Fixture) -> None:
    diary.run().end()
    diary.actor.tell("later still")
    assert diary.actor.late.get(timeout=PATIENCE_S) == "later still"
    assert not tell(diary.ref, "later")


def test_no_message_is_lost_between_being_sent_and_the_end() -> None:
    for _ in range(30):
        fixture = Fixture().run()
        sent = 0
        fixture.do(lambda actor: actor.exit(Normal()))
        while fixture.ref.is_alive() or sent < 10:
            fixture.actor.tell(sent)
            sent += 1
        fixture.parent.wait_exit()
        late = [fixture.actor.late.get(timeout=PATIENCE_S) for _ in range(sent)]
        assert sorted(late) == list(range(sent))


# -- timers --


def test_timers_come_in_order_and_can_be_replaced_and_cancelled(diary: Fixture) -> None:
    def set_timers(actor: Actor) -> None:
        actor.timer("b", 0.02, "b")
        actor.timer("a", 0.01, "a")
        actor.timer("c", 0.001, "cancelled")
        actor.timer("d", 0.001, "replaced")
        actor.timer("d", 0.03, "d")
        actor.cancel("c")

    diary.run().do(set_timers)
    assert [diary.actor.heard.get(timeout=PATIENCE_S) for _ in range(3)] == ["a", "b", "d"]


def test_no_timer_comes_after_the_end(diary: Fixture) -> None:
    def set_timer_and_exit(actor: Actor) -> None:
        actor.timer("t", 0.0, "timer")
        actor.exit(Normal())

    diary.run().do(set_timer_and_exit)
    diary.parent.wait_exit()
    diary.actor.actor_stopped.wait(PATIENCE_S)
    assert diary.actor.heard.empty()


# -- asking --


async def test_an_answer_reaches_the_asker_once(diary: Fixture) -> None:
    diary.run()
    assert await ask(diary.ref, "question", timeout=PATIENCE_S) == "answer to question"


@pytest.mark.parametrize("request_", ["refuse", "refuse kindly"])
async def test_an_exception_raised_or_answered_is_the_answer_and_harms_nobody(diary: Fixture, request_: str) -> None:
    diary.run()
    with pytest.raises(ValueError, match="refused"):
        await ask(diary.ref, request_, timeout=PATIENCE_S)
    assert diary.ref.is_alive()


async def test_no_answer_in_time_is_an_error_that_says_so(diary: Fixture) -> None:
    diary.run()
    with pytest.raises(NoAnswerError, match=r"no answer within 0\.01 s"):
        await ask(diary.ref, "forget", timeout=0.01)


async def test_an_answer_that_comes_after_the_timeout_is_ignored(diary: Fixture) -> None:
    with pytest.raises(NoAnswerError):
        await ask(diary.ref, "question", timeout=0.01)
    diary.run()
    assert await ask(diary.ref, "again", timeout=PATIENCE_S) == "answer to again"


async def test_a_dead_actor_gives_no_answer(diary: Fixture) -> None:
    diary.run().end()
    with pytest.raises(NoAnswerError, match="has ended"):
        await ask(diary.ref, "question", timeout=PATIENCE_S)


async def test_a_question_that_waits_when_the_actor_ends_is_answered_at_once(diary: Fixture) -> None:
    diary.do(lambda actor: actor.exit(Normal()))
    asking = asyncio.ensure_future(ask(diary.ref, "question", timeout=PATIENCE_S))
    await asyncio.sleep(0)
    diary.go_on.set()
    with pytest.raises(NoAnswerError, match="has ended"):
        await asking


async def test_an_actor_that_answers_nothing_says_so() -> None:
    parent = Parent()
    ref = SteadyChild.start(parent.link)
    with pytest.raises(NotImplementedError, match="SteadyChild does not answer str"):
        await ask(ref, "question", timeout=PATIENCE_S)
    tell(ref, ShutDown())
    parent.wait_exit()


def test_an_unexpected_message_ends_nobody() -> None:
    parent = Parent()
    ref = SlowChild.start(parent.link)
    tell(ref, "what is this")
    tell(ref, BeGone())
    reason: ExitReason = parent.wait_exit()
    assert reason == Shutdown()
