import asyncio
import contextlib
import json
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from typer.testing import CliRunner, Result

from actors.board import Board
from actors.custody.rotating import Rotating
from actors.meters import NodeMeters
from config.cli.app import app
from gateway.access.api_keys import ApiKeys, open_keys
from gateway.http.backends import Backends
from gateway.http.server import AdminServer
from gateway.http.surround import HttpLimits
from gateway.jobs import NodeJobs
from protocol.access import Role
from protocol.channel import ChannelState
from protocol.commands import utc_now
from tests.fakes.any_clinic import AnyClinic
from tests.fakes.memory_audit import MemoryAudit
from tests.fakes.memory_keys import MemoryKeys
from tests.unit.gateway.http.fake_node import (
    NO_LOGINS,
    FakeBackups,
    FakeHealth,
    FakeOperations,
    FakePersonal,
    FakeReloading,
)

Plantao = Callable[..., Awaitable[Result]]

LIMITS = HttpLimits(
    body_bytes=4096,
    connections=12,
    idle_s=1.5,
    body_s=1.0,
    request_s=3.0,
    pair_s=3.0,
    view_s=2.0,
    archive_bytes=1 << 20,
)
"""Short enough that a test of each takes a moment, and long enough that a busy machine reaches none of them."""


@pytest.fixture
def operations() -> FakeOperations:
    fake = FakeOperations()
    fake.set("acme", "front", state=ChannelState.CONNECTED, queued=2)
    fake.set("acme", "back", state=ChannelState.QR_REQUIRED)
    fake.set("bela", "front", state=ChannelState.CONNECTED)
    return fake


@pytest.fixture
def health() -> FakeHealth:
    return FakeHealth()


@pytest.fixture
def board() -> Board:
    """What changes; it is not what ``operations`` answers from."""
    return Board()


@pytest.fixture
def meters(board: Board) -> NodeMeters:
    return NodeMeters(board)


@pytest.fixture
def key_file(tmp_path: Path) -> Path:
    return tmp_path / "admin.key"


@pytest.fixture
def audit() -> MemoryAudit:
    return MemoryAudit()


@pytest.fixture
async def jobs(audit: MemoryAudit, tmp_path: Path) -> AsyncIterator[NodeJobs]:
    kept = NodeJobs(tmp_path, audit)
    await kept.open()
    yield kept
    await kept.close(timeout=5.0)


@pytest.fixture
def backups(tmp_path: Path) -> FakeBackups:
    return FakeBackups(folder=tmp_path / "incoming")


@pytest.fixture
def personal() -> FakePersonal:
    return FakePersonal()


@pytest.fixture
def keys(tmp_path: Path, key_file: Path) -> ApiKeys:
    return open_keys(tmp_path, key_file, utc_now)


@pytest.fixture
def data_keys() -> MemoryKeys:
    """Of the clinics."""
    made = MemoryKeys()
    for clinic in ("acme", "bela"):
        made.add(clinic, "front")
    return made


@pytest.fixture
def rotations(jobs: NodeJobs, data_keys: MemoryKeys) -> Rotating:
    return Rotating(AnyClinic(), jobs, data_keys, data_keys, data_keys.restored)


@pytest.fixture
def reloading() -> FakeReloading:
    return FakeReloading()


@pytest.fixture
async def server(
    operations: FakeOperations,
    jobs: NodeJobs,
    backups: FakeBackups,
    personal: FakePersonal,
    rotations: Rotating,
    audit: MemoryAudit,
    health: FakeHealth,
    keys: ApiKeys,
    reloading: FakeReloading,
    board: Board,
    meters: NodeMeters,
) -> AsyncIterator[AdminServer]:
    backends = Backends(
        operations=operations,
        keys=keys,
        logins=NO_LOGINS,
        jobs=jobs,
        backups=backups,
        personal=personal,
        rotations=rotations,
        audit=audit,
        health=health,
        reloading=reloading,
        meters=meters,
        live=board,
    )
    served = AdminServer("127.0.0.1", 0, backends, limits=LIMITS)
    await served.start()
    yield served
    await served.stop(timeout=1.0)


@pytest.fixture
def key(server: AdminServer, key_file: Path) -> str:
    """The key of the running server, as an operator reads it."""
    return key_file.read_text().strip()


@pytest.fixture(autouse=True)
def _no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("PLANTAO_")]:
        monkeypatch.delenv(name)


@pytest.fixture
def plantao(server: AdminServer, key: str, tmp_path: Path) -> Plantao:
    """Runs a command against the served node, in a thread of its own since it blocks."""
    (tmp_path / "node.json").write_text(json.dumps({"http": server.url, "pid": os.getpid()}))

    async def run(*arguments: str) -> Result:
        environment = {"PLANTAO_DATA": str(tmp_path)}
        return await asyncio.to_thread(CliRunner().invoke, app, list(arguments), env=environment)

    return run


@pytest.fixture
async def operator(server: AdminServer, key: str) -> AsyncIterator[aiohttp.ClientSession]:
    """A client with the key."""
    async with aiohttp.ClientSession(server.url, headers={"Authorization": f"Bearer {key}"}) as session:
        yield session


@pytest.fixture
async def stranger(server: AdminServer) -> AsyncIterator[aiohttp.ClientSession]:
    """A client without a key."""
    async with aiohttp.ClientSession(server.url) as session:
        yield session


Entering = Callable[..., Awaitable[aiohttp.ClientSession]]


@pytest.fixture
async def entering(server: AdminServer, keys: ApiKeys) -> AsyncIterator[Entering]:
    """Makes a key with a role, for clinics (none: for all), and a client that has it: ``id`` is the key's."""
    async with contextlib.AsyncExitStack() as opened:

        async def enter(role: Role, *clinics: str, **limits: Any) -> aiohttp.ClientSession:
            key, secret = await keys.make(f"{role} of {clinics}", role, clinics or None, made_by="test", **limits)
            session = aiohttp.ClientSession(server.url, headers={"X-API-Key": secret, "X-Key-Id": key.id})
            return await opened.enter_async_context(session)

        yield enter


async def exchange(server: AdminServer, *parts: bytes, timeout: float = 5.0) -> bytes:
    """Write ``parts`` to a fresh connection as they are, and read until it is closed (or reset: nothing)."""
    host, port = server.url.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    try:
        for part in parts:
            writer.write(part)
            await writer.drain()
        return await asyncio.wait_for(reader.read(), timeout)
    except ConnectionError:
        return b""
    finally:
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()
