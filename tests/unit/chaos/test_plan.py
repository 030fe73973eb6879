"""The plan of ``make chaos``, and what it takes for a leak."""

from random import Random

import pytest

from tests.chaos.kinds import ESSENTIAL, KINDS, Counts, Loses
from tests.chaos.leaks import grown, shrunk
from tests.chaos.plan import AT_ONCE, Kill, waves

CHANNELS = [(f"clinic-{clinic}", f"desk-{desk}") for clinic in range(5) for desk in range(2)]
NOTHING: dict[str, dict[str, int]] = {
    "threads": {},
    "hung": {},
    "descriptors": {},
    "processes": {},
    "tasks": {},
    "actors": {},
}


@pytest.mark.parametrize("seed", range(20))
def test_a_wave_concerns_the_node_alone_or_clinics_of_which_each_is_hit_once(seed: int) -> None:
    planned = waves(KINDS, CHANNELS, 100, Random(seed))
    assert sum(len(wave) for wave in planned) == 100
    for wave in planned:
        assert 1 <= len(wave) <= AT_ONCE
        assert len(wave) == 1 or not any(kill.kind.alone for kill in wave)
        assert len({kill.clinic for kill in wave}) == len(wave)


def test_each_kind_comes_once_if_there_are_enough_kills() -> None:
    for kinds in (KINDS, ESSENTIAL):
        drawn = [kill.kind for wave in waves(kinds, CHANNELS, len(kinds), Random(7)) for kill in wave]
        assert sorted(map(id, drawn)) == sorted(map(id, kinds))


def test_the_same_seed_is_the_same_plan() -> None:
    one, again, another = (waves(KINDS, CHANNELS, 50, Random(seed)) for seed in (3, 3, 4))
    assert one == again != another


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_a_kill_hits_whom_its_victim_serves(kind: object) -> None:
    kill = Kill(next(known for known in KINDS if known is kind), "clinic-1", "desk-0")
    losing = kill.losing(CHANNELS)
    expected = {
        Loses.NOBODY: set(),
        Loses.CHANNEL: {("clinic-1", "desk-0")},
        Loses.CLINIC: {("clinic-1", "desk-0"), ("clinic-1", "desk-1")},
        Loses.ALL: set(CHANNELS),
    }
    assert losing == expected[kill.kind.victim.loses]
    assert "{" not in kill.place
    assert kill.kind.alone or kill.place.startswith("clinics/clinic-1")
    if kill.kind.victim.counts is Counts.ROOT:
        assert kill.limit == Kill(kill.kind, "clinic-2", "desk-0").limit


def test_what_has_grown_is_a_leak_and_what_hangs_on_purpose_is_none() -> None:
    before = NOTHING | {"threads": {"Channel": 4}, "descriptors": {"socket": 9}}
    after = NOTHING | {"threads": {"Channel": 6}, "descriptors": {"socket": 10, "pipe": 2}, "hung": {"Channel": 1}}
    assert grown(before, after) == ["1 Channel (threads)", "2 pipe (descriptors)"]
    assert grown(before, before) == []


def test_an_actor_that_is_still_in_memory_is_a_leak_unless_one_that_hangs_may_hold_it() -> None:
    after = NOTHING | {"actors": {"Channel": 1}}
    assert grown(NOTHING, after) == ["1 Channel (actors)"]
    assert grown(NOTHING, after | {"hung": {"Registrar": 1}}) == []


def test_a_process_that_did_not_come_back_is_missed() -> None:
    before, after = NOTHING | {"processes": {"port": 4}}, NOTHING | {"processes": {"port": 3}}
    assert shrunk(before, after) == ["1 port (processes)"]
