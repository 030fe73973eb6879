import os
from pathlib import Path

import pytest

from config.doctor.finding import Level
from config.doctor.machine import descriptors, look, memory, processors, threads
from config.settings import load


@pytest.mark.parametrize(
    ("most", "level"), [(None, Level.FINE), (65_536, Level.FINE), (400, Level.WARNING), (64, Level.WRONG)]
)
def test_there_must_be_descriptors_for_channels(most: int | None, level: Level) -> None:
    assert descriptors(most).level is level


def test_it_is_said_for_how_many_channels_there_is_room() -> None:
    assert "room for about 100 channels" in threads(64 + 1600).told


@pytest.mark.parametrize(
    ("count", "share", "level"), [(2, None, Level.FINE), (8, 0.5, Level.WARNING), (1, 4.0, Level.FINE)]
)
def test_a_group_may_have_less_than_the_machine(count: int, share: float | None, level: Level) -> None:
    assert processors(count, share).level is level


@pytest.mark.parametrize(
    ("available", "most", "level"),
    [(None, None, Level.UNKNOWN), (8 << 30, None, Level.FINE), (8 << 30, 256 << 20, Level.WARNING)],
)
def test_so_with_memory(available: int | None, most: int | None, level: Level) -> None:
    assert memory(available, most).level is level


def test_this_machine_can_be_looked_at(tmp_path: Path) -> None:
    found = {finding.check: finding for finding in look(load(None, {"PLANTAO_DATA": str(tmp_path)}))}

    assert set(found) == {"descriptors", "processes", "cpu", "memory"}
    assert f"{len(os.sched_getaffinity(0))} processors" in found["cpu"].told or found["cpu"].level is Level.WARNING
