"""One emulator for all tests here; numbers nobody else uses; clients that end with their test."""

import itertools
import shutil
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
import pytest_asyncio

from tests.emulator.client import EmulatorProcess
from tests.integration.emulator.harness import NeonizeClient

_numbers = itertools.count(1)

MakeNumber = Callable[[], str]


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def running_emulator(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[EmulatorProcess]:
    async with EmulatorProcess(tmp_path_factory.mktemp("emulator")) as emulator:
        yield emulator


@pytest_asyncio.fixture(loop_scope="session")
async def emulator(running_emulator: EmulatorProcess) -> AsyncIterator[EmulatorProcess]:
    """The emulator, without faults from other tests."""
    yield running_emulator
    await running_emulator.clear()


@pytest.fixture
def number() -> MakeNumber:
    """Makes a phone number nobody has had before."""
    return lambda: f"5511{next(_numbers):09d}"


class Clients:
    """Starts clients of one emulator."""

    def __init__(self, emulator: EmulatorProcess, directory: Path, stack: AsyncExitStack) -> None:
        self._emulator, self._directory, self._stack = emulator, directory, stack

    async def start(self, phone: str) -> NeonizeClient:
        """A client that has not connected yet; with the credentials of the last one of this number, if any."""
        return await self._stack.enter_async_context(NeonizeClient(self._emulator, self._directory, phone))

    async def with_credentials(self, store: Path) -> NeonizeClient:
        """A client with a copy of these stored credentials."""
        for file in store.parent.glob(f"{store.name}*"):
            shutil.copy(file, self._directory)
        return await self.start(store.stem)

    async def paired(self, phone: str) -> NeonizeClient:
        client = await self.start(phone)
        await client.pair()
        return client


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def credentials(running_emulator: EmulatorProcess, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The store of a client that was paired, for tests in which it does not get as far as writing to anybody."""
    async with NeonizeClient(
        running_emulator, tmp_path_factory.mktemp("credentials"), f"5511{next(_numbers):09d}"
    ) as client:
        await client.pair()
    return client.database


@pytest_asyncio.fixture(loop_scope="session")
async def clients(emulator: EmulatorProcess, tmp_path: Path) -> AsyncIterator[Clients]:
    async with AsyncExitStack() as stack:
        yield Clients(emulator, tmp_path, stack)
