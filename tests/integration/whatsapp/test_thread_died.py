"""A port of which one thread dies of an exception: it ends, and says of what and where, and nobody's words."""

import re
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
import pytest_asyncio

from gateway.whatsapp.opener import Nursery
from protocol.errors import PortGoneError
from protocol.port import Probe
from protocol.port_events import QrShown
from tests.emulator.client import EmulatorProcess
from tests.integration.whatsapp.conftest import MakeAccount
from tests.integration.whatsapp.harness import Account

pytestmark = pytest.mark.asyncio(loop_scope="session")

MakeFaulty = Callable[[str], Nursery]


@pytest_asyncio.fixture(loop_scope="session")
async def faulty(running_emulator: EmulatorProcess) -> AsyncIterator[MakeFaulty]:
    """Makes a nursery, not started yet, in whose ports the named thread dies."""
    made: list[Nursery] = []

    def make(thread: str) -> Nursery:
        python, _, _, *rest = running_emulator.ready.port_command
        command = [python, "-m", "tests.integration.whatsapp.faulty_nursery", thread, *rest]
        made.append(Nursery(command, running_emulator.ready.env))
        return made[-1]

    yield make
    for nursery in made:
        await nursery.stop(timeout=5)


async def probe(clinic: Account) -> None:
    assert clinic.port is not None
    with pytest.raises(PortGoneError):
        await clinic.port.call(Probe(), deadline=20)


async def stop(clinic: Account) -> None:
    assert clinic.port is not None
    await clinic.port.stop(timeout=20)


async def nothing(_: Account) -> None:
    """It dies by itself."""


@pytest.mark.parametrize(
    ("thread", "cause", "reason"),
    [
        ("calls", probe, r"thread calls died of ValueError at gateway/whatsapp/port\.py:\d+.*"),
        ("callback", nothing, r"thread callback died of ValueError at gateway/whatsapp/session\.py:\d+"),
        ("outflow", nothing, r"thread outflow died of ValueError at gateway/whatsapp/outflow\.py:\d+.*"),
        ("leave", stop, r"ended by a fault of its own: thread leave died of ValueError at gateway/.*"),
        ("main", probe, r"ended by a fault of its own: thread main died of ValueError at gateway/.*"),
    ],
)
async def test_a_port_ends_with_the_thread_that_died(
    account: MakeAccount, faulty: MakeFaulty, thread: str, cause: Callable[[Account], Awaitable[None]], reason: str
) -> None:
    nursery = faulty(thread)
    await nursery.start()
    clinic = account(nursery=nursery)
    await clinic.open()
    if cause is not nothing:
        await clinic.heard.until(QrShown)
    await cause(clinic)
    end = await clinic.exited()
    assert re.fullmatch(reason, end.reason), end.reason
    assert end.expected is (cause is stop)
