import random
import sqlite3
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

import pytest

from gateway.store import SqliteStore
from tests.integration.store.samples import CHANNEL, keys_of
from tests.integration.store.writer_to_kill import BATCH, batch_ids

KILLS = 15


def write_and_be_killed(data: Path, prefix: str, after: int) -> dict[str, set[int]]:
    """Kill a writer once it has said ``after`` lines; which batches it said were accepted, begun, finished,
    claimed and stored."""
    said: defaultdict[str, set[int]] = defaultdict(set)
    command = [sys.executable, "-m", "tests.integration.store.writer_to_kill", str(data), prefix]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as writer:
        assert writer.stdout is not None
        for lines, line in enumerate(writer.stdout, start=1):
            if lines == after:
                writer.kill()
            if line.endswith("\n"):
                what, number = line.split()
                said[what].add(int(number))
    assert writer.returncode == -9
    return said


@pytest.mark.timeout(180)
async def test_what_was_acknowledged_is_there_after_sigkill_and_nothing_is_half_there(tmp_path: Path) -> None:
    dice = random.Random(20261120)
    lives: dict[str, dict[str, set[int]]] = {}
    for life in range(KILLS):
        prefix = f"life{life}"
        lives[prefix] = write_and_be_killed(tmp_path, prefix, dice.randrange(1, 60))

    store = SqliteStore(tmp_path, keys_of)
    await store.start()
    ledger = await store.open_clinic("acme")
    waiting = {each.command.id: each for each in await ledger.unfinished(CHANNEL)}
    final = {each.result.id for each in await ledger.unpublished(CHANNEL)}
    spooled = {each.key for each in await ledger.spooled(CHANNEL, 0, 1 << 20)}
    keys = [key for life in lives for number in range(60) for key in batch_ids(life, number)]
    claimed = await ledger.claimed(CHANNEL, keys)
    await store.stop(timeout=5)

    assert not waiting.keys() & final
    for prefix, said in lives.items():
        for number in range(max(said["accepted"]) + 2):
            ids = batch_ids(prefix, number)
            there = [key for key in ids if key in waiting or key in final]
            finished = [key for key in ids if key in final]
            uncertain = [key for key in there if key in final or waiting[key].uncertain]
            assert len(there) in ({BATCH} if number in said["accepted"] else {0, BATCH})
            assert len(uncertain) in ({BATCH} if number in said["begun"] else {0, BATCH})
            assert len(finished) in ({BATCH // 2} if number in said["finished"] else {0, BATCH // 2})
            assert sum(key in claimed for key in ids) in ({BATCH} if number in said["claimed"] else {0, BATCH})
            left = sum(key in spooled for key in ids)
            assert left in ({BATCH // 2} if number in said["stored"] else {0, BATCH // 2, BATCH})
            assert left == 0 or all(key in claimed for key in ids)

    with sqlite3.connect(tmp_path / "clinics" / "acme" / "clinic.db") as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert connection.execute("SELECT bytes FROM spool_size").fetchall() == [
            connection.execute("SELECT coalesce(sum(size), 0) FROM spool").fetchone()
        ]
    connection.close()
