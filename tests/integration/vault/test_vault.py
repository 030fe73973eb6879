"""What a vault promises, with stores as whatsmeow makes them."""

import asyncio
import errno
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from gateway import disk
from gateway.store.migrating import SEALED_SINCE
from gateway.vault import MasterKey, PassedOver, snapshots
from gateway.vault.snapshots import Snapshots
from protocol.errors import InvalidIdError, StoreUnavailableError, WrongKeyError
from protocol.vault import Restoration, Vault
from tests.integration.vault import session_stores
from tests.integration.vault.conftest import MakeVaults

CHANNEL = "desk"


def channel_directory(data: Path) -> Path:
    return data / "clinics" / "north" / "channels" / CHANNEL


def files(data: Path) -> list[str]:
    return sorted(path.name for path in channel_directory(data).iterdir())


def mode(path: Path) -> int:
    return path.stat().st_mode & 0o777


def damage(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


async def test_without_a_store_and_snapshots_there_is_nothing(vaults: MakeVaults, store: Path, data: Path) -> None:
    vault: Vault = vaults().clinic("north")
    await vault.snapshot(CHANNEL, str(store), clean=True)
    assert await vault.restore(CHANNEL, str(store)) is Restoration.NONE
    await vault.forget(CHANNEL)
    assert not session_stores.there(store)
    assert not channel_directory(data).exists()


async def test_a_working_copy_that_is_there_is_kept(vaults: MakeVaults, store: Path, data: Path) -> None:
    session_stores.make(store, counter=3)
    vault = vaults().clinic("north")
    await vault.snapshot(CHANNEL, str(store), clean=True)
    assert files(data) == ["0000000001.clean", "0000000001.vault"]
    assert await vault.restore(CHANNEL, str(store)) is Restoration.KEPT
    assert files(data) == ["0000000001.vault"]
    assert session_stores.counter_of(store) == 3


async def test_a_clean_snapshot_comes_back_as_it_was_and_only_once(vaults: MakeVaults, store: Path, data: Path) -> None:
    session_stores.make(store, counter=3)
    await vaults().clinic("north").snapshot(CHANNEL, str(store), clean=True)
    session_stores.lose(store)
    assert await vaults().clinic("north").restore(CHANNEL, str(store)) is Restoration.CLEAN
    assert mode(store) == 0o600
    assert session_stores.counter_of(store) == 3
    assert session_stores.is_whole(store)
    session_stores.lose(store)
    assert await vaults().clinic("north").restore(CHANNEL, str(store)) is Restoration.STALE
    assert session_stores.counter_of(store) is None


async def test_a_stale_snapshot_loses_its_ratchets_and_nothing_else(vaults: MakeVaults, store: Path) -> None:
    session_stores.make(store)
    await vaults().clinic("north").snapshot(CHANNEL, str(store), clean=False)
    session_stores.lose(store)
    assert await vaults().clinic("north").restore(CHANNEL, str(store)) is Restoration.STALE
    assert session_stores.is_whole(store)
    for table, rows in {"sessions": 0, "sender_keys": 0, "identity_keys": 1, "message_secrets": 1}.items():
        assert session_stores.count(store, f"whatsmeow_{table}") == rows, table


async def test_pre_keys_of_a_stale_snapshot_are_not_offered_again_nor_their_numbers_given_anew(
    vaults: MakeVaults, store: Path
) -> None:
    session_stores.make(store)
    await vaults().clinic("north").snapshot(CHANNEL, str(store), clean=False)
    session_stores.lose(store)
    await vaults().clinic("north").restore(CHANNEL, str(store))
    with session_stores.connect(store) as database:
        keys = database.execute("SELECT key_id, key, uploaded FROM whatsmeow_pre_keys ORDER BY key_id").fetchall()
    assert [number for number, _, _ in keys] == [*range(1, 11), 10 + 4096]
    assert all(uploaded for _, _, uploaded in keys)
    assert [key for _, key, _ in keys[:10]] == [bytes([number]) * 32 for number in range(1, 11)]


async def test_stale_is_said_until_somebody_took_a_snapshot(vaults: MakeVaults, store: Path) -> None:
    session_stores.make(store)
    vault = vaults().clinic("north")
    await vault.snapshot(CHANNEL, str(store), clean=False)
    session_stores.lose(store)
    said = [await vaults().clinic("north").restore(CHANNEL, str(store)) for _ in range(2)]
    await vault.snapshot(CHANNEL, str(store), clean=False)
    said.append(await vault.restore(CHANNEL, str(store)))
    assert said == [Restoration.STALE, Restoration.STALE, Restoration.KEPT]


async def test_what_a_port_has_not_checkpointed_is_in_the_snapshot(vaults: MakeVaults, store: Path) -> None:
    session_stores.make(store, counter=1)
    vault = vaults().clinic("north")
    with session_stores.connect(store) as port:
        port.execute("PRAGMA wal_autocheckpoint = 0")
        port.execute("UPDATE whatsmeow_sessions SET session = 7")
        port.execute("BEGIN IMMEDIATE")
        port.execute("UPDATE whatsmeow_sessions SET session = 8")
        await vault.snapshot(CHANNEL, str(store), clean=True)  # a writer holds up nobody
        port.execute("ROLLBACK")
    session_stores.lose(store)
    assert await vault.restore(CHANNEL, str(store)) is Restoration.CLEAN
    assert session_stores.counter_of(store) == 7


async def test_the_last_few_are_kept(vaults: MakeVaults, store: Path, data: Path) -> None:
    session_stores.make(store)
    vault = vaults(keep=3).clinic("north")
    await asyncio.gather(*(vault.snapshot(CHANNEL, str(store), clean=False) for _ in range(5)))
    assert files(data) == [f"{version:010d}.vault" for version in (3, 4, 5)]
    assert {path.stat().st_mode & 0o777 for path in channel_directory(data).iterdir()} == {0o600}


@pytest.mark.parametrize("clean", [True, False])
async def test_a_damaged_snapshot_is_passed_over_and_the_older_one_is_stale(
    vaults: MakeVaults, store: Path, data: Path, passed_over: list[PassedOver], clean: bool
) -> None:
    session_stores.make(store)
    vault = vaults().clinic("north")
    for _ in range(2):
        await vault.snapshot(CHANNEL, str(store), clean=True)
    await vault.snapshot(CHANNEL, str(store), clean=clean)
    damage(max(channel_directory(data).glob("*.vault")))
    session_stores.lose(store)
    assert await vault.restore(CHANNEL, str(store)) is Restoration.STALE
    assert session_stores.counter_of(store) is None
    assert [(it.clinic, it.channel, it.version) for it in passed_over] == [("north", CHANNEL, 3)]
    assert not any("clean" in name for name in files(data))


async def test_when_none_can_be_opened_there_is_none(
    vaults: MakeVaults, store: Path, data: Path, passed_over: list[PassedOver]
) -> None:
    session_stores.make(store)
    vault = vaults().clinic("north")
    for _ in range(2):
        await vault.snapshot(CHANNEL, str(store), clean=True)
    for path in channel_directory(data).iterdir():
        damage(path)
    session_stores.lose(store)
    assert await vault.restore(CHANNEL, str(store)) is Restoration.NONE
    assert [it.version for it in passed_over] == [2, 1]
    session_stores.make(store, counter=9)
    await vault.snapshot(CHANNEL, str(store), clean=True)
    session_stores.lose(store)
    assert await vault.restore(CHANNEL, str(store)) is Restoration.CLEAN


async def test_a_snapshot_of_another_channel_or_version_is_not_taken_for_ours(
    vaults: MakeVaults, store: Path, data: Path
) -> None:
    session_stores.make(store)
    vault = vaults().clinic("north")
    await vault.snapshot("other", str(store), clean=True)
    await vault.snapshot(CHANNEL, str(store), clean=False)
    ours = channel_directory(data)
    (ours.parent / "other" / "0000000001.vault").rename(ours / "0000000002.vault")
    (ours / "0000000001.vault").rename(ours / "0000000003.vault")
    session_stores.lose(store)
    assert await vault.restore(CHANNEL, str(store)) is Restoration.NONE


async def test_what_a_port_that_was_killed_at_once_left_half_written_is_undone(
    vaults: MakeVaults, store: Path, tmp_path: Path
) -> None:
    session_stores.make(store, counter=3)
    await vaults().clinic("north").snapshot(CHANNEL, str(store), clean=True)
    session_stores.lose(store)
    await vaults().clinic("north").restore(CHANNEL, str(store))
    with closing(sqlite3.connect(store, isolation_level=None)) as port:  # not in WAL mode yet
        port.execute("PRAGMA cache_size = 1")
        port.execute("PRAGMA cache_spill = 1")
        port.execute("BEGIN IMMEDIATE")
        port.execute("UPDATE whatsmeow_sessions SET session = 4")
        for row in range(200):
            port.execute("INSERT INTO whatsmeow_message_secrets VALUES ('', ?, ?)", (f"m{row}", b"k" * 200))
        left = {path.name: path.read_bytes() for path in store.parent.iterdir()}
    assert f"{store.name}-journal" in left
    for name, content in left.items():
        (store.parent / name).write_bytes(content)
    assert await vaults().clinic("north").restore(CHANNEL, str(store)) is Restoration.KEPT
    assert session_stores.counter_of(store) == 3
    assert session_stores.is_whole(store)


@pytest.mark.parametrize("rubbish", [b"", b"this is no database" * 500])
async def test_a_working_copy_that_is_no_store_gives_way_to_a_snapshot(
    vaults: MakeVaults, store: Path, rubbish: bytes
) -> None:
    session_stores.make(store, counter=5)
    vault = vaults().clinic("north")
    await vault.snapshot(CHANNEL, str(store), clean=True)
    session_stores.lose(store)
    session_stores.spoil(store, rubbish)
    assert await vault.restore(CHANNEL, str(store)) is Restoration.CLEAN
    assert session_stores.counter_of(store) == 5
    assert session_stores.is_whole(store)


async def test_a_store_that_is_not_paired_is_no_reason_for_a_snapshot(
    vaults: MakeVaults, store: Path, data: Path
) -> None:
    session_stores.make(store, paired=False)
    vault = vaults().clinic("north")
    await vault.snapshot(CHANNEL, str(store), clean=True)
    assert await vault.restore(CHANNEL, str(store)) is Restoration.NONE
    assert session_stores.there(store)
    assert not channel_directory(data).exists()


async def test_a_damaged_working_copy_is_not_sealed(vaults: MakeVaults, store: Path, data: Path) -> None:
    session_stores.make(store)
    vault = vaults().clinic("north")
    await vault.snapshot(CHANNEL, str(store), clean=False)
    session_stores.lose(store)
    session_stores.spoil(store, b"this is no database" * 500)
    with pytest.raises(StoreUnavailableError, match=r"clinic north, channel desk: .*desk.db is damaged .*: disconnect"):
        await vault.snapshot(CHANNEL, str(store), clean=False)
    assert files(data) == ["0000000001.vault"]


async def test_a_full_disk_changes_nothing_and_says_what_to_do(
    vaults: MakeVaults, store: Path, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    session_stores.make(store)
    vault = vaults().clinic("north")
    await vault.snapshot(CHANNEL, str(store), clean=False)

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("os.fsync", full)
        with pytest.raises(StoreUnavailableError, match=r"channel desk: .*/data/clinics/.* is full: free some space"):
            await vault.snapshot(CHANNEL, str(store), clean=False)
    assert files(data) == ["0000000001.vault"]


async def test_a_disk_that_reads_something_else_is_noticed_before_it_is_relied_on(
    vaults: MakeVaults, store: Path, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    session_stores.make(store)
    vault = vaults().clinic("north")
    await vault.snapshot(CHANNEL, str(store), clean=False)
    with monkeypatch.context() as patch:
        patch.setattr(Path, "read_bytes", lambda path: path.read_text("latin-1").encode("latin-1")[:-1])
        with pytest.raises(StoreUnavailableError, match="cannot be sealed: it is damaged"):
            await vault.snapshot(CHANNEL, str(store), clean=False)
    assert files(data) == ["0000000001.vault"]


async def test_a_mark_that_cannot_be_removed_lets_no_port_open_the_store(
    vaults: MakeVaults, store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    session_stores.make(store)
    vault = vaults().clinic("north")
    await vault.snapshot(CHANNEL, str(store), clean=True)

    def broken(_: Path) -> None:
        raise OSError(errno.EIO, "Input/output error")

    with monkeypatch.context() as patch:
        patch.setattr(disk, "sync_directory", broken)
        with pytest.raises(StoreUnavailableError, match="clinic north, channel desk"):
            await vault.restore(CHANNEL, str(store))
    assert await vault.restore(CHANNEL, str(store)) is Restoration.KEPT


async def test_what_a_kill_left_is_removed(vaults: MakeVaults, store: Path, data: Path) -> None:
    session_stores.make(store)
    vault = vaults().clinic("north")
    await vault.snapshot(CHANNEL, str(store), clean=True)
    session_stores.lose(store)
    left = [channel_directory(data) / ".0000000002.vault.x.draft", store.parent / f".{store.name}.x.draft"]
    other = store.parent / ".other.db.x.draft"
    for path in (*left, other):
        path.touch()
    await vault.restore(CHANNEL, str(store))
    await vault.snapshot(CHANNEL, str(store), clean=True)
    assert [path for path in left if path.exists()] == []
    assert other.exists(), "somebody may be writing it"


async def test_a_session_that_is_over_leaves_nothing(vaults: MakeVaults, store: Path, data: Path) -> None:
    session_stores.make(store)
    vault = vaults().clinic("north")
    for _ in range(3):
        await vault.snapshot(CHANNEL, str(store), clean=True)
    await vault.forget(CHANNEL)
    assert files(data) == []


async def test_forgetting_a_clinic_leaves_nothing_and_its_name_can_be_used_again(
    vaults: MakeVaults, store: Path, data: Path
) -> None:
    session_stores.make(store)
    node = vaults()
    before = node.clinic("north")
    for clinic in ("north", "south"):
        await node.clinic(clinic).snapshot(CHANNEL, str(store), clean=True)
    key = (data / "clinics" / "north" / "key").read_bytes()
    await node.forget_clinic("north")
    assert list((data / "clinics" / "north").iterdir()) == []
    with pytest.raises(StoreUnavailableError, match="was forgotten"):
        await before.snapshot(CHANNEL, str(store), clean=True)
    await node.clinic("north").snapshot(CHANNEL, str(store), clean=True)
    assert (data / "clinics" / "north" / "key").read_bytes() != key
    session_stores.lose(store)
    assert await node.clinic("south").restore(CHANNEL, str(store)) is Restoration.CLEAN


async def test_a_clinic_half_forgotten_is_forgotten_at_its_next_use(
    vaults: MakeVaults, store: Path, data: Path
) -> None:
    session_stores.make(store)
    await vaults().clinic("north").snapshot(CHANNEL, str(store), clean=True)
    (data / "clinics" / "north" / "forgotten").touch()
    session_stores.lose(store)
    assert await vaults().clinic("north").restore(CHANNEL, str(store)) is Restoration.NONE
    assert list((data / "clinics" / "north").iterdir()) == []


@pytest.mark.parametrize("step", range(5))
async def test_wherever_forgetting_stops_the_clinic_is_whole_or_gone(
    vaults: MakeVaults, store: Path, monkeypatch: pytest.MonkeyPatch, step: int
) -> None:
    session_stores.make(store)
    node = vaults()
    await node.clinic("north").snapshot(CHANNEL, str(store), clean=True)
    session_stores.lose(store)
    steps, sync = iter(range(10)), disk.sync_directory

    def stop_at_step(path: Path) -> None:
        if next(steps) == step:
            raise OSError(errno.EIO, "Input/output error", str(path))
        sync(path)

    with monkeypatch.context() as patch:
        patch.setattr(disk, "sync_directory", stop_at_step)
        if step < 4:
            with pytest.raises(StoreUnavailableError, match=r"clinic north: .*/north cannot be read or written"):
                await node.forget_clinic("north")
        else:
            await node.forget_clinic("north")
    assert await vaults().clinic("north").restore(CHANNEL, str(store)) is Restoration.NONE
    session_stores.make(store)
    await vaults().clinic("north").snapshot(CHANNEL, str(store), clean=True)


async def test_forgetting_a_clinic_that_never_was_is_nothing(vaults: MakeVaults, data: Path) -> None:
    await vaults().forget_clinic("north")
    assert not (data / "clinics").exists()


async def test_a_lost_key_is_not_replaced_while_it_may_be_found_again(
    vaults: MakeVaults, store: Path, data: Path
) -> None:
    session_stores.make(store)
    await vaults().clinic("north").snapshot(CHANNEL, str(store), clean=True)
    path = data / "clinics" / "north" / "key"
    kept = path.read_bytes()
    path.unlink()
    with pytest.raises(StoreUnavailableError, match=r"clinic north: .*key is gone.*put back a copy of the key"):
        await vaults().clinic("north").snapshot(CHANNEL, str(store), clean=True)
    session_stores.lose(store)
    with pytest.raises(StoreUnavailableError, match="key is gone"):
        await vaults().clinic("north").restore(CHANNEL, str(store))
    path.write_bytes(kept)
    assert await vaults().clinic("north").restore(CHANNEL, str(store)) is Restoration.CLEAN


async def test_with_another_master_key_nothing_starts(vaults: MakeVaults) -> None:
    vaults()
    with pytest.raises(WrongKeyError):
        vaults(MasterKey(bytes(32), "zeros"))


@pytest.mark.parametrize("name", ["../north", "", "a/b", "North"])
async def test_names_cannot_leave_their_directory(vaults: MakeVaults, store: Path, name: str) -> None:
    node = vaults()
    with pytest.raises(InvalidIdError):
        node.clinic(name)
    with pytest.raises(InvalidIdError):
        await node.clinic("north").restore(name, str(store))


def test_other_files_in_the_directory_are_no_snapshots(tmp_path: Path) -> None:
    snapshots = Snapshots(tmp_path, "north", CHANNEL)
    snapshots.directory.mkdir(parents=True)
    for name in ("1.vault", "0000000001.vault", "0000000002.vault", "0000000002.clean", "0000000003.vault.bak", "note"):
        (snapshots.directory / name).touch()
    assert [(it.version, it.clean) for it in snapshots.found()] == [(2, True), (1, False)]


async def test_a_store_is_refreshed_unless_what_was_last_is_there(vaults: MakeVaults, store: Path, data: Path) -> None:
    session_stores.make(store, counter=3)
    vault = vaults().clinic("north")
    await vault.snapshot(CHANNEL, str(store), clean=True)
    await vault.refresh(CHANNEL, str(store))
    assert files(data) == ["0000000001.clean", "0000000001.vault"]
    await vault.restore(CHANNEL, str(store))
    await vault.refresh(CHANNEL, str(store))
    assert files(data) == ["0000000001.vault", "0000000002.vault"]


async def test_what_was_let_go_is_read_anew(vaults: MakeVaults, data: Path, store: Path) -> None:
    session_stores.make(store)
    made = vaults()
    await made.clinic("north").snapshot(CHANNEL, str(store), clean=False)
    keys = made.data_keys("north")
    await made.let_go("north")
    await asyncio.to_thread(shutil.rmtree, data / "clinics" / "north")
    assert made.data_keys("north")[0].id != keys[0].id
    await made.let_go("south")


async def test_a_lost_key_is_not_replaced_while_a_database_is_sealed_with_it(vaults: MakeVaults, data: Path) -> None:
    directory = data / "clinics" / "north"
    directory.mkdir(parents=True)
    with closing(sqlite3.connect(directory / "clinic.db")) as database:
        database.execute(f"PRAGMA user_version = {SEALED_SINCE}")
    with pytest.raises(StoreUnavailableError, match=r"clinic north: .*key is gone.*clinic\.db.*put back a copy"):
        vaults().data_keys("north")
    assert not (directory / "key").exists()


@pytest.mark.parametrize("version", [0, SEALED_SINCE - 1])
async def test_a_database_of_before_there_were_keys_gets_one(vaults: MakeVaults, data: Path, version: int) -> None:
    directory = data / "clinics" / "north"
    directory.mkdir(parents=True)
    with closing(sqlite3.connect(directory / "clinic.db")) as database:
        database.execute(f"PRAGMA user_version = {version}")
    assert len(vaults().data_keys("north")) == 1


async def test_a_snapshot_that_is_not_written_as_it_is_to_be_read_keeps_its_key(
    vaults: MakeVaults, store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    session_stores.make(store)
    vault = vaults().clinic("north")
    await vault.snapshot(CHANNEL, str(store), clean=True)
    await vault.add_key()
    with monkeypatch.context() as patch:
        patch.setattr(snapshots, "seal", lambda *_: b"what the disk made of it")
        with pytest.raises(StoreUnavailableError, match="cannot be sealed"):
            await vault.reseal(CHANNEL)
    assert await vault.reseal(CHANNEL) == 1
    await vault.drop_keys()
    session_stores.lose(store)
    assert await vault.restore(CHANNEL, str(store)) is Restoration.CLEAN
