import threading
from queue import SimpleQueue
from typing import Any

import hypothesis.strategies as st
import pytest
from hypothesis import given
from pykka import ActorDeadError
from pykka._envelope import Envelope
from pykka.messages import _ActorStop

from supervisor import inbox as inbox_module
from supervisor.inbox import Closed, Inbox, InboxFullError, Urgent

PATIENCE_S = 10.0


class Stop(Urgent):
    """What may not wait."""


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


def test_a_reader_that_waits_is_told_that_nothing_more_can_come() -> None:
    for timer in (False, True):
        inbox, got = Inbox(), SimpleQueue[Any]()
        if timer:
            inbox.schedule("t", 60.0, "timer")
        reader = threading.Thread(target=lambda inbox=inbox, got=got: got.put(inbox.get().message))
        reader.start()
        inbox.close()
        assert isinstance(got.get(timeout=PATIENCE_S), Closed)
        reader.join()


# -- the urgent lane --


def test_what_is_urgent_overtakes_a_backlog_and_keeps_its_own_order() -> None:
    inbox, first, second = Inbox(), Stop(), Stop()
    for message in ("a", first, "b", second):
        inbox.put(Envelope(message))
    assert [inbox.get().message for _ in range(4)] == [first, second, "a", "b"]


def test_in_an_inbox_in_order_even_a_stop_waits_for_its_turn() -> None:
    inbox, stop = Inbox(in_order=True), Stop()
    for message in ("a", stop, "b"):
        inbox.put(Envelope(message))
    assert [inbox.get().message for _ in range(3)] == ["a", stop, "b"]


# -- the limit --


def full(limit: int = 2) -> Inbox:
    inbox = Inbox(limit)
    for number in range(limit):
        inbox.put(Envelope(number))
    return inbox


@pytest.mark.parametrize("timeout", [0.0, 0.01])
def test_one_message_more_than_the_limit_is_refused_when_its_time_is_over(timeout: float) -> None:
    inbox = full()
    with pytest.raises(InboxFullError, match="2 messages wait already"):
        inbox.put(Envelope("one too many"), timeout)
    assert inbox.depth == 2


def test_there_is_always_room_for_what_is_urgent_and_for_what_the_actor_tells_itself() -> None:
    inbox, stop = full(), Stop()
    inbox.put(Envelope(stop))
    inbox.put_own(Envelope("own"))
    assert inbox.depth == 4
    assert [inbox.get().message for _ in range(4)] == [stop, 0, 1, "own"]


def test_pykkas_own_stop_gets_in_too() -> None:
    inbox = full()
    inbox.put(Envelope(_ActorStop()))
    assert isinstance(inbox.get().message, _ActorStop)


def test_room_is_made_by_every_message_that_is_read_and_by_nothing_else() -> None:
    inbox = full()
    inbox.put(Envelope(Stop()))
    inbox.get()
    with pytest.raises(InboxFullError):
        inbox.put(Envelope("urgent messages take no room"))
    inbox.get()
    inbox.put(Envelope("now"))
    assert [inbox.get().message for _ in range(2)] == [1, "now"]


def waits(inbox: Inbox, message: object, outcome: SimpleQueue[object]) -> threading.Thread:
    """A thread that waits for room."""

    def put() -> None:
        try:
            inbox.put(Envelope(message), PATIENCE_S)
            outcome.put("in")
        except ActorDeadError as error:
            outcome.put(error)

    thread = threading.Thread(target=put)
    thread.start()
    while inbox._blocked == 0:
        thread.join(0.001)
    return thread


def test_who_waits_for_room_gets_in_when_there_is_some() -> None:
    inbox, outcome = full(), SimpleQueue[object]()
    thread = waits(inbox, "patient", outcome)
    assert outcome.empty()
    inbox.get()
    assert outcome.get(timeout=PATIENCE_S) == "in"
    thread.join()
    assert [inbox.get().message for _ in range(2)] == [1, "patient"]


def test_who_waits_for_room_in_an_inbox_that_is_closed_is_told_so() -> None:
    inbox, outcome = full(), SimpleQueue[object]()
    thread = waits(inbox, "patient", outcome)
    inbox.close()
    assert isinstance(outcome.get(timeout=PATIENCE_S), ActorDeadError)
    thread.join()


def test_many_writers_and_a_limit_lose_nothing_and_never_exceed_it() -> None:
    inbox, depths = Inbox(3), list[int]()

    def write(writer: int) -> None:
        for number in range(200):
            inbox.put(Envelope((writer, number)), PATIENCE_S)

    threads = [threading.Thread(target=write, args=(writer,)) for writer in range(4)]
    for thread in threads:
        thread.start()
    read = []
    for _ in range(800):
        depths.append(inbox.depth)
        read.append(inbox.get().message)
    for thread in threads:
        thread.join()
    assert max(depths) <= 3
    for writer in range(4):
        assert [number for which, number in read if which == writer] == list(range(200))
