"""A clinic's limits, a full disk, and neighbours that notice nothing."""

import asyncio
import resource
import sqlite3
import subprocess
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import closing
from itertools import count
from pathlib import Path

import pytest

from gateway.store import Bounds, SqliteStore
from gateway.store.ledger import SqliteLedger
from protocol.errors import StoreFullError, StoreUnavailableError
from tests.integration.store.samples import CHANNEL, NOW, begun, claim, keys_of, offer, published, sent, settled

TEXT = "x" * 5000
SMALL = Bounds(max_bytes=1 << 20, spool_bytes=1 << 19)


async def fill(ledger: SqliteLedger) -> tuple[list[str], str]:
    """Accept commands until one is refused; those that were taken, and why no more are."""
    taken: list[str] = []
    for number in count():
        try:
            await ledger.accept(CHANNEL, [offer(f"{number}", TEXT)], NOW)
        except StoreUnavailableError as error:
            return taken, f"{type(error).__name__} {error}"
        taken.append(f"{number}")
    raise AssertionError("unreachable")


@pytest.fixture
async def small(tmp_path: Path) -> AsyncIterator[SqliteStore]:
    store = SqliteStore(tmp_path, keys_of, bounds=SMALL)
    await store.start()
    yield store
    await store.stop(timeout=5)


async def test_a_clinic_at_its_limit_takes_nothing_on_and_ends_what_it_has(small: SqliteStore) -> None:
    ledger = await small.open_clinic("acme")
    taken, why = await fill(ledger)
    assert why.startswith("StoreFullError clinic acme: ")
    assert f"clinic.db has reached the clinic's limit of {1 << 20} bytes: raise the limit" in why
    assert await ledger.accept(CHANNEL, [offer(taken[0], TEXT)], NOW) != []
    counts = await ledger.counts()
    assert counts.limit * 0.7 < counts.bytes <= counts.limit * 0.8
    await (await small.open_clinic("vila")).accept(CHANNEL, [offer("a", TEXT)], NOW)

    await ledger.record(CHANNEL, begun(*taken))
    await ledger.record(CHANNEL, settled(*map(sent, taken)))
    await ledger.record(CHANNEL, published(*taken))
    await ledger.accept(CHANNEL, [offer("after", TEXT)], NOW)


async def test_what_comes_in_has_room_when_commands_have_none_and_ends_before_what_came_of_all(
    tmp_path: Path,
) -> None:
    store = SqliteStore(tmp_path, keys_of, bounds=Bounds(max_bytes=1 << 20, spool_bytes=1 << 20))
    await store.start()
    ledger = await store.open_clinic("acme")
    taken, _ = await fill(ledger)
    with pytest.raises(StoreFullError, match="limit of"):  # noqa: PT012
        for number in range(200):
            assert await ledger.claim(CHANNEL, [claim(f"{number}", TEXT)], NOW) != [None]
    assert number > 10
    await ledger.record(CHANNEL, begun(*taken))
    await ledger.record(CHANNEL, settled(*map(sent, taken)))
    await store.stop(timeout=5)


async def test_a_lower_limit_than_the_file_has_is_said_and_a_higher_one_ends_that(tmp_path: Path) -> None:
    async def accept_some(bounds: Bounds, name: str) -> None:
        store = SqliteStore(tmp_path, keys_of, bounds=bounds)
        await store.start()
        try:
            ledger = await store.open_clinic("acme")
            await ledger.accept(CHANNEL, [offer(f"{name}{n}", TEXT) for n in range(64)], NOW)
        finally:
            await store.stop(timeout=5)

    await accept_some(Bounds(), "a")
    with pytest.raises(StoreUnavailableError, match=f"limit of {1 << 17} bytes"):
        await accept_some(Bounds(max_bytes=1 << 17), "b")
    await accept_some(Bounds(), "c")


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 2 MiB."""
    place = tmp_path / "disk"
    place.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", place], check=False, capture_output=True
    )
    if mounted.returncode:
        pytest.skip("needs to mount a file system")
    yield place
    subprocess.run(["umount", place], check=True)


async def test_a_full_disk_is_said_changes_nothing_and_is_over_when_there_is_space(disk: Path) -> None:
    store = SqliteStore(disk, keys_of)
    await store.start()
    ledger = await store.open_clinic("acme")
    ballast = disk / "ballast"
    ballast.write_bytes(bytes(1 << 20))
    taken, why = await fill(ledger)
    assert taken
    assert "clinic acme: " in why
    assert "clinic.db cannot grow: the disk, the quota or the file's size limit is full" in why
    for _ in range(3):
        with pytest.raises(StoreUnavailableError, match=r"cannot grow.*: free some space"):
            await ledger.record(CHANNEL, settled(*map(sent, taken)))
        assert [each.command.id for each in await ledger.unfinished(CHANNEL)] == taken
    ballast.unlink()
    await ledger.record(CHANNEL, settled(*map(sent, taken)))
    assert await ledger.unfinished(CHANNEL) == []
    await store.stop(timeout=5)
    with closing(sqlite3.connect(disk / "clinics" / "acme" / "clinic.db")) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]


async def slowest(
    ledger: SqliteLedger, name: str, number: int = 150, clock: Callable[[], float] = time.perf_counter
) -> float:
    """Seconds that the slowest of some transactions took."""
    worst = 0.0
    for n in range(number):
        begun_at = clock()
        await ledger.accept(CHANNEL, [offer(f"{name}{n}")], NOW)
        worst = max(worst, clock() - begun_at)
    return worst


async def test_a_locked_file_holds_up_its_own_clinic_alone(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path, keys_of, busy_timeout=20)
    await store.start()
    acme, vila = await store.open_clinic("acme"), await store.open_clinic("vila")
    with closing(sqlite3.connect(tmp_path / "clinics" / "acme" / "clinic.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        waiting = [asyncio.ensure_future(acme.accept(CHANNEL, [offer(f"{n}")], NOW)) for n in range(2)]
        worst = await slowest(vila, "locked")
        other.execute("ROLLBACK")
    assert worst < 10, "who waits for the lock waits for twenty seconds"
    await asyncio.gather(*waiting, return_exceptions=True)
    await acme.accept(CHANNEL, [offer("after")], NOW)
    await store.stop(timeout=5)


async def test_a_clinic_with_a_corrupt_file_fails_at_once_and_its_neighbour_serves(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path, keys_of)
    await store.start()
    acme, vila = await store.open_clinic("acme"), await store.open_clinic("vila")
    await acme.accept(CHANNEL, [offer(f"{n}", TEXT) for n in range(64)], NOW)
    await store.close_clinic("acme")
    _damage(tmp_path / "clinics" / "acme" / "clinic.db")
    await store.open_clinic("acme")

    async def fail() -> None:
        for _ in range(20):
            with pytest.raises(StoreUnavailableError, match=r"clinic acme: .* is damaged"):
                await acme.unfinished(CHANNEL)

    _, worst = await asyncio.gather(fail(), slowest(vila, "corrupt"))
    assert worst < 5
    await store.stop(timeout=5)


def _damage(file: Path) -> None:
    good = file.read_bytes()
    file.write_bytes(good[: 1 << 17] + b"\xff" * (len(good) - (1 << 17)))


async def test_large_work_of_one_clinic_does_not_hold_the_loop(tmp_path: Path) -> None:
    """Sweeping, listing and reading back a large file happen on its own thread, or in slices."""
    store = SqliteStore(tmp_path, keys_of)
    await store.start()
    acme, vila = await store.open_clinic("acme"), await store.open_clinic("vila")
    for batch in range(20):
        await acme.accept(CHANNEL, [offer(f"{batch}-{n}") for n in range(200)], NOW)
        await acme.claim(CHANNEL, [claim(f"{batch}-{n}") for n in range(200)], NOW)
    busy = asyncio.gather(acme.unfinished(CHANNEL), acme.spooled(CHANNEL, 0, 4000), acme.counts())
    worst = await slowest(vila, "busy", 50, time.thread_time)
    unfinished, spooled, _ = await busy
    assert (len(unfinished), len(spooled)) == (4000, 4000)
    assert worst < 1, "what the loop's thread did meanwhile; how long the disk takes is not its affair"
    await store.stop(timeout=5)


async def test_memory_stays_flat_over_many_transactions(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path, keys_of)
    await store.start()
    ledger = await store.open_clinic("acme")

    async def live(number: int) -> None:
        ids = [f"{number}-{n}" for n in range(50)]
        await ledger.accept(CHANNEL, [offer(key) for key in ids], NOW)
        await ledger.record(CHANNEL, begun(*ids))
        await ledger.record(CHANNEL, settled(*map(sent, ids)))
        await ledger.record(CHANNEL, published(*ids))

    for number in range(40):
        await live(number)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for number in range(40, 120):
        await live(number)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 16_384
    await store.stop(timeout=5)
