"""The plan of ``make storm``."""

from collections import Counter
from random import Random

import pytest

from tests.storm.plan import Strike, What, plan

CHANNELS = [(f"clinic-{clinic}", f"desk-{desk}") for clinic in range(3) for desk in range(2)]


@pytest.mark.parametrize("seed", range(20))
def test_there_are_as_many_kills_as_asked_for_of_each_sort_and_the_network_fails_besides(seed: int) -> None:
    planned = plan(CHANNELS, 20, 2.0, Random(seed))
    sorts = Counter(strike.what for strike in planned)
    assert sum(count for what, count in sorts.items() if what.kills) == 20
    assert all(sorts[what] for what in What)
    for strike in planned:
        assert 0 <= strike.after <= 8
        assert (strike.key in CHANNELS) == (strike.key is not None)
        assert strike.what is not What.PORT or strike.key is not None


def test_the_same_seed_is_the_same_plan() -> None:
    one, again, another = (plan(CHANNELS, 20, 2.0, Random(seed)) for seed in (3, 3, 4))
    assert one == again != another


def test_a_strike_concerns_its_channel_or_all() -> None:
    one = Strike(what=What.PORT, after=0, key=CHANNELS[0])
    assert one.concerns(CHANNELS[0])
    assert not one.concerns(CHANNELS[1])
    assert Strike(what=What.MAIN, after=0).concerns(CHANNELS[1])
    assert "clinic-0/desk-0" in str(one)
