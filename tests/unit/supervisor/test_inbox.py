import threading
from queue import SimpleQueue
from typing import Any

import hypothesis.strategies as st
import pytest
from hypothesis import given
from pykka import ActorDeadError
from pykka._envelope import Envelope

from supervisor import inbox as inbox_module
from supervisor.inbox import Inbox


class Clock:
    """Stands until a wait moves it."""

    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(inbox_module, "time", clock)
    return clock


def test_messages_come_in_the_order_in_which_they_were_put() -> None:
    inbox = Inbox()
    for number in range(5):
        inbox.put(Envelope(number))
    assert [inbox.get().message for _ in range(5)] == [0, 1, 2, 3, 4]
    assert inbox.empty()


def test_a_timer_that_is_due_comes_before_the_messages_that_wait(clock: Clock) -> None:
    inbox = Inbox()
    inbox.put(Envelope("message"))
    inbox.schedule("t", 1.0, "timer")
    clock.now += 1.0
    assert inbox.get().message == "timer"
    assert inbox.get().message == "message"


def test_a_timer_that_is_not_due_holds_up_no_message(clock: Clock) -> None:
    inbox = Inbox()
    inbox.schedule("t", 1000.0, "timer")
    inbox.put(Envelope("message"))
    assert inbox.get().message == "message"


def test_an_empty_inbox_waits_for_its_timer() -> None:
    inbox = Inbox()
    inbox.schedule("t", 0.01, "timer")
    assert inbox.get().message == "timer"


def test_a_message_from_another_thread_ends_the_wait_for_a_timer() -> None:
    inbox = Inbox()
    inbox.schedule("t", 60.0, "timer")
    got: SimpleQueue[Any] = SimpleQueue()
    reader = threading.Thread(target=lambda: got.put(inbox.get().message))
    reader.start()
    inbox.put(Envelope("message"))
    assert got.get(timeout=5) == "message"
    reader.join()


def test_a_timer_of_the_same_name_is_replaced(clock: Clock) -> None:
    inbox = Inbox()
    inbox.schedule("t", 1.0, "first")
    inbox.schedule("t", 2.0, "second")
    clock.now += 2.0
    assert inbox.get().message == "second"
    inbox.put(Envelope("message"))
    assert inbox.get().message == "message"


def test_a_cancelled_timer_never_comes_even_if_it_was_due(clock: Clock) -> None:
    inbox = Inbox()
    inbox.schedule("t", 1.0, "timer")
    clock.now += 5.0
    inbox.cancel("t")
    inbox.cancel("nobody")
    inbox.put(Envelope("message"))
    assert inbox.get().message == "message"


def test_all_timers_can_be_cancelled_at_once(clock: Clock) -> None:
    inbox = Inbox()
    inbox.schedule("a", 0.0, "a")
    inbox.schedule("b", 0.0, "b")
    inbox.cancel_all()
    inbox.put(Envelope("message"))
    assert inbox.get().message == "message"


@given(st.lists(st.tuples(st.sampled_from("abcde"), st.integers(0, 10)), min_size=1, max_size=20))
def test_timers_come_in_the_order_of_their_times_the_last_of_each_name_once(timers: list[tuple[str, int]]) -> None:
    clock = Clock()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(inbox_module, "time", clock)
        inbox = Inbox()
        for name, seconds in timers:
            inbox.schedule(name, seconds, (name, seconds))
        clock.now += 10
        expected = dict(timers)
        came = [inbox.get().message for _ in expected]
    assert [seconds for _, seconds in came] == sorted(expected.values())
    assert dict(came) == expected


def test_a_closed_inbox_takes_nothing_more_and_gives_what_it_has() -> None:
    inbox = Inbox()
    inbox.put(Envelope("message"))
    inbox.close()
    with pytest.raises(ActorDeadError):
        inbox.put(Envelope("late"))
    assert inbox.get().message == "message"
    assert inbox.empty()
