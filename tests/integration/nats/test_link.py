"""A link that is closed while it connects leaves nothing behind."""

import asyncio
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import pytest
from structlog.testing import capture_logs

from gateway.nats.broker import EmbeddedBroker
from gateway.nats.bus import NatsBus
from gateway.nats.link import Connection, Link
from protocol import subjects
from protocol.errors import BusUnavailableError
from tests.integration.nats.conftest import SMALL, crash


@contextmanager
def silent(broker: EmbeddedBroker) -> Iterator[None]:
    """The server takes connections and says nothing."""
    pid = broker.pid
    assert pid is not None
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


def links() -> set[str]:
    """The accounts that something connects, or keeps connected."""
    prefix = "nats link "
    names = [task.get_name() for task in asyncio.all_tasks()]
    return {name.removeprefix(prefix) for name in names if name.startswith(prefix)}


async def running(broker: EmbeddedBroker) -> NatsBus:
    """A bus that was started."""
    bus = NatsBus(broker, retention=SMALL)
    await bus.start()
    return bus


async def test_a_stop_while_a_clinic_connects_ends_its_link_and_tells_who_waits(broker: EmbeddedBroker) -> None:
    await broker.ensure_account("acme")
    bus = await running(broker)
    with silent(broker), capture_logs() as logs:
        opening = asyncio.create_task(bus.open_clinic("acme"))
        while "clinic-acme" not in links():  # noqa: ASYNC110
            await asyncio.sleep(0)
        await bus.stop(timeout=2)
        with pytest.raises(BusUnavailableError, match="closed"):
            await asyncio.wait_for(opening, 10)
    assert links() == set()
    assert "nats_connected" not in {line["event"] for line in logs}


async def test_a_stop_while_a_clinic_gets_its_account_lets_no_link_begin(broker: EmbeddedBroker) -> None:
    bus = await running(broker)
    with silent(broker):
        opening = asyncio.create_task(bus.open_clinic("acme"))
        await asyncio.sleep(0)
        # It waits for the server to take the account over.
        assert broker.login("clinic-acme")
        await bus.stop(timeout=2)
    with pytest.raises(BusUnavailableError, match="not running"):
        await opening
    assert links() == set()
    again = await running(broker)
    await again.open_clinic("acme")
    await again.stop(timeout=2)


async def test_a_cancellation_that_the_library_swallows_is_obeyed(broker: EmbeddedBroker) -> None:
    preparing = asyncio.Event()

    async def swallow(connection: Connection) -> None:
        preparing.set()
        with suppress(asyncio.CancelledError):
            await connection.lost

    link = Link(broker, subjects.ACCOUNT_NODE, swallow)
    link.open(lambda _: None)
    await preparing.wait()
    with capture_logs() as logs:
        await link.close()
    assert (link.connected, links(), logs) == (False, set(), [])


async def test_a_closed_link_has_no_connection_to_give(broker: EmbeddedBroker) -> None:
    async def nothing(connection: Connection) -> None:
        """Nothing to prepare."""

    link = Link(broker, subjects.ACCOUNT_NODE, nothing)
    link.open(lambda _: None)
    await link.connection()
    await link.close()
    await link.close()
    with pytest.raises(BusUnavailableError, match="plantao: closed"):
        await asyncio.wait_for(link.connection(), 10)


async def test_preparing_an_account_is_given_up_with_its_connection(broker: EmbeddedBroker) -> None:
    preparing = asyncio.Event()
    times = 0

    async def never_answered_at_first(connection: Connection) -> None:
        nonlocal times
        times += 1
        preparing.set()
        if times == 1:
            await asyncio.get_running_loop().create_future()

    link = Link(broker, subjects.ACCOUNT_NODE, never_answered_at_first, jitter=lambda: 0)
    link.open(lambda _: None)
    await preparing.wait()
    await crash(broker)
    await broker.start()
    await link.connection(timeout=20)
    await link.close()
    assert times == 2


async def test_a_mending_link_tells_each_mistake_once_and_can_be_closed_between_two(broker: EmbeddedBroker) -> None:
    mistakes = [KeyError("a"), KeyError("b"), ValueError("c"), ValueError("d")]
    left, told = list(mistakes), list[BaseException]()
    used_up = asyncio.Event()

    async def break_up(connection: Connection) -> None:
        if len(left) == 1:
            used_up.set()
        raise left.pop(0)

    link = Link(broker, subjects.ACCOUNT_NODE, break_up, jitter=lambda: 0 if left else 1000)
    link.open_mending(told.append)
    await asyncio.wait_for(used_up.wait(), 20)
    with pytest.raises(BusUnavailableError, match="plantao: broke by ValueError; see the log"):
        await link.connection(timeout=0.01)
    await asyncio.wait_for(link.close(), 20)
    assert (told, links()) == ([mistakes[0], mistakes[2]], set())
