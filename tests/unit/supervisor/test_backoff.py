from random import Random

import hypothesis.strategies as st
from hypothesis import given

from supervisor.backoff import Backoff

seconds = st.floats(0.0, 1e6)
backoffs = st.builds(Backoff, base_s=seconds, factor=st.floats(1.0, 10.0), cap_s=seconds, stable_s=seconds)
attempts = st.integers(1, 10**9)


@given(backoffs, attempts)
def test_the_ceiling_is_never_above_the_cap_nor_below_nothing(backoff: Backoff, attempt: int) -> None:
    assert 0.0 <= backoff.ceiling(attempt) <= backoff.cap_s


@given(backoffs, st.integers(1, 10**6))
def test_the_ceiling_never_sinks_from_one_attempt_to_the_next(backoff: Backoff, attempt: int) -> None:
    assert backoff.ceiling(attempt + 1) >= backoff.ceiling(attempt)


@given(backoffs, attempts, st.integers())
def test_the_delay_lies_between_nothing_and_the_ceiling(backoff: Backoff, attempt: int, seed: int) -> None:
    assert 0.0 <= backoff.delay(attempt, Random(seed)) <= backoff.ceiling(attempt)


@given(st.integers())
def test_the_delay_uses_the_whole_range(seed: int) -> None:
    random, backoff = Random(seed), Backoff(base_s=1.0, factor=2.0, cap_s=100.0)
    delays = [backoff.delay(5, random) for _ in range(200)]
    assert min(delays) < 4.0
    assert max(delays) > 12.0


def test_the_ceiling_doubles_up_to_the_cap() -> None:
    backoff = Backoff(base_s=1.0, factor=2.0, cap_s=30.0)
    assert [backoff.ceiling(attempt) for attempt in range(1, 8)] == [1, 2, 4, 8, 16, 30, 30]


def test_a_backoff_of_nothing_never_delays() -> None:
    assert Backoff(base_s=0.0).delay(50, Random(1)) == 0.0


@given(backoffs, seconds)
def test_what_was_up_for_the_stable_time_counts_as_well_again(backoff: Backoff, up_s: float) -> None:
    assert backoff.stable(up_s) == (up_s >= backoff.stable_s)
