import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.access.windows import Windows, network_of

ROUNDING = 1e-9


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def test_one_gets_so_many_and_is_told_when_it_gets_more() -> None:
    clock = Clock()
    windows = Windows(60.0, clock)

    assert [windows.take("a", 2) for _ in range(2)] == [None, None]
    clock.now = 20.0
    assert windows.take("a", 2) == 40.0
    assert windows.take("b", 2) is None
    clock.now = 60.0
    assert windows.take("a", 2) is None


def test_without_a_limit_nobody_is_counted() -> None:
    windows = Windows(60.0, Clock())

    assert all(windows.take("a", 0) is None for _ in range(1000))
    assert len(windows) == 0


def test_of_many_the_one_that_has_been_counted_for_longest_gives_way() -> None:
    windows = Windows(60.0, Clock(), most=2)
    for who in "abc":
        windows.take(who, 1)

    assert len(windows) == 2
    assert windows.take("c", 1) is not None
    assert windows.take("a", 1) is None


def test_who_comes_no_more_is_forgotten() -> None:
    clock = Clock()
    windows = Windows(60.0, clock)
    for number in range(100):
        windows.take(str(number), 1)
    clock.now = 60.0
    for _ in range(60):
        windows.take("x", 1000)

    assert len(windows) == 1


@given(
    limit=st.integers(1, 5),
    steps=st.lists(st.tuples(st.sampled_from("abc"), st.floats(0, 30, allow_nan=False)), max_size=60),
)
def test_within_its_time_nobody_gets_more_than_its_limit(limit: int, steps: list[tuple[str, float]]) -> None:
    clock = Clock()
    windows = Windows(10.0, clock)
    granted: dict[str, list[float]] = {}
    for who, pause in steps:
        clock.now += pause
        wait = windows.take(who, limit)
        assert wait is None or 0 < wait <= 10.0 + ROUNDING
        if wait is None:
            granted.setdefault(who, []).append(clock.now)
    for times in granted.values():
        assert all(sum(begin <= at < begin + 10.0 for at in times) <= 2 * limit for begin in times)


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("10.0.0.1", "10.0.0.1"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("::ffff:10.0.0.1", "10.0.0.1"),
        (None, ""),
        ("unix", "unix"),
    ],
)
def test_an_address_of_ipv6_stands_for_its_network(address: str | None, network: str) -> None:
    assert network_of(address) == network
