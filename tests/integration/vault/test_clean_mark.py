"""Which snapshot is clean is believed of none but the one that was marked, where it was."""

import asyncio
import shutil
from pathlib import Path

import pytest

from gateway.vault import clean_mark
from gateway.vault.sealing import Place, seal
from protocol.vault import Restoration
from tests.integration.vault import session_stores
from tests.integration.vault.conftest import MakeVaults
from tests.integration.vault.test_vault import CHANNEL, channel_directory


async def test_the_mark_of_another_snapshot_is_not_believed(vaults: MakeVaults, store: Path, data: Path) -> None:
    session_stores.make(store)
    vault = vaults().clinic("north")
    await vault.snapshot("other", str(store), clean=True)
    await vault.snapshot(CHANNEL, str(store), clean=False)
    ours = channel_directory(data)
    (ours.parent / "other" / "0000000001.clean").rename(ours / "0000000001.clean")
    session_stores.lose(store)
    assert await vault.restore(CHANNEL, str(store)) is Restoration.STALE


async def test_a_data_directory_that_was_put_back_from_a_copy_has_no_clean_snapshot(
    vaults: MakeVaults, store: Path, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    session_stores.make(store)
    await vaults().clinic("north").snapshot(CHANNEL, str(store), clean=True)
    session_stores.lose(store)
    shutil.copytree(data, tmp_path / "copy")
    shutil.rmtree(data)
    monkeypatch.setattr(clean_mark, "SLACK_S", 0.05)  # as if it were longer ago
    await asyncio.sleep(0.1)
    shutil.copytree(tmp_path / "copy", data)
    assert await vaults().clinic("north").restore(CHANNEL, str(store)) is Restoration.STALE


@pytest.mark.parametrize("size", [0, 7, 8, 9])
async def test_a_mark_that_somebody_else_made_is_not_believed(
    vaults: MakeVaults, store: Path, data: Path, size: int
) -> None:
    session_stores.make(store)
    vault = vaults().clinic("north")
    await vault.snapshot(CHANNEL, str(store), clean=True)
    mark = channel_directory(data) / "0000000001.clean"
    place = Place("north", f"{CHANNEL}.clean", 1)
    mark.write_bytes(seal(b"t" * size, place, bytes(32), b"no key i"))
    session_stores.lose(store)
    assert await vault.restore(CHANNEL, str(store)) is Restoration.STALE


async def test_a_mark_is_no_snapshot_nor_the_other_way_round(vaults: MakeVaults, store: Path, data: Path) -> None:
    session_stores.make(store)
    vault = vaults().clinic("north")
    await vault.snapshot(CHANNEL, str(store), clean=True)
    place = channel_directory(data)
    sealed, mark = place / "0000000001.vault", place / "0000000001.clean"
    one, other = sealed.read_bytes(), mark.read_bytes()
    sealed.write_bytes(other)
    mark.write_bytes(one)
    session_stores.lose(store)
    assert await vault.restore(CHANNEL, str(store)) is Restoration.NONE
