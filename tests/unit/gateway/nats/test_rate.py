"""How fast commands are taken, whatever is asked and whenever."""

from hypothesis import given
from hypothesis import strategies as st

from gateway.nats.rate import Bucket


class Clock:
    """Stands still until it is moved."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def test_twice_the_rate_comes_at_once_and_then_no_more_than_the_rate() -> None:
    clock = Clock()
    bucket = Bucket(clock)
    assert bucket.left(100, 500) == 200
    bucket.take(200)
    assert bucket.left(100, 500) == 0
    assert bucket.pause(100) == 0.05
    clock.now += 0.5
    assert bucket.left(100, 500) == 50
    assert bucket.left(100, 7) == 7


def test_without_a_limit_there_is_none() -> None:
    bucket = Bucket(Clock())
    for _ in range(3):
        assert bucket.left(0, 1000) == 1000
        bucket.take(1000)
    assert bucket.pause(0) == 0


def test_a_limit_set_at_run_time_holds_from_then_on() -> None:
    clock = Clock()
    bucket = Bucket(clock)
    bucket.left(1000, 1)
    assert bucket.left(10, 1000) == 20
    bucket.take(20)
    clock.now += 1
    assert bucket.left(10, 1000) == 10


def test_a_rate_below_one_lets_one_through_now_and_then() -> None:
    clock = Clock()
    bucket = Bucket(clock)
    assert bucket.left(0.1, 5) == 1
    bucket.take(1)
    assert bucket.left(0.1, 5) == 0
    clock.now += bucket.pause(0.1)
    assert bucket.left(0.1, 5) == 1


def test_who_shares_a_bucket_pays_for_what_others_took() -> None:
    clock = Clock()
    bucket = Bucket(clock)
    shares = [bucket.left(10, 20) for _ in range(3)]
    for share in shares:
        bucket.take(share)
    assert sum(shares) == 60
    clock.now += 3.9
    assert bucket.left(10, 1) == 0
    clock.now += 0.3
    assert bucket.left(10, 1) == 1


@given(
    st.floats(0.5, 5000),
    st.lists(st.tuples(st.floats(0, 2), st.integers(1, 300)), min_size=1, max_size=60),
)
def test_in_no_time_more_than_the_rate_and_the_burst_is_taken(rate: float, asked: list[tuple[float, int]]) -> None:
    clock = Clock()
    bucket = Bucket(clock)
    began, taken = clock.now, 0
    for wait, wanted in asked:
        clock.now += wait
        share = bucket.left(rate, wanted)
        assert 0 <= share <= wanted
        bucket.take(share)
        taken += share
        assert taken <= max(1.0, 2 * rate) + rate * (clock.now - began) + 1e-6


@given(st.floats(0.1, 5000), st.integers(1, 1000))
def test_whoever_waits_as_long_as_told_gets_something(rate: float, debt: int) -> None:
    clock = Clock()
    bucket = Bucket(clock)
    bucket.left(rate, 1)
    bucket.take(debt)
    clock.now += bucket.pause(rate) + 1e-6
    assert bucket.left(rate, 1000) >= 1
