"""An actor whose inbox has a limit: who is refused, who waits, and what always gets in."""

import threading
from collections.abc import Callable, Iterator
from queue import SimpleQueue
from typing import Any

import pytest

from supervisor.actor import Actor, Link, NoAnswerError, ShutDown, ask, kill, of, tell
from supervisor.inbox import InboxFullError
from supervisor.reasons import ExitReason, Killed, Shutdown
from tests.fakes.parent import PATIENCE_S, Parent, taken
from tests.fakes.stuck_child import Trap


class Bounded(Actor):
    """Two messages of others may wait while it is held up at its beginning."""

    inbox_limit = 2

    def __init__(self, link: Link, trap: Trap) -> None:
        super().__init__(link)
        self._trap = trap

    def initialize(self) -> bool:
        self._trap.hold()
        return True

    def handle(self, message: Any) -> None:
        self._trap.story.put(str(message))

    def answer(self, request: Any, reply: Callable[[Any], None]) -> None:
        reply("answered")

    def shut_down(self, reason: ExitReason) -> None:
        self._trap.story.put("told to end")
        super().shut_down(reason)

    def dropped(self, message: Any) -> None:
        self._trap.story.put(f"dropped {message}")


class Orderly(Bounded):
    """Order is more to it than haste."""

    inbox_in_order = True


class Desk:
    """An actor that is held up, with two messages waiting."""

    def __init__(self, kind: type[Bounded] = Bounded) -> None:
        self.parent, self.trap = Parent(), Trap()
        self.ref = kind.start(self.parent.link, self.trap)
        assert self.trap.entered.wait(PATIENCE_S)
        for number in range(2):
            tell(self.ref, number)

    def story(self, length: int) -> list[str]:
        return [taken(self.trap.story, "nothing more happened") for _ in range(length)]


@pytest.fixture
def desk() -> Iterator[Desk]:
    desk = Desk()
    yield desk
    desk.trap.let_go.set()
    kill(desk.ref, "the test is over")


@pytest.mark.parametrize("timeout", [0.0, 0.01])
def test_one_message_too_many_is_refused(desk: Desk, timeout: float) -> None:
    with pytest.raises(InboxFullError):
        tell(desk.ref, "one too many", timeout=timeout)
    assert of(desk.ref).depth == 2


async def test_one_question_too_many_gets_no_answer_and_is_told_why(desk: Desk) -> None:
    with pytest.raises(NoAnswerError, match="overloaded") as raised:
        await ask(desk.ref, "question", timeout=PATIENCE_S)
    assert isinstance(raised.value.__cause__, InboxFullError)


def test_what_the_actor_tells_itself_always_gets_in(desk: Desk) -> None:
    of(desk.ref).tell("own")
    desk.trap.let_go.set()
    assert desk.story(3) == ["0", "1", "own"]


def test_being_told_to_end_gets_in_and_overtakes_the_backlog(desk: Desk) -> None:
    assert tell(desk.ref, ShutDown())
    desk.trap.let_go.set()
    assert desk.parent.wait_exit() == Shutdown()
    assert desk.story(3) == ["told to end", "dropped 0", "dropped 1"]


def test_pykkas_own_stop_gets_in_too(desk: Desk) -> None:
    desk.ref.stop(block=False)
    desk.trap.let_go.set()
    desk.parent.wait_exit()


def test_where_order_is_more_than_haste_even_the_end_waits_for_its_turn() -> None:
    desk = Desk(Orderly)
    desk.trap.let_go.set()
    tell(desk.ref, ShutDown(), timeout=PATIENCE_S)
    assert desk.parent.wait_exit() == Shutdown()
    assert desk.story(3) == ["0", "1", "told to end"]


def waits(desk: Desk) -> SimpleQueue[bool]:
    """Somebody at the edge waits for room."""
    outcome: SimpleQueue[bool] = SimpleQueue()
    threading.Thread(target=lambda: outcome.put(tell(desk.ref, "patient", timeout=PATIENCE_S))).start()
    return outcome


def test_who_waits_for_room_gets_in_when_there_is_some(desk: Desk) -> None:
    outcome = waits(desk)
    desk.trap.let_go.set()
    assert taken(outcome, "it did not get in")
    assert desk.story(3) == ["0", "1", "patient"]


def test_who_waits_for_room_when_the_actor_is_killed_is_told_at_once_that_it_has_ended(desk: Desk) -> None:
    outcome = waits(desk)
    kill(desk.ref, "enough")
    assert not taken(outcome, "it still waits")
    assert desk.parent.wait_exit() == Killed("enough")
