import asyncio
from pathlib import Path

import pytest

from gateway.lgpd.tombstones import DiskTombstones
from protocol.errors import InvalidIdError


async def test_a_tombstone_outlives_whoever_put_it(tmp_path: Path) -> None:
    await DiskTombstones(tmp_path).put("acme")
    found = DiskTombstones(tmp_path)
    assert found.stands("acme")
    assert list(found.all()) == ["acme"]
    await found.remove("acme")
    assert not found.stands("acme")
    assert list(DiskTombstones(tmp_path).all()) == []


async def test_it_can_be_put_and_removed_again(tmp_path: Path) -> None:
    tombstones = DiskTombstones(tmp_path)
    await tombstones.remove("acme")
    await tombstones.put("acme")
    await tombstones.put("acme")
    assert list(tombstones.all()) == ["acme"]


async def test_it_never_leaves_its_directory(tmp_path: Path) -> None:
    with pytest.raises(InvalidIdError):
        await DiskTombstones(tmp_path).put("../acme")
    assert not await asyncio.to_thread(lambda: list(tmp_path.iterdir()))


def test_what_is_no_clinics_name_is_none(tmp_path: Path) -> None:
    (tmp_path / "erasing").mkdir()
    (tmp_path / "erasing" / ".acme.x.draft").touch()
    assert list(DiskTombstones(tmp_path).all()) == []
