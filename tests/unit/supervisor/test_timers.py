import random

from supervisor.timers import Timers


def test_timers_come_in_the_order_in_which_they_are_due() -> None:
    timers = Timers()
    timers.set("late", 3.0, "third")
    timers.set("early", 1.0, "first")
    timers.set("also early", 1.0, "second")
    assert [(timers.due(), timers.take()) for _ in range(3)] == [(1.0, "first"), (1.0, "second"), (3.0, "third")]
    assert timers.due() is None
    assert not timers


def test_a_timer_replaces_the_one_of_the_same_name() -> None:
    timers = Timers()
    timers.set("a", 1.0, "old")
    timers.set("a", 2.0, "new")
    assert (len(timers), timers.due(), timers.take()) == (1, 2.0, "new")
    assert timers.due() is None


def test_a_cancelled_timer_does_not_come() -> None:
    timers = Timers()
    timers.set("a", 1.0, "a")
    timers.set("b", 2.0, "b")
    timers.cancel("a")
    timers.cancel("unknown")
    assert (timers.due(), timers.take()) == (2.0, "b")
    timers.set("c", 3.0, "c")
    timers.cancel_all()
    assert timers.due() is None


def test_a_timer_that_is_set_again_and_again_takes_no_more_room() -> None:
    timers = Timers()
    for number in range(10_000):
        timers.set("idle", 1000.0 + number, number)
    assert len(timers._heap) < 100
    assert (timers.due(), timers.take()) == (10_999.0, 9999)


def test_many_random_timers_come_as_from_a_sorted_list() -> None:
    chance, timers = random.Random(7), Timers()
    expected: dict[str, tuple[float, int]] = {}
    for number in range(3000):
        name = f"timer-{chance.randrange(60)}"
        if chance.random() < 0.6:
            due = float(chance.randrange(1000))
            timers.set(name, due, number)
            expected[name] = (due, number)
        elif chance.random() < 0.5:
            timers.cancel(name)
            expected.pop(name, None)
        elif expected:
            first = min(expected, key=lambda each: expected[each])
            assert (timers.due(), timers.take()) == expected.pop(first)
        assert len(timers) == len(expected)
