"""Archives over HTTP and by the command line: asked for, brought, refused."""

import base64
import json
from pathlib import Path

import aiohttp
import pytest

from gateway.http.server import AdminServer
from gateway.jobs import NodeJobs
from protocol.errors import ConflictError
from protocol.jobs import JobKind
from tests.integration.http.conftest import LIMITS, Plantao, exchange
from tests.unit.gateway.http.fake_node import FakeBackups

BACKUP, RESTORE = "/api/v1/backup", "/api/v1/restore"
OCTETS = {"Content-Type": "application/octet-stream"}


async def test_a_backup_is_asked_for(operator: aiohttp.ClientSession, backups: FakeBackups) -> None:
    async with operator.post(BACKUP, json={"clinic": "acme", "passphrase": "correct horse battery"}) as response:
        assert response.status == 202
        assert response.headers["Location"] == f"/api/v1/jobs/{(await response.json())['id']}"
    async with operator.post(BACKUP, json={}) as response:
        assert response.status == 202
    first, second = backups.asked
    assert (first["kind"], first["clinic"], first["passphrase"]) == (JobKind.BACKUP, "acme", "correct horse battery")
    assert (second["clinic"], second["passphrase"]) == (None, None)


async def test_an_archive_is_brought_piece_by_piece(operator: aiohttp.ClientSession, backups: FakeBackups) -> None:
    archive = bytes(range(256)) * 3000
    headers = OCTETS | {"Plantao-Passphrase": base64.b64encode("não é segredo".encode()).decode()}
    where = f"{RESTORE}?clinic=acme&replace=true&resume=true"
    async with operator.post(where, data=archive, headers=headers) as response:
        assert response.status == 202
    [asked] = backups.asked
    assert asked["archive"] == archive
    assert (asked["clinic"], asked["replace"], asked["resume"]) == ("acme", True, True)
    assert asked["passphrase"] == "não é segredo"


async def test_nothing_is_replaced_or_sent_unless_that_is_said(
    operator: aiohttp.ClientSession, backups: FakeBackups
) -> None:
    async with operator.post(RESTORE, data=b"archive", headers=OCTETS) as response:
        assert response.status == 202
    [asked] = backups.asked
    assert (asked["clinic"], asked["replace"], asked["resume"], asked["passphrase"]) == (None, False, False, None)


@pytest.mark.parametrize(
    ("query", "headers", "status"),
    [
        ("?clinic=../acme", OCTETS, 400),
        ("?replace=yes", OCTETS, 400),
        ("?resume=1", OCTETS, 400),
        ("", {"Content-Type": "application/json"}, 415),
        ("", OCTETS | {"Content-Encoding": "gzip"}, 415),
        ("", OCTETS | {"Plantao-Passphrase": "%%%"}, 400),
        ("", OCTETS | {"Plantao-Passphrase": "/////w=="}, 400),
    ],
)
async def test_what_is_wrong_is_refused_and_nothing_is_kept(
    operator: aiohttp.ClientSession, backups: FakeBackups, query: str, headers: dict[str, str], status: int
) -> None:
    async with operator.post(RESTORE + query, data=b"archive", headers=headers) as response:
        assert response.status == status
    assert backups.asked == []
    assert not list(backups.folder.glob("*"))


async def test_an_archive_that_is_too_large_is_refused_whether_or_not_it_says_so(
    server: AdminServer, key: str, backups: FakeBackups
) -> None:
    head = f"POST {RESTORE} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {key}\r\n".encode()
    head += b"Content-Type: application/octet-stream\r\n"
    said = await exchange(server, head + f"Content-Length: {LIMITS.archive_bytes + 1}\r\n\r\n".encode())
    assert b" 413 " in said.splitlines()[0]
    piece = b"10000\r\n" + bytes(0x10000) + b"\r\n"
    said = await exchange(server, head + b"Transfer-Encoding: chunked\r\n\r\n", *[piece] * 17)
    assert b" 413 " in (said.splitlines() or [b" 413 "])[0]
    assert backups.asked == []
    assert not list(backups.folder.glob("*"))


async def test_a_refusal_leaves_no_archive_behind(operator: aiohttp.ClientSession, backups: FakeBackups) -> None:
    backups.refusing = ConflictError("a job of this clinic is running")
    async with operator.post(RESTORE, data=b"archive", headers=OCTETS) as response:
        assert response.status == 409
    assert not list(backups.folder.glob("*"))


async def test_the_command_line_makes_an_archive_and_brings_one(
    plantao: Plantao, backups: FakeBackups, jobs: NodeJobs, tmp_path: Path
) -> None:
    secret = tmp_path / "secret"
    secret.write_text("correct horse battery\nanother line\n")
    (tmp_path / "archive").write_bytes(b"an archive")
    done = await plantao("restore", str(tmp_path / "archive"), "--passphrase-file", str(secret), "--json")
    assert done.exit_code == 1  # the fake's job is none
    refused = await plantao("restore", str(tmp_path / "archive"), "--replace")
    assert refused.exit_code == 2
    assert "--yes" in refused.stderr
    missing = await plantao("restore", str(tmp_path / "nothing"))
    assert (missing.exit_code, "FILE" in missing.stderr) == (2, True)
    [asked] = backups.asked
    assert (asked["archive"], asked["passphrase"]) == (b"an archive", "correct horse battery")


async def test_a_passphrase_file_must_hold_one(plantao: Plantao, backups: FakeBackups, tmp_path: Path) -> None:
    (tmp_path / "empty").write_text("\n")
    for path in (tmp_path / "empty", tmp_path / "nothing"):
        done = await plantao("backup", str(tmp_path / "archive"), "--passphrase-file", str(path))
        assert (done.exit_code, "--passphrase-file" in done.stderr) == (2, True)
    assert backups.asked == []


async def test_what_is_no_archive_is_not_verified(plantao: Plantao, tmp_path: Path) -> None:
    (tmp_path / "archive").write_bytes(b"rubbish")
    done = await plantao("verify", str(tmp_path / "archive"), "--data", str(tmp_path), "--json")
    assert done.exit_code == 2
    assert "archive" in json.loads(done.stderr)["detail"]
