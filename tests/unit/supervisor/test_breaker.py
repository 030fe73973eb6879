from dataclasses import replace

import pytest

from supervisor.breaker import Breaker, BreakerSnapshot, BreakerState, Consecutive, FailureRate
from supervisor.window import Window

CONSECUTIVE = Breaker(trip=Consecutive(3), pause_s=60.0)
RATE = Breaker(trip=FailureRate(threshold=0.5, minimum=4), pause_s=60.0, window=Window(span_s=10.0))


def tripped(now: float = 0.0, breaker: Breaker = CONSECUTIVE) -> Breaker:
    while breaker.state is BreakerState.CLOSED:
        breaker = breaker.attempt().failure(now)
    return breaker


def after(breaker: Breaker, outcomes: str, now: float = 0.0) -> Breaker:
    """``x`` is a failure, ``.`` a success."""
    for outcome in outcomes:
        breaker = breaker.attempt()
        breaker = breaker.failure(now) if outcome == "x" else breaker.success(now)
    return breaker


def test_a_new_breaker_is_closed_and_lets_everything_through() -> None:
    assert Breaker().state is BreakerState.CLOSED
    assert Breaker().ready(5.0)
    assert Breaker().wait(5.0) == 0.0


@pytest.mark.parametrize(
    ("outcomes", "state"),
    [
        ("xx", BreakerState.CLOSED),
        ("xxx", BreakerState.OPEN),
        ("xx.xx", BreakerState.CLOSED),
        ("xx.xxx", BreakerState.OPEN),
    ],
)
def test_it_opens_at_the_limit_of_failures_in_a_row_and_not_before(outcomes: str, state: BreakerState) -> None:
    assert after(CONSECUTIVE, outcomes).state is state


@pytest.mark.parametrize(
    ("outcomes", "state"),
    [
        ("xxx", BreakerState.CLOSED),
        ("xxxx", BreakerState.OPEN),
        ("...x", BreakerState.CLOSED),
        ("..xx", BreakerState.OPEN),
        ("xx..", BreakerState.CLOSED),
        ("xx..x", BreakerState.OPEN),
        ("......xxxxx", BreakerState.CLOSED),
        ("......xxxxxx", BreakerState.OPEN),
    ],
)
def test_it_opens_with_the_failure_that_brings_the_rate_to_the_threshold(outcomes: str, state: BreakerState) -> None:
    assert after(RATE, outcomes).state is state


def test_failures_older_than_the_window_do_not_count() -> None:
    assert after(after(RATE, "xxx", 0.0), "x", 9.9).state is BreakerState.OPEN
    assert after(after(RATE, "xxx", 0.0), "x", 10.0).state is BreakerState.CLOSED


def test_an_open_breaker_says_how_long_to_wait_and_lets_nothing_through() -> None:
    assert [tripped(10.0).wait(now) for now in (10.0, 69.0, 70.0, 71.0)] == [60.0, 1.0, 0.0, 0.0]
    assert [tripped(10.0).ready(now) for now in (10.0, 69.0, 70.0, 71.0)] == [False, False, True, True]


def test_after_the_pause_one_probe_is_let_through_and_no_other() -> None:
    probing = tripped().attempt()
    assert probing.state is BreakerState.HALF_OPEN
    assert not probing.ready(1e9)
    assert probing.attempt() == probing


@pytest.mark.parametrize("breaker", [CONSECUTIVE, RATE], ids=["consecutive", "rate"])
def test_a_probe_that_succeeds_closes_it_and_what_was_before_is_forgotten(breaker: Breaker) -> None:
    closed = tripped(breaker=breaker).attempt().success(60.0)
    assert (closed.state, closed.failures, closed.opened) == (BreakerState.CLOSED, 0, 1)
    assert closed.window.tally(60.0).calls == 0


@pytest.mark.parametrize("breaker", [CONSECUTIVE, RATE], ids=["consecutive", "rate"])
def test_a_probe_that_fails_opens_it_again_for_a_whole_pause(breaker: Breaker) -> None:
    opened = tripped(breaker=breaker).attempt().failure(100.0)
    assert (opened.state, opened.opened, opened.wait(100.0)) == (BreakerState.OPEN, 2, 60.0)


def test_a_probe_that_says_nothing_may_be_followed_by_another_at_once() -> None:
    abandoned = tripped().attempt().abandon()
    assert (abandoned.state, abandoned.opened) == (BreakerState.OPEN, 1)
    assert abandoned.ready(60.0)
    assert CONSECUTIVE.abandon() == CONSECUTIVE


def test_what_ends_while_it_is_open_changes_nothing() -> None:
    assert tripped().success(1.0) == tripped().failure(1.0) == tripped()


@pytest.mark.parametrize("breaker", [after(CONSECUTIVE, "x"), tripped(), tripped().attempt()], ids=lambda b: b.state)
def test_reset_closes_it_in_every_state(breaker: Breaker) -> None:
    assert breaker.reset() == replace(CONSECUTIVE, opened=breaker.opened, open_until=breaker.open_until)


def test_a_snapshot_says_all_of_it() -> None:
    assert after(RATE, ".xx", 1.0).snapshot(2.0) == BreakerSnapshot(
        state=BreakerState.CLOSED, failures=2, failure_rate=2 / 3, calls=3, opened=0, retry_in_s=0.0
    )
    assert after(RATE, ".xxx", 1.0).snapshot(2.0) == BreakerSnapshot(
        state=BreakerState.OPEN, failures=3, failure_rate=0.75, calls=4, opened=1, retry_in_s=59.0
    )
