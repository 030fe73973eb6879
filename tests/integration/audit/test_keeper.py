"""The audit on a disk: appended to, read, found broken, and after a kill."""

import asyncio
import sqlite3
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from gateway.audit import keeper
from gateway.audit.chain import BROKEN
from gateway.audit.file import audit_file
from gateway.audit.head import head_file
from gateway.audit.keeper import NodeAudit
from gateway.audit.service import AuditService
from gateway.audit.verifying import verify
from protocol.commands import utc_now
from protocol.errors import ConflictError, StoreUnavailableError
from tests.integration.audit.conftest import KEY, tamper


@pytest.fixture
async def audit(tmp_path: Path) -> AsyncIterator[NodeAudit]:
    kept = NodeAudit(tmp_path, KEY, utc_now)
    await kept.open()
    yield kept
    await kept.close(timeout=5.0)


async def filled(data: Path, count: int = 10) -> None:
    """A node ran, ``count`` things happened, and it was stopped."""
    kept = NodeAudit(data, KEY, utc_now)
    await kept.open()
    for number in range(count):
        await kept.noted("node", "channel.connect", "acme", f"c{number}")
    await kept.close(timeout=5.0)


def files_of(data: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in data.iterdir()}


async def restarted(data: Path) -> None:
    await filled(data, 2)


async def test_what_was_asked_and_how_it_ended_is_read_newest_first(audit: NodeAudit) -> None:
    before = utc_now()
    about = await audit.asked("k-1", "channel.connect", "acme", "front", {"job": "0123456789abcdef"})
    await audit.noted("node", "node.start")
    await audit.ended(about, "refused", {"status": "409"})
    last, middle, first = await audit.entries(None, before=None, limit=10)
    assert [first.seq, middle.seq, last.seq] == [about, 2, 3] == [1, 2, 3]
    assert (first.who, first.action, first.outcome, first.about) == ("k-1", "channel.connect", "asked", None)
    assert (last.who, last.action, last.outcome, last.about) == ("k-1", "channel.connect", "refused", 1)
    assert (last.clinic, last.channel, last.detail) == ("acme", "front", {"status": "409"})
    assert before <= first.at <= last.at <= utc_now()


async def test_entries_are_of_all_of_a_clinic_or_of_some_a_page_at_a_time(audit: NodeAudit) -> None:
    for number in range(9):
        await audit.noted("node", "channel.connect", ("acme", "bela", None)[number % 3])

    async def seqs(clinic: str | list[str] | None, before: int | None = None, limit: int = 4) -> list[int]:
        return [each.seq for each in await audit.entries(clinic, before=before, limit=limit)]

    assert await seqs(None) == [9, 8, 7, 6]
    assert await seqs(None, before=6) == [5, 4, 3, 2]
    assert await seqs("acme") == [7, 4, 1]
    assert await seqs("acme", before=7) == [4, 1]
    assert await seqs(["acme", "bela"]) == [8, 7, 5, 4]
    assert await seqs([]) == []


async def test_many_at_once_share_commits_and_each_has_its_number(audit: NodeAudit) -> None:
    seqs = await asyncio.gather(*(audit.asked("k-1", "channel.send", "acme") for _ in range(1000)))
    assert seqs == list(range(1, 1001))
    assert (await audit.verify()).intact


async def test_its_files_are_private(audit: NodeAudit, tmp_path: Path) -> None:
    await audit.noted("node", "node.start")
    files = files_of(tmp_path)
    assert {each.name for each in files} >= {"audit.db", "audit.head", "audit.db-wal"}
    assert {each.stat().st_mode & 0o777 for each in files} == {0o600}


async def test_what_is_no_word_of_ours_is_not_written(audit: NodeAudit) -> None:
    with pytest.raises(ValueError, match="detail to"):
        await audit.noted("node", "channel.send", detail={"to": "5511999998888"})
    with pytest.raises(ValueError, match="none whose end"):
        await audit.ended(7, "done")
    assert await audit.entries(None, before=None, limit=10) == []


async def test_a_shell_cannot_change_it_by_mistake(audit: NodeAudit, tmp_path: Path) -> None:
    for _ in range(2):
        await audit.noted("node", "node.start")
    with closing(sqlite3.connect(audit_file(tmp_path))) as connection:
        for statement in (
            "UPDATE entries SET who = 'x'",
            "DELETE FROM entries WHERE seq = 2",
            "INSERT OR REPLACE INTO entries SELECT * FROM entries WHERE seq = 1",
        ):
            with pytest.raises(sqlite3.IntegrityError, match="append-only"):
                connection.execute(statement)


async def test_it_goes_on_where_it_ended(tmp_path: Path) -> None:
    for _ in range(3):
        await restarted(tmp_path)
    found = verify(tmp_path, KEY)
    assert (found.intact, found.last) == (True, 6)


async def test_nothing_is_made_or_changed_by_looking_at_it_without_a_node(tmp_path: Path) -> None:
    assert verify(tmp_path, KEY).intact
    assert files_of(tmp_path) == {}
    await filled(tmp_path)
    before = files_of(tmp_path)
    found = verify(tmp_path, KEY)
    assert (found.intact, found.last) == (True, 10)
    assert files_of(tmp_path) == before


TAMPERED = {
    "UPDATE entries SET who = 'k-2' WHERE seq = 4": 4,
    "UPDATE entries SET outcome = 'refused' WHERE seq = 10": 10,
    "UPDATE entries SET detail = CAST(x'ff' AS TEXT) WHERE seq = 5": 5,
    "UPDATE entries SET seal = (SELECT seal FROM entries WHERE seq = 2) WHERE seq = 3": 3,
    "DELETE FROM entries WHERE seq = 1": 1,
    "DELETE FROM entries WHERE seq BETWEEN 4 AND 6": 4,
    "DELETE FROM entries WHERE seq > 7": 8,
    "DELETE FROM entries": 1,
    "DROP TABLE entries": 1,
    "UPDATE entries SET seq = seq + 10 WHERE seq > 5": 6,
    "INSERT INTO entries SELECT 11, at, who, action, outcome, clinic, channel, about, detail, seal"
    " FROM entries WHERE seq = 10": 11,
}


@pytest.mark.parametrize("statement", TAMPERED)
async def test_tampering_is_found_and_stays_found_when_the_node_goes_on(tmp_path: Path, statement: str) -> None:
    await filled(tmp_path)
    tamper(tmp_path, statement)
    found = verify(tmp_path, KEY)
    assert (found.intact, found.bad, found.last) == (False, TAMPERED[statement], TAMPERED[statement] - 1)
    if not statement.startswith("DROP"):
        await restarted(tmp_path)
        assert (await asyncio.to_thread(verify, tmp_path, KEY)).bad == TAMPERED[statement]


async def test_tampering_while_the_node_runs_is_found(audit: NodeAudit, tmp_path: Path) -> None:
    for number in range(5):
        await audit.noted("node", "channel.connect", "acme", f"c{number}")
    tamper(tmp_path, "DELETE FROM entries WHERE seq > 3")
    assert (await audit.verify()).bad == 4
    await audit.noted("node", "channel.connect", "acme")
    assert (await audit.verify()).bad == 4
    assert [each.seq for each in await audit.entries(None, before=None, limit=2)] == [6, 3]


async def test_a_head_that_is_gone_or_forged_is_found_and_stays_found(tmp_path: Path) -> None:
    await filled(tmp_path)
    good = head_file(tmp_path).read_bytes()
    head_file(tmp_path).write_bytes(good[:-1] + bytes([good[-1] ^ 1]))
    found = verify(tmp_path, KEY)
    assert (found.intact, found.bad, found.last) == (False, None, 10)
    await restarted(tmp_path)
    assert verify(tmp_path, KEY).bad == 11
    head_file(tmp_path).unlink()
    assert verify(tmp_path, KEY).bad == 11


async def test_cutting_off_the_end_with_the_head_stays_found(tmp_path: Path) -> None:
    await filled(tmp_path)
    tamper(tmp_path, "DELETE FROM entries WHERE seq > 7")
    head_file(tmp_path).unlink()
    found = verify(tmp_path, KEY)
    assert (found.intact, found.bad, found.last) == (False, None, 7)
    await restarted(tmp_path)
    found = verify(tmp_path, KEY)
    assert (found.bad, found.why and BROKEN in found.why) == (8, False)
    assert found.why is not None
    assert "head_missing" in found.why


async def test_a_head_that_lags_is_no_tampering(tmp_path: Path) -> None:
    await filled(tmp_path, 4)
    old = head_file(tmp_path).read_bytes()
    await filled(tmp_path, 4)
    head_file(tmp_path).write_bytes(old)
    assert verify(tmp_path, KEY).intact
    await restarted(tmp_path)
    assert verify(tmp_path, KEY).intact


async def test_all_put_back_as_it_was_is_found_by_who_noted_the_end(tmp_path: Path) -> None:
    await filled(tmp_path, 4)
    files = {path: path.read_bytes() for path in (audit_file(tmp_path), head_file(tmp_path))}
    await filled(tmp_path, 4)
    noted = verify(tmp_path, KEY)
    for path, content in files.items():
        path.write_bytes(content)
    assert verify(tmp_path, KEY).intact
    assert verify(tmp_path, KEY, (noted.last, noted.hash)).bad == 5
    await filled(tmp_path, 6)
    assert verify(tmp_path, KEY, (noted.last, noted.hash)).bad == noted.last


async def test_where_it_ends_is_in_the_log_for_who_keeps_that_elsewhere(tmp_path: Path) -> None:
    with capture_logs() as logged:
        await filled(tmp_path)
    found = verify(tmp_path, KEY)
    said = [(each["event"], each["seq"], each["hash"]) for each in logged if "seq" in each]
    assert said == [("audit_goes_on", 0, "0" * 64), ("audit_ended", found.last, found.hash)]


async def test_bytes_that_flipped_are_found(tmp_path: Path) -> None:
    await filled(tmp_path, 200)
    content = audit_file(tmp_path).read_bytes()
    for place in range(4096, len(content), 997):
        audit_file(tmp_path).write_bytes(content[:place] + bytes([content[place] ^ 0x40]) + content[place + 1 :])
        found = verify(tmp_path, KEY)
        assert found.intact is False or _unused(content, place)


def _unused(content: bytes, place: int) -> bool:
    """Zeros between the cells of a page, or the index, which is not what is looked at."""
    page = content[place // 4096 * 4096 :][:4096]
    return page[0] != 0x0D or content[place] == 0 or place % 4096 < 108


async def test_only_one_verification_runs_at_a_time(audit: NodeAudit) -> None:
    first = asyncio.ensure_future(audit.verify())
    await asyncio.sleep(0)
    with pytest.raises(ConflictError):
        await audit.verify()
    assert (await first).intact
    assert (await audit.verify()).intact


async def test_what_the_disk_does_not_take_is_refused_and_taken_again_when_it_does(audit: NodeAudit) -> None:
    for _ in range(5):
        await audit.noted("node", "node.start")
    connection = audit._file._connection
    assert connection is not None
    await connection.run(lambda database: database.execute("PRAGMA max_page_count = 1").fetchall())
    many = (audit.noted("node", "channel.connect", "acme", "c" * 60) for _ in range(500))
    with pytest.raises(StoreUnavailableError, match=r"audit\.db cannot grow"):
        await asyncio.gather(*many)
    assert len(await audit.entries(None, before=None, limit=5)) == 5
    await connection.run(lambda database: database.execute("PRAGMA max_page_count = 100000").fetchall())
    await audit.noted("node", "channel.connect")
    assert (await audit.verify()).intact


async def test_a_node_starts_though_the_audit_cannot_be_opened_and_changes_nothing_until_it_can(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    audit_file(tmp_path).mkdir()
    kept = NodeAudit(tmp_path, KEY, utc_now)
    service = AuditService(kept, "0.1.0")
    await service.start()
    assert "nothing can be changed" in caplog.text
    with pytest.raises(StoreUnavailableError, match="audit"):
        await kept.asked("k-1", "clinic.add", "acme")
    audit_file(tmp_path).rmdir()
    await kept.asked("k-1", "clinic.add", "acme")
    await service.stop(timeout=5.0)
    assert verify(tmp_path, KEY).last == 2


async def test_an_audit_that_cannot_be_written_is_told_and_tried_until_it_can(tmp_path: Path) -> None:
    audit_file(tmp_path).mkdir()
    kept = NodeAudit(tmp_path, KEY, utc_now)
    service = AuditService(kept, "0.1.0", look_s=0.01)
    await service.start()
    assert "audit" in str(kept.trouble)
    waiting = asyncio.create_task(service.wait())
    audit_file(tmp_path).rmdir()
    async with asyncio.timeout(10):
        while kept.trouble:  # noqa: ASYNC110 - it says so to nobody
            await asyncio.sleep(0.01)
    assert [each.action for each in await kept.entries(None, before=None, limit=9)] == ["audit.mended"]
    waiting.cancel()
    await service.stop(timeout=5.0)


async def test_a_node_that_starts_and_stops_says_so(tmp_path: Path) -> None:
    kept = NodeAudit(tmp_path, KEY, utc_now)
    service = AuditService(kept, "0.1.0")
    for _ in range(2):
        await service.start()
        await service.stop(timeout=5.0)
    with pytest.raises(StoreUnavailableError, match="closed"):
        await kept.noted("node", "node.start")
    await kept.open()
    said = [(each.action, each.detail) for each in await kept.entries(None, before=None, limit=9)]
    assert said == [("node.stop", {"version": "0.1.0"}), ("node.start", {"version": "0.1.0"})] * 2
    await kept.close(timeout=5.0)


async def test_a_disk_that_hangs_holds_nobody_up_for_ever(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, audit: NodeAudit
) -> None:
    await audit.noted("node", "node.start")
    monkeypatch.setattr(keeper, "WAIT_S", 0.05)
    with closing(sqlite3.connect(audit_file(tmp_path), isolation_level=None)) as shell:
        shell.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreUnavailableError, match="has not taken"):
            await audit.noted("node", "channel.connect")
        shell.execute("ROLLBACK")
    monkeypatch.setattr(keeper, "WAIT_S", 10.0)
    await audit.noted("node", "channel.connect")
    assert (await audit.verify()).intact


APPENDING = f"""
import asyncio, sys
from pathlib import Path
from gateway.audit.keeper import NodeAudit
from protocol.commands import utc_now

async def main():
    audit = NodeAudit(Path(sys.argv[1]), bytes(range({len(KEY)})), utc_now)
    await audit.open()
    async def one():
        while True:
            about = await audit.asked("k-1", "channel.send", "acme", "front")
            await audit.ended(about, "done")
            print("promised", about, flush=True)
    await asyncio.gather(*(one() for _ in range(8)))

asyncio.run(main())
"""


def promised(line: bytes) -> int:
    """0 for a line of the log."""
    word, _, number = line.partition(b" ")
    return int(number) if word == b"promised" else 0


def test_killed_while_appending_it_is_whole_and_has_what_was_promised(tmp_path: Path) -> None:
    for lines in (1, 40, 7, 300, 120):
        with subprocess.Popen([sys.executable, "-c", APPENDING, str(tmp_path)], stdout=subprocess.PIPE) as process:
            try:
                assert process.stdout is not None
                last = max(promised(process.stdout.readline()) for _ in range(lines))
            finally:
                process.kill()
        found = verify(tmp_path, KEY)
        assert found.intact, found.why
        assert found.last >= last
