import hypothesis.strategies as st
import pytest
from hypothesis import given

from supervisor.breaker import Breaker, BreakerState


def tripped(now: float = 0.0) -> Breaker:
    breaker = Breaker(limit=3, pause_s=60.0)
    for _ in range(3):
        breaker = breaker.attempt().failure(now)
    return breaker


def test_a_new_breaker_is_closed_and_lets_everything_through() -> None:
    assert Breaker().state is BreakerState.CLOSED
    assert Breaker().wait(5.0) == 0.0


def test_it_opens_at_the_limit_of_failures_in_a_row_and_not_before() -> None:
    breaker = Breaker(limit=3)
    assert breaker.failure(0.0).failure(0.0).state is BreakerState.CLOSED
    assert breaker.failure(0.0).failure(0.0).failure(0.0).state is BreakerState.OPEN


def test_a_success_between_failures_begins_the_count_anew() -> None:
    breaker = Breaker(limit=2).failure(0.0).success().failure(0.0)
    assert breaker.state is BreakerState.CLOSED


def test_an_open_breaker_says_how_long_to_wait() -> None:
    assert tripped(10.0).wait(10.0) == 60.0
    assert tripped(10.0).wait(69.0) == 1.0
    assert tripped(10.0).wait(71.0) == 0.0


def test_after_the_pause_one_probe_is_let_through() -> None:
    assert tripped().attempt().state is BreakerState.HALF_OPEN


def test_a_probe_that_succeeds_closes_it() -> None:
    assert tripped().attempt().success() == Breaker(limit=3, pause_s=60.0)


def test_a_probe_that_fails_opens_it_again_for_a_whole_pause() -> None:
    breaker = tripped().attempt().failure(100.0)
    assert breaker.state is BreakerState.OPEN
    assert breaker.wait(100.0) == 60.0


@pytest.mark.parametrize("state", list(BreakerState))
def test_success_closes_it_in_every_state(state: BreakerState) -> None:
    breaker = {
        BreakerState.CLOSED: Breaker().failure(0.0),
        BreakerState.OPEN: tripped(),
        BreakerState.HALF_OPEN: tripped().attempt(),
    }[state]
    assert breaker.state is state
    assert breaker.success().state is BreakerState.CLOSED
    assert breaker.success().failures == 0


@given(st.lists(st.sampled_from(["attempt fails", "attempt succeeds", "pause"]), max_size=40), st.integers(1, 5))
def test_it_is_open_exactly_after_the_limit_of_failures_in_a_row(happenings: list[str], limit: int) -> None:
    breaker, now, in_a_row = Breaker(limit=limit, pause_s=10.0), 0.0, 0
    for happening in happenings:
        if happening == "pause":
            now += 3.0
            continue
        now += breaker.wait(now)
        breaker = breaker.attempt()
        assert (breaker.state is BreakerState.HALF_OPEN) == (in_a_row >= limit)
        in_a_row = 0 if happening == "attempt succeeds" else in_a_row + 1
        breaker = breaker.success() if in_a_row == 0 else breaker.failure(now)
        assert (breaker.state is BreakerState.OPEN) == (in_a_row >= limit)
        assert breaker.wait(now) == (10.0 if in_a_row >= limit else 0.0)
