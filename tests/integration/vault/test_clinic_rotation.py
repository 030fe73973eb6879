"""A clinic's key is exchanged while its channels are sealed; wherever that is stopped, all can be opened."""

import asyncio
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from gateway import disk
from gateway.vault import KeyRotation, MasterKey, Vaults, clean_mark
from gateway.vault.keys import key_file
from gateway.vault.sealing import key_id_of
from protocol.errors import ConflictError, StoreUnavailableError
from protocol.vault import Restoration
from tests.integration.vault import session_stores
from tests.integration.vault.conftest import MakeVaults

CHANNEL = "desk"


def snapshots(data: Path, channel: str = CHANNEL) -> list[Path]:
    return sorted((data / "clinics" / "north" / "channels" / channel).glob("*.vault"))


def sealed_by(data: Path) -> set[bytes]:
    found = (data / "clinics" / "north" / "channels").rglob("*.*")
    return {key_id_of(path.read_bytes()) for path in found if path.suffix in {".vault", ".clean"}}


def drafts(data: Path) -> list[Path]:
    return list(data.rglob("*.draft"))


async def rotate(vaults: Vaults) -> None:
    vault = vaults.clinic("north")
    await vault.add_key()
    for channel in await vault.channels():
        await vault.reseal(channel)
    await vault.drop_keys()


@pytest.fixture
async def full(vaults: MakeVaults, store: Path) -> Vaults:
    """A channel with three snapshots, the last of them clean."""
    made = vaults()
    for counter in range(3):
        if counter == 0:
            session_stores.make(store)
        session_stores.use(store, counter)
        await made.clinic("north").snapshot(CHANNEL, str(store), clean=counter == 2)
    return made


async def test_all_is_sealed_with_the_new_key_and_the_old_one_is_gone(
    full: Vaults, vaults: MakeVaults, store: Path, data: Path
) -> None:
    (old,) = full.data_keys("north")
    await rotate(full)
    (new,) = full.data_keys("north")
    assert new != old
    assert sealed_by(data) == {new.id}
    assert old.id not in key_file(data, "north").read_bytes()
    session_stores.lose(store)
    again = vaults()
    assert again.data_keys("north") == [new]
    assert await again.clinic("north").restore(CHANNEL, str(store)) is Restoration.CLEAN
    assert session_stores.counter_of(store) == 2


async def test_a_snapshot_that_was_not_clean_is_not_afterwards(full: Vaults, vaults: MakeVaults, store: Path) -> None:
    await full.clinic("north").restore(CHANNEL, str(store))
    await rotate(full)
    session_stores.lose(store)
    assert await vaults().clinic("north").restore(CHANNEL, str(store)) is Restoration.STALE


async def test_a_copy_of_a_mark_is_not_made_good(
    full: Vaults, vaults: MakeVaults, store: Path, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mark = snapshots(data)[-1].with_suffix(".clean")
    monkeypatch.setattr(clean_mark, "SLACK_S", 0.05)  # as if it were longer ago
    await asyncio.sleep(0.1)
    mark.write_bytes(mark.read_bytes())
    await rotate(full)
    session_stores.lose(store)
    assert await vaults().clinic("north").restore(CHANNEL, str(store)) is Restoration.STALE


async def test_what_is_done_is_not_done_again(full: Vaults, data: Path) -> None:
    vault = full.clinic("north")
    await vault.add_key()
    keys = full.data_keys("north")
    await vault.add_key()
    assert (full.data_keys("north"), len(keys)) == (keys, 2)
    assert [await vault.reseal(CHANNEL), await vault.reseal(CHANNEL)] == [3, 0]
    await vault.drop_keys()
    await vault.drop_keys()
    assert full.data_keys("north") == keys[:1]


async def test_snapshots_that_are_taken_meanwhile_are_under_the_new_key(
    full: Vaults, vaults: MakeVaults, store: Path, data: Path
) -> None:
    vault, ended = full.clinic("north"), asyncio.Event()

    async def seal(channel: str) -> int:
        sealed = 0
        while not ended.is_set():
            await vault.snapshot(channel, str(store), clean=False)
            sealed += 1
        return sealed

    async def exchange() -> None:
        try:
            for _ in range(5):
                await rotate(full)
        finally:
            ended.set()

    counts = await asyncio.gather(seal(CHANNEL), seal("other"), exchange())
    assert min(counts[:2]) > 1
    (key,) = full.data_keys("north")
    assert sealed_by(data) == {key.id}
    for channel in (CHANNEL, "other"):
        session_stores.lose(store)
        assert await vaults().clinic("north").restore(channel, str(store)) is Restoration.STALE


async def test_a_snapshot_that_cannot_be_opened_stays_and_holds_up_nothing(full: Vaults, data: Path) -> None:
    damaged = snapshots(data)[0]
    damaged.write_bytes(damaged.read_bytes()[:-1] + b"!")
    content = damaged.read_bytes()
    await rotate(full)
    assert damaged.read_bytes() == content
    assert len(full.data_keys("north")) == 1


async def test_who_rotates_is_found_at_the_next_start(full: Vaults, vaults: MakeVaults, data: Path) -> None:
    def no_next() -> MasterKey:
        raise ConflictError("no next master key")

    await full.clinic("south").add_key()
    rotation = KeyRotation(data, vaults(), no_next)
    assert await rotation.unfinished() == ["south"]
    await rotation.clinic("south").drop_keys()
    assert await rotation.unfinished() == []


class StoppedError(BaseException):
    """As SIGKILL: nothing of the process goes on."""


@pytest.mark.parametrize("step", range(20))
async def test_wherever_it_is_killed_all_can_be_opened_and_it_goes_on(
    full: Vaults, vaults: MakeVaults, store: Path, data: Path, step: int
) -> None:
    (old,) = full.data_keys("north")
    seen = 0

    def around(change: Callable[..., object]) -> Callable[..., object]:
        def changed(*given: object) -> object:
            nonlocal seen
            seen += 1
            if seen > step:
                raise StoppedError
            return change(*given)

        return changed

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "replace", around(os.replace))
        patch.setattr(os, "unlink", around(os.unlink))
        patch.setattr(disk, "sync_directory", around(disk.sync_directory))
        if step < 18:
            with pytest.raises(StoppedError):
                await rotate(full)
        else:
            await rotate(full)
            assert seen == 18, "that was every step"
    session_stores.lose(store)
    again = vaults()
    assert await again.clinic("north").restore(CHANNEL, str(store)) is Restoration.CLEAN
    assert session_stores.counter_of(store) == 2
    await rotate(again)
    (key,) = again.data_keys("north")
    assert key != old
    assert sealed_by(data) == {key.id}
    assert drafts(data) == []


async def test_a_forgotten_clinic_gets_no_key(full: Vaults, data: Path) -> None:
    vault = full.clinic("north")
    await full.forget_clinic("north")
    with pytest.raises(StoreUnavailableError, match="clinic north: its vault is closed: the clinic was forgotten"):
        await vault.add_key()
    assert not key_file(data, "north").exists()
