"""A channel whose node drains: it begins nothing, and is through when what it had begun is told of."""

import asyncio
from collections.abc import Iterator

import pytest

from actors.channel.requests import Connect, ShowQr
from protocol.channel import ChannelState
from protocol.errors import NotFoundError, UnavailableError
from protocol.port import PortAnswer, SendText, Sent
from tests.fakes.parent import until
from tests.fakes.scripted_port import UP, Anything, obliging, silent
from tests.unit.actors.channel.bench import CHANNEL, CLINIC
from tests.unit.actors.channel.home import Home
from tests.unit.actors.channel.home import home as make_home


@pytest.fixture
def home() -> Iterator[Home]:
    with make_home() as place:
        yield place


def drain(home: Home) -> list[str]:
    """Begin it; what is returned is empty until it is through."""
    told: list[str] = []
    home.drain.begin([(CLINIC, CHANNEL)], home.names, lambda: told.append("through"))
    return told


async def set_it(event: asyncio.Event) -> None:
    """On the loop of those who wait for it."""
    event.set()


def test_what_is_with_whatsapp_ends_and_nothing_else_begins(home: Home) -> None:
    let_go = asyncio.Event()

    async def late(request: Anything) -> PortAnswer | Sent:
        await let_go.wait()
        return await obliging(request)

    home.opener.answer = late
    port = home.connected()
    home.send("begun", to="5511900000001")
    home.send("behind", to="5511900000001")
    port.wait_call(SendText)
    told = drain(home)
    home.send("after", to="5511900000002")
    assert told == []

    home.loop.spawn(set_it(let_go), lambda _: None, timeout=1.0)

    until(lambda: told == ["through"])
    assert [(result.id, result.status) for result in home.bus.results()] == [("begun", "sent")]
    assert len([call for call in port.calls if isinstance(call, SendText)]) == 1
    home.end()


async def test_requests_that_begin_something_are_refused_and_a_look_is_not(home: Home) -> None:
    home.connected()
    told = drain(home)
    await asyncio.to_thread(until, lambda: told == ["through"])

    with pytest.raises(UnavailableError, match="is shutting down"):
        await home.ask(Connect())
    with pytest.raises(NotFoundError):
        await home.ask(ShowQr())


def test_one_that_ends_meanwhile_is_through(home: Home) -> None:
    home.opener.answer = silent
    port = home.connected()
    home.send("begun")
    port.wait_call(SendText)
    told = drain(home)

    home.ref.stop(block=False)

    until(lambda: told == ["through"])
    assert home.parent.wait_exit()


def test_one_that_begins_while_the_node_drains_takes_nothing(home: Home) -> None:
    drain(home)
    home.send("waits")
    home.opener.first_words = [UP]

    home.start().wait_state(ChannelState.CONNECTED)
    home.end()

    assert home.bus.results() == []
    assert home.ledger.entries == {}
