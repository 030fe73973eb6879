from pathlib import Path
from typing import Any

import pytest

from config.doctor.finding import Level
from config.doctor.places import Place, at, memory, room, swapped, whose

US = 1000


def place(**otherwise: Any) -> Place:
    plain: dict[str, Any] = {
        "path": Path("/srv/data"),
        "exists": True,
        "directory": True,
        "owner": US,
        "mode": 0o700,
        "usable": True,
        "filesystem": "ext4",
        "free": 10 << 30,
        "files": 1_000_000,
    }
    return Place(**{**plain, **otherwise})


@pytest.mark.parametrize(
    ("otherwise", "level", "mend"),
    [
        ({}, Level.FINE, ""),
        ({"exists": False}, Level.FINE, ""),
        ({"exists": False, "usable": False}, Level.WRONG, "mkdir -p /srv/data"),
        ({"directory": False}, Level.WRONG, "move it away"),
        ({"owner": 0}, Level.WRONG, "chown -R 1000 /srv/data"),
        ({"usable": False}, Level.WRONG, "writable"),
        ({"mode": 0o755}, Level.WARNING, "chmod 700 /srv/data"),
    ],
)
def test_a_directory_must_be_ours_alone(otherwise: dict[str, Any], level: Level, mend: str) -> None:
    found = whose("data", place(**otherwise), US)

    assert found.level is level
    assert mend in found.mend


@pytest.mark.parametrize(
    ("otherwise", "level"),
    [
        ({}, Level.FINE),
        ({"files": None}, Level.FINE),
        ({"files": 5}, Level.WRONG),
        ({"free": 1 << 30}, Level.WARNING),
        ({"free": 1 << 20}, Level.WRONG),
    ],
)
def test_there_must_be_room(otherwise: dict[str, Any], level: Level) -> None:
    assert room(place(**otherwise), clinic_bytes=2 << 30).level is level


@pytest.mark.parametrize(
    ("free", "in_memory", "required", "level"),
    [
        (1 << 30, True, True, Level.FINE),
        (1 << 20, True, False, Level.WRONG),
        (1 << 30, False, False, Level.WARNING),
        (1 << 30, False, True, Level.WRONG),
    ],
)
def test_sessions_in_use_belong_in_memory(free: int, in_memory: bool, required: bool, level: Level) -> None:
    assert memory(place(free=free), in_memory=in_memory, required=required).level is level


@pytest.mark.parametrize(
    ("lines", "level"),
    [
        ("", Level.FINE),
        ("/dev/zram0 partition 100 0 5\n", Level.FINE),
        ("/dev/dm-1 partition 100 0 5\n", Level.UNKNOWN),
        ("/dev/dm-1 partition 100 0 5\n/swapfile file 100 0 5\n", Level.WARNING),
    ],
)
def test_memory_must_not_come_to_a_disk_by_swapping(lines: str, level: Level) -> None:
    assert swapped(f"Filename Type Size Used Priority\n{lines}").level is level


def test_what_is_not_there_yet_is_judged_by_what_is_above_it(tmp_path: Path) -> None:
    found = at(tmp_path / "a" / "b")

    assert (found.exists, found.usable, found.directory) == (False, True, True)
    assert found.free > 0
    assert not (tmp_path / "a").exists()
