"""A real nats-server for every test, in a directory of its own, and what talks to it."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, suppress
from pathlib import Path

import nats
import pytest
from nats.aio.client import Client

from gateway.nats.accounts import Role
from gateway.nats.broker import EmbeddedBroker
from gateway.nats.bus import NatsBus
from gateway.nats.server_config import ClinicQuota
from gateway.nats.streams import Retention
from protocol.bus import ClinicBus
from tests.broker import embedded

Connect = Callable[..., Awaitable[Client]]

SMALL = Retention(clinic_bytes=64 << 20, platform_bytes=64 << 20)
"""So that a test's disk is not promised away."""


@pytest.fixture
async def broker(tmp_path: Path) -> AsyncIterator[EmbeddedBroker]:
    """Started."""
    made = embedded(tmp_path / "nats", quota=ClinicQuota(file_bytes=SMALL.clinic_bytes))
    await made.start()
    yield made
    await made.stop(timeout=5)


@pytest.fixture
async def bus(broker: EmbeddedBroker) -> AsyncIterator[NatsBus]:
    """Started; what was fetched comes again by itself only after half a minute, so not within a test."""
    made = NatsBus(broker, retention=SMALL)
    await made.start()
    yield made
    await made.stop(timeout=2)


@pytest.fixture
async def impatient(broker: EmbeddedBroker) -> AsyncIterator[NatsBus]:
    """Started; what was fetched and not settled comes again after two seconds."""
    made = NatsBus(broker, retention=SMALL, ack_wait=2)
    await made.start()
    yield made
    await made.stop(timeout=2)


@pytest.fixture
async def connect(broker: EmbeddedBroker) -> AsyncIterator[Connect]:
    """Connects as an ordinary client of an account; closed at the end."""

    async def ignore(error: Exception) -> None:
        """The client library prints what nobody handles."""

    async with AsyncExitStack() as open_clients:

        async def open_one(account: str, role: Role = Role.SERVICE) -> Client:
            login = broker.login(account, role)
            nc = await nats.connect(login.url, allow_reconnect=False, error_cb=ignore)
            open_clients.push_async_callback(_close, nc)
            return nc

        yield open_one


async def serving(bus: NatsBus, clinic: str, *channels: str) -> ClinicBus:
    """The clinic, opened, taking commands for ``channels``."""
    opened = await bus.open_clinic(clinic)
    await opened.serve_channels(channels)
    return opened


async def on_platform(platform: Client, count: int) -> None:
    """Wait until the platform's stream has exactly ``count`` events: it has its own copy of each, and that is not what
    whoever published it was answered for."""
    async with asyncio.timeout(10):
        while (found := (await platform.jetstream().stream_info("events")).state.messages) != count:
            assert found < count
            await asyncio.sleep(0.01)


async def _close(nc: Client) -> None:
    with suppress(OSError):
        await nc.close()


async def crash(broker: EmbeddedBroker) -> None:
    """SIGKILL the server and wait until its owner would know."""
    assert broker.pid is not None

    ended = asyncio.create_task(broker.wait())
    os.kill(broker.pid, signal.SIGKILL)
    assert "killed by signal 9" in await ended
