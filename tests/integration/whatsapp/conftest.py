"""One emulator and one nursery for all tests here; numbers nobody else uses; ports that end with their test."""

import itertools
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
import pytest_asyncio

from gateway.whatsapp.opener import Nursery
from gateway.whatsapp.port_process import Timings
from tests.emulator.client import EmulatorProcess
from tests.integration.whatsapp.harness import Account

_numbers = itertools.count(1)

MakeNumber = Callable[[], str]
MakeAccount = Callable[..., Account]
MakeNursery = Callable[..., Nursery]


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def running_emulator(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[EmulatorProcess]:
    async with EmulatorProcess(tmp_path_factory.mktemp("emulator")) as emulator:
        yield emulator


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def running_nursery(running_emulator: EmulatorProcess) -> AsyncIterator[Nursery]:
    nursery = Nursery(running_emulator.ready.port_command, running_emulator.ready.env)
    await nursery.start()
    yield nursery
    await nursery.stop(timeout=5)


@pytest_asyncio.fixture(loop_scope="session")
async def emulator(running_emulator: EmulatorProcess) -> AsyncIterator[EmulatorProcess]:
    """The emulator, without faults from other tests."""
    yield running_emulator
    await running_emulator.clear()


@pytest.fixture
def number() -> MakeNumber:
    """Makes a phone number nobody has had before."""
    return lambda: f"5521{next(_numbers):09d}"


@pytest_asyncio.fixture(loop_scope="session")
async def new_nursery(running_emulator: EmulatorProcess) -> AsyncIterator[MakeNursery]:
    """Makes a nursery of the test's own, not started yet, with its own timings."""
    made: list[Nursery] = []

    def make(timings: Timings | None = None, **limits: int) -> Nursery:
        ready = running_emulator.ready
        nursery = Nursery(ready.port_command, ready.env, timings=timings or Timings(), **limits)
        made.append(nursery)
        return nursery

    yield make
    for nursery in made:
        await nursery.stop(timeout=5)


@pytest_asyncio.fixture(loop_scope="session")
async def account(
    emulator: EmulatorProcess, running_nursery: Nursery, number: MakeNumber, tmp_path: Path
) -> AsyncIterator[MakeAccount]:
    """Makes accounts whose ports are gone after the test, with all that belonged to them."""
    async with AsyncExitStack() as stack:

        def make(*, nursery: Nursery | None = None, store: Path | None = None) -> Account:
            phone = number()
            made = Account(nursery or running_nursery, emulator, phone, store or tmp_path / phone / "session.db")
            stack.push_async_callback(made.close)
            return made

        before = descriptors()
        yield make
    assert descriptors() <= before, "a port has left descriptors behind"


def descriptors() -> Counter[str]:
    """What this process holds of ports: pidfds, their logs, and their ends of the socket pairs."""
    unix = {line.split()[6] for line in Path("/proc/net/unix").read_text().splitlines()[1:]}
    held: Counter[str] = Counter()
    for entry in Path("/proc/self/fd").iterdir():
        try:
            target = str(entry.readlink())
        except FileNotFoundError:
            continue  # the one that lists the folder
        socket = target.removeprefix("socket:[").removesuffix("]") in unix
        if socket or "pidfd" in target or "port-log" in target:
            held["unix socket" if socket else target] += 1
    return held
