"""The channel's actor while it has no port because none is needed, or because an operator wants none."""

import asyncio
import itertools
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from actors.channel.requests import Connect, Disconnect, Logout, Pair, Resume, Suspend
from protocol import port as p
from protocol import port_events
from protocol.channel import Breaker as BreakerView
from protocol.channel import ChannelState, QrCode, WantedState
from protocol.errors import ConflictError
from protocol.port import Failed, PortAnswer
from supervisor.breaker import Breaker, Consecutive
from tests.fakes.scripted_port import UP, Anything, obliging
from tests.fakes.scripted_remains import DEVICE
from tests.unit.actors.channel.bench import CHANNEL
from tests.unit.actors.channel.heard import message
from tests.unit.actors.channel.home import POLICY, Home
from tests.unit.actors.channel.home import home as make_home

S = ChannelState
LAZY = replace(POLICY, life=replace(POLICY.life, lazy=True))
TIRING = replace(POLICY, life=replace(POLICY.life, idle_after_s=0.02))


@pytest.fixture
def home() -> Iterator[Home]:
    with make_home() as place:
        place.opener.first_words = [UP]
        yield place


def states(home: Home) -> list[str]:
    return [state for state, _ in itertools.groupby(home.bus.states())]


def test_a_lazy_channel_opens_no_port_until_there_is_something_to_send(home: Home) -> None:
    home.start(LAZY)
    shown = home.wait_state(S.SUSPENDED)
    assert (shown.reason, shown.wanted) == ("lazy: waits for a send or connect", WantedState.CONNECTED)
    assert home.opener.asked == []
    home.send("1")
    assert home.bus.wait_result("1").status == "sent"
    assert home.snapshot.state is S.CONNECTED
    assert states(home) == ["suspended", "initializing", "connected"]


def test_a_lazy_channel_is_woken_by_what_an_earlier_life_left(home: Home) -> None:
    home.connected()
    asyncio.run(home.ask(Disconnect()))
    home.send("1")
    home.bell.wait(lambda: home.snapshot.queued == 1, "a queued command")
    home.end()
    home.board.drop_channel("acme", "reception")
    home.start(LAZY)
    assert home.bus.wait_result("1").status == "sent"


@pytest.mark.parametrize("request_", [Connect(), Resume()], ids=repr)
async def test_an_operator_wakes_a_lazy_channel(home: Home, request_: object) -> None:
    home.start(LAZY)
    assert (await home.ask(request_)).state is S.INITIALIZING
    home.wait_state(S.CONNECTED)


async def test_pairing_wakes_a_lazy_channel(home: Home) -> None:
    home.opener.first_words = [port_events.QrShown(code="code-1", valid_s=60.0)]
    home.start(LAZY)
    assert isinstance(await home.ask(Pair(None)), QrCode)


def test_an_idle_channel_gives_its_port_up_and_a_send_wakes_it(home: Home) -> None:
    port = home.connected(TIRING)
    assert home.wait_state(S.SUSPENDED).reason == "idle for 0.02 s: waits for a send or connect"
    port.wait_ended()
    assert port.told_to_stop
    home.send("1")
    assert home.bus.wait_result("1").status == "sent"
    expected = ["connected", "suspended", "initializing", "connected", "suspended"]
    home.bell.wait(lambda: states(home) == expected, "suspended again")


def test_a_channel_with_a_send_under_way_is_not_idle(home: Home) -> None:
    async def slowly(request: Anything) -> PortAnswer | p.Sent:
        await asyncio.sleep(0.2)
        return await obliging(request)

    home.opener.answer = slowly
    home.start(TIRING)
    home.send("1")
    result = home.bus.wait_result("1")
    assert (result.status, result.attempts) == ("sent", 1)


def test_what_comes_in_is_activity_too(home: Home) -> None:
    port = home.connected()
    assert home.snapshot.last_activity_at is None
    port.hear(message("A"))
    first = home.bell.wait(lambda: home.snapshot.last_activity_at, "activity")
    home.send("1")
    home.bus.wait_result("1")
    home.bell.wait(lambda: (home.snapshot.last_activity_at or first) > first, "more activity")


async def test_commands_wait_while_an_operator_has_suspended_the_channel(home: Home) -> None:
    port = home.connected()
    shown = await home.ask(Suspend())
    assert (shown.state, shown.reason, shown.wanted) == (S.SUSPENDED, "requested", WantedState.SUSPENDED)
    port.wait_ended()
    soon = datetime.now(UTC) + timedelta(seconds=0.2)
    home.send("expires", to="5511900000001", expires_at=soon.isoformat())
    home.send("waits")
    expired = await asyncio.to_thread(home.bus.wait_result, "expires")
    assert expired.status == "expired"
    await asyncio.to_thread(home.bell.wait, lambda: home.snapshot.queued == 1, "one queued command")
    assert (home.snapshot.state, len(home.opener.asked)) == (S.SUSPENDED, 1)
    assert (await home.ask(Resume())).state is S.INITIALIZING
    sent = await asyncio.to_thread(home.bus.wait_result, "waits")
    assert (sent.status, sent.attempts) == ("sent", 1)


async def test_resuming_a_live_channel_leaves_its_port_alone(home: Home) -> None:
    home.connected()
    assert (await home.ask(Resume())).state is S.CONNECTED
    assert len(home.opener.asked) == 1


@pytest.mark.parametrize(
    ("request_", "state"), [(Suspend(), S.SUSPENDED), (Disconnect(), S.DISCONNECTED)], ids=["suspend", "disconnect"]
)
async def test_what_was_asked_for_holds_when_the_actor_is_started_again(
    home: Home, request_: object, state: ChannelState
) -> None:
    home.connected()
    await home.ask(request_)
    home.ref.stop(block=False)
    await asyncio.to_thread(home.parent.wait_exit)
    home.start()
    shown = await asyncio.to_thread(home.wait_state, state)
    assert (shown.wanted.value, len(home.opener.asked)) == (state.value, 1)


def test_an_open_breaker_around_sending_is_shown(home: Home) -> None:
    async def refuse(_: Anything) -> PortAnswer | p.Sent:
        return Failed(code="server_error", message="try later")

    home.opener.answer = refuse
    home.connected(replace(POLICY, sending=replace(POLICY.sending, breaker=Breaker(trip=Consecutive(1), pause_s=60.0))))
    home.send("1")
    home.bell.wait(lambda: home.snapshot.sending_breaker is BreakerView.OPEN, "an open breaker")
    home.bell.wait(lambda: ("setback", ("1",)) in home.ledger.calls, "the attempt to be unmarked")
    assert (home.snapshot.breaker, home.snapshot.queued) == (BreakerView.CLOSED, 1)


async def test_a_logout_that_is_answered_after_the_channel_was_suspended_ends_in_logged_out(home: Home) -> None:
    port = home.connected()
    go_on = asyncio.Event()

    async def slowly(request: Anything) -> PortAnswer | p.Sent:
        await go_on.wait()
        return await obliging(request)

    port.answer = slowly
    port.deaf = True
    asking = asyncio.ensure_future(home.ask(Logout()))
    await asyncio.sleep(0)
    await asyncio.to_thread(port.wait_call, p.LogOut)
    await home.ask(Suspend())
    port._loop.call_soon_threadsafe(go_on.set)
    shown = await asking
    assert (shown.state, shown.reason) == (S.LOGGED_OUT, "logout")
    port._loop.call_soon_threadsafe(port._end, "stopped", True)


# -- a session that only a person can end --

HOPELESS: list[port_events.PortEvent] = [
    port_events.Banned(code=101, expires_in_s=0.0),
    port_events.Replaced(),
    port_events.Outdated(),
    port_events.StoreUnusable(reason="x.db is no database"),
]


@pytest.mark.parametrize("event", HOPELESS, ids=lambda event: type(event).__name__)
async def test_a_channel_in_error_forgets_its_session_and_is_paired_anew(
    home: Home, event: port_events.PortEvent
) -> None:
    port = home.connected()
    port.say(event)
    home.wait_state(S.ERROR)
    port.wait_ended()
    shown = await home.ask(Logout())
    assert (shown.state, shown.reason) == (S.LOGGED_OUT, "logout")
    assert p.LogOut() not in port.calls
    assert home.remains.device is None
    home.bell.wait(lambda: home.vault.calls[-1] == "forget", "the vault to forget")
    home.opener.first_words = [port_events.QrShown(code="code-1", valid_s=60.0)]
    assert (await home.ask(Pair(None))).code == "code-1"


@pytest.mark.parametrize(
    ("event", "stays"),
    list(zip(HOPELESS, [True, True, True, False], strict=True)),
    ids=lambda value: type(value).__name__,
)
async def test_a_channel_in_error_is_so_after_a_restart_if_it_may_not_dial(
    home: Home, event: port_events.PortEvent, stays: bool
) -> None:
    home.connected().say(event)
    before = home.wait_state(S.ERROR)
    home.bell.wait(lambda: (_condemned(home) is not None) is stays, "a note")
    home.end()
    home.board.drop_channel("acme", "reception")
    home.start()
    after = home.wait_state(S.ERROR if stays else S.CONNECTED)
    if stays:
        assert (after.reason, after.since, len(home.opener.asked)) == (before.reason, before.since, 1)
        await home.ask(Connect())
        home.wait_state(S.CONNECTED)
        home.bell.wait(lambda: _condemned(home) is None, "a note")
    assert len(home.opener.asked) == 2


def _condemned(home: Home) -> object:
    paired = home.ledger.channel(CHANNEL).paired
    return None if paired is None else paired.condemned


async def test_a_channel_that_an_operator_suspended_forgets_its_session(home: Home) -> None:
    port = home.connected()
    await home.ask(Suspend())
    port.wait_ended()
    home.bell.wait(lambda: home.vault.calls[-1] == "seal clean", "the port to be known to be gone")
    assert (await home.ask(Logout())).state is S.LOGGED_OUT
    assert home.remains.device is None


async def test_a_channel_that_sleeps_until_it_is_needed_does_not(home: Home) -> None:
    home.start(LAZY)
    home.wait_state(S.SUSPENDED)
    with pytest.raises(ConflictError, match="only one that is connected"):
        await home.ask(Logout())


async def test_a_session_that_cannot_be_forgotten_stays_as_it_is(home: Home) -> None:
    port = home.connected()
    port.say(HOPELESS[0])
    home.wait_state(S.ERROR)
    port.wait_ended()
    home.remains.failing = True
    with pytest.raises(ConflictError, match="is not logged out: session store: disk I/O error"):
        await home.ask(Logout())
    assert (home.snapshot.state, home.remains.device) == (S.ERROR, DEVICE)


async def test_no_session_is_forgotten_while_its_port_still_ends(home: Home) -> None:
    port = home.connected()
    port.deaf = True
    port.say(HOPELESS[0])
    home.wait_state(S.ERROR)
    with pytest.raises(ConflictError, match="has not ended yet"):
        await home.ask(Logout())
    assert home.remains.device == DEVICE
    port.die()
