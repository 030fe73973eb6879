"""A channel's actor that crashes, or hangs and is given up: what becomes of its port, its askers and its commands."""

import asyncio
import threading
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from actors.channel.machine import IllegalTransitionError
from actors.channel.requests import Pair
from protocol import port_events
from protocol.channel import ChannelState
from protocol.errors import ConflictError
from protocol.port import SendText
from supervisor.actor import Call, kill, tell
from supervisor.reasons import Crash, Killed
from tests.fakes.bell import PATIENCE_S
from tests.fakes.scripted_port import UP, obliging, silent
from tests.unit.actors.channel.bench import CHANNEL
from tests.unit.actors.channel.home import POLICY, Home
from tests.unit.actors.channel.home import home as make_home

S = ChannelState
CODE = port_events.QrShown(code="code-1", valid_s=60.0)


@pytest.fixture
def home() -> Iterator[Home]:
    with make_home() as place:
        yield place


def test_an_actor_that_crashes_kills_its_port(home: Home) -> None:
    port = home.connected()
    port.say(CODE)
    reason = home.parent.wait_exit()
    assert isinstance(reason, Crash)
    assert isinstance(reason.error, IllegalTransitionError)
    assert port.wait_ended().reason.startswith("its channel ended")


def test_a_lazy_channel_that_was_connected_when_its_actor_crashed_is_connected_again(home: Home) -> None:
    lazy = replace(POLICY, life=replace(POLICY.life, lazy=True))
    home.start(lazy).wait_state(S.SUSPENDED)
    home.opener.first_words = [UP]
    home.send("waker", to="5511900000001")
    home.bus.wait_result("waker")
    port = home.opener.wait_port()
    port.say(CODE)
    assert isinstance(home.parent.wait_exit(), Crash)
    port.wait_ended()
    home.start(lazy)
    assert home.opener.wait_port(2).alive
    home.wait_state(S.CONNECTED)


async def test_who_waits_for_a_code_hears_of_the_crash(home: Home) -> None:
    home.start()
    port = home.opener.wait_port()
    asking = asyncio.ensure_future(home.ask(Pair(None)))
    await asyncio.sleep(0)
    port.say(port_events.PairingSucceeded(jid="x", lid="y"), CODE)
    with pytest.raises(ConflictError, match="ended"):
        await asking
    assert isinstance(home.parent.wait_exit(), Crash)


def test_a_port_that_opens_after_its_channel_crashed_is_killed(home: Home) -> None:
    home.opener.held = True
    home.start()
    home.bell.wait(lambda: home.opener.asked, "an opening")
    home.ref.stop(block=False)
    home.parent.wait_exit()
    home.opener.let_go()
    assert home.opener.wait_port().wait_ended().reason == "its channel ended before it was open"


def test_what_came_while_an_actor_hung_its_successor_takes_up(home: Home) -> None:
    home.connected()
    hung, let_go = threading.Event(), threading.Event()

    def hang(_answer: object) -> None:
        hung.set()
        let_go.wait()

    tell(home.ref, Call("what it does not answer", hang))
    assert hung.wait(PATIENCE_S)
    home.send("meanwhile", to="5511900000001")
    home.bell.wait(lambda: (CHANNEL, "meanwhile") in home.ledger.entries, "the command to be taken")
    channel: Any = home.ref._actor_weakref()
    kill(home.ref, "it hung")
    assert channel._publishing.books._closed, "what it records once it goes on would be its successor's"
    let_go.set()
    assert isinstance(home.parent.wait_exit(), Killed)
    home.start()
    assert home.bus.wait_result("meanwhile").status == "sent"


def test_what_a_crashed_actor_had_not_finished_its_successor_takes_up(home: Home) -> None:
    home.opener.answer = silent
    port = home.connected()
    home.send("before", to="5511900000001")
    home.send("waiting", to="5511900000001")
    port.wait_call(SendText)
    port.say(CODE)
    assert isinstance(home.parent.wait_exit(), Crash)
    port.wait_ended()
    home.opener.answer = obliging
    home.start()
    assert home.bus.wait_result("waiting").status == "sent"
    results = [(result.id, result.status, result.attempts) for result in home.bus.results()]
    assert results == [("before", "sent", 1), ("waiting", "sent", 1)]
