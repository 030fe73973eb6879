"""The channel's actor from end to end: real threads, a real loop, fakes of all that it talks to."""

import asyncio
import itertools
from collections.abc import Iterator
from dataclasses import replace

import pytest

from actors.channel import actor as actor_module
from actors.channel.requests import Connect, Disconnect, Logout, Pair, Resume, ShowQr, Suspend
from protocol import port as p
from protocol import port_events
from protocol.channel import Breaker, ChannelState, PairingCode, QrCode
from protocol.errors import ConflictError, NotFoundError, PortStartError, UnavailableError
from protocol.port import PortAnswer, SendText
from protocol.subjects import EventKind
from supervisor.actor import ShutDown, tell
from supervisor.reasons import Shutdown
from tests.fakes.scripted_port import AT, PAIRED, UP, Anything, obliging, silent
from tests.unit.actors.channel.bench import CHANNEL, CLINIC
from tests.unit.actors.channel.heard import message, receipt
from tests.unit.actors.channel.home import POLICY, Home
from tests.unit.actors.channel.home import home as make_home

S = ChannelState
CODE = port_events.QrShown(code="code-1", valid_s=60.0)
REQUESTS = [Connect(), Pair(None), Disconnect(), Suspend(), Resume(), Logout(), ShowQr()]


@pytest.fixture
def home() -> Iterator[Home]:
    with make_home() as place:
        yield place


def test_from_pairing_over_sending_and_a_killed_port_back_to_connected(home: Home) -> None:
    home.start()
    first = home.opener.wait_port()
    first.say(CODE)
    home.wait_state(S.QR_REQUIRED)
    first.say(PAIRED)
    home.wait_state(S.PAIRING)
    first.say(port_events.StreamFailed(code="515"), port_events.Disconnected(), UP)
    home.wait_state(S.CONNECTED)
    home.send("1")
    assert home.bus.wait_result("1").status == "sent"
    first.die()
    home.opener.wait_port(2).say(UP)
    home.wait_state(S.CONNECTED)
    home.send("2")
    assert home.bus.wait_result("2").status == "sent"
    home.end()
    assert [result.id for result in home.bus.results()] == ["1", "2"]
    states = [state for state, _ in itertools.groupby(home.bus.states())]
    assert states == ["qr_required", "pairing", "connected", "reconnecting", "connected", "disconnected"]
    (qr,) = home.bus.events(EventKind.QR)
    assert qr.code == "code-1"


def test_the_port_is_opened_as_the_settings_say(home: Home) -> None:
    home.connected(replace(POLICY, device_name="Clínica Acme", proxy="socks5://127.0.0.1:1"))
    assert home.opener.asked == [
        p.PortSpec(
            clinic=CLINIC,
            channel=CHANNEL,
            incarnation=1,
            store="/runtime/x.db",
            device_name="Clínica Acme",
            proxy="socks5://127.0.0.1:1",
        )
    ]


def test_what_is_known_of_a_channel_stands_on_the_board(home: Home) -> None:
    home.connected()
    shown = home.snapshot
    assert (shown.clinic, shown.channel, shown.name, shown.config) == (CLINIC, CHANNEL, "Reception", {"note": 1})
    assert (shown.state, shown.reason, shown.phone, shown.jid) == (S.CONNECTED, "", UP.phone, UP.jid)
    assert (shown.profile_name, shown.attempt, shown.breaker, shown.queued) == ("Acme", 0, Breaker.CLOSED, 0)
    assert shown.last_connected_at is not None
    assert (shown.last_activity_at, shown.next_retry_at, shown.created_at) == (None, None, AT)


def test_commands_that_wait_for_a_session_are_shown_as_queued(home: Home) -> None:
    home.start()
    port = home.opener.wait_port()
    home.send("1")
    home.send("2")
    home.bell.wait(lambda: home.snapshot.queued == 2, "two queued commands")
    port.say(UP)
    home.bus.wait_result("2")
    home.bell.wait(lambda: home.snapshot.queued == 0, "an empty queue")


# -- ports that are lost --


@pytest.mark.parametrize(
    ("traced", "on_uncertain", "status", "attempts"),
    [(False, "hold", "sent", 1), (True, "resend", "sent", 2), (True, "hold", "held", 1)],
)
def test_what_was_in_flight_when_the_port_died_is_sent_again_or_held_as_the_session_store_and_the_sender_say(
    home: Home, traced: bool, on_uncertain: str, status: str, attempts: int
) -> None:
    port = home.connected(replace(POLICY, sending=replace(POLICY.sending, uncertain_wait_s=0.01)))
    port.answer = silent
    home.send("1", on_uncertain=on_uncertain)
    request = port.wait_call(SendText)
    assert isinstance(request, SendText)
    if traced:
        home.remains.trace("WA", request.secret, request.to)
    port.die()
    home.opener.wait_port(2).say(port_events.BacklogDelivered(count=0))
    result = home.bus.wait_result("1")
    assert (result.status, result.attempts) == (status, attempts)
    sends = [call for port in home.opener.ports for call in port.calls if isinstance(call, SendText)]
    assert len(sends) == (attempts if traced else 2)
    assert len(home.bus.results()) == 1


def test_order_within_a_chat_holds_when_ports_die_all_the_time(home: Home) -> None:
    stuck: set[str] = set()

    async def every_third_at_first_not(request: Anything) -> PortAnswer | p.Sent:
        assert isinstance(request, SendText)
        if int(request.text) % 3 or request.text in stuck:
            return await obliging(request)
        stuck.add(request.text)
        home.bell.ring()
        return await silent(request)

    home.opener.answer = every_third_at_first_not
    home.connected()
    for number in range(10):
        home.send(str(number), text=str(number))
    for count in range(1, 5):
        home.bell.wait(lambda count=count: len(stuck) == count, "a send without an answer")  # type: ignore[misc]  # bound
        home.opener.wait_port(count).die()
    for number in range(10):
        assert home.bus.wait_result(str(number)).status == "sent"
    assert [result.id for result in home.bus.results()] == [str(number) for number in range(10)]


def test_a_port_that_cannot_be_opened_is_tried_again_until_it_can(home: Home) -> None:
    home.opener.refusal = PortStartError("the nursery is away")
    home.start()
    home.bell.wait(lambda: len(home.opener.asked) > 3, "several attempts")
    assert home.wait_state(S.RECONNECTING).reason == "the nursery is away"
    home.opener.refusal = None
    home.opener.wait_port().say(UP)
    assert home.wait_state(S.CONNECTED).attempt == 0


def test_a_missed_keep_alive_asks_the_server(home: Home) -> None:
    port = home.connected()
    port.say(port_events.KeepAliveMissed(count=1))
    port.wait_call(p.Probe)
    assert home.snapshot.state is S.CONNECTED


def test_a_session_that_whatsapp_ended_leaves_no_port_and_its_commands_waiting(home: Home) -> None:
    port = home.connected()
    port.say(port_events.LoggedOut(reason="device removed"))
    assert home.wait_state(S.LOGGED_OUT).reason == "logged out by WhatsApp: device removed"
    port.wait_ended()
    home.send("1")
    home.bell.wait(lambda: home.snapshot.queued == 1, "a queued command")
    assert home.bus.results() == []


# -- what comes in --


def test_messages_and_receipts_are_published_and_credited(home: Home) -> None:
    port = home.connected()
    home.send("1")
    wa_id = home.bus.wait_result("1").wa_id
    assert wa_id is not None
    port.hear(receipt(wa_id), message("A"))
    home.bell.wait(lambda: port.granted == 2, "credit")
    event = home.bell.wait(lambda: home.bus.events(EventKind.MESSAGE), "the message")[0]
    received = home.bell.wait(lambda: home.bus.events(EventKind.RECEIPT), "the receipt")[0]
    assert (received.id, event.wa_id) == ("1", "A")
    assert (home.remains.finished[-2:], len(home.remains.records)) == ([2, 3], 0)
    home.bell.wait(lambda: home.snapshot.last_activity_at, "activity")


def test_what_a_port_hears_before_it_is_known_to_be_open_is_not_lost(home: Home) -> None:
    home.opener.first_words = [UP, home.remains.write(message("A"))]
    home.start()
    home.bell.wait(lambda: home.bus.events(EventKind.MESSAGE), "the message")
    port = home.opener.wait_port()
    home.bell.wait(lambda: port.granted == 1, "credit")


# -- requests --


async def test_connect_replaces_a_live_port_and_disconnect_closes_it(home: Home) -> None:
    first = home.connected()
    assert (await home.ask(Connect())).state is S.INITIALIZING
    second = home.opener.wait_port(2)
    assert first.told_to_stop
    home.wait_state(S.CONNECTED)
    assert (await home.ask(Disconnect())).state is S.DISCONNECTED
    second.wait_ended()
    assert (await home.ask(Connect())).state is S.INITIALIZING
    home.opener.wait_port(3)
    home.wait_state(S.CONNECTED)


async def test_logout_unlinks_the_device_and_closes_the_port(home: Home) -> None:
    port = home.connected()
    shown = await home.ask(Logout())
    assert (shown.state, shown.reason) == (S.LOGGED_OUT, "logout")
    assert p.LogOut() in port.calls
    port.wait_ended()


async def test_only_a_connected_channel_can_log_out(home: Home) -> None:
    home.start()
    with pytest.raises(ConflictError, match="only one that is connected"):
        await home.ask(Logout())


@pytest.mark.parametrize("answer", [p.Failed(code="server_error", message="try later"), p.Sent(wa_id="x", at=AT)])
async def test_a_logout_that_fails_says_why_and_changes_nothing(home: Home, answer: PortAnswer) -> None:
    port = home.connected()

    async def refuse(_: Anything) -> PortAnswer | p.Sent:
        return answer

    port.answer = refuse
    with pytest.raises(ConflictError):
        await home.ask(Logout())
    assert home.snapshot.state is S.CONNECTED


async def test_a_port_that_dies_over_a_logout_is_an_answer_too(home: Home) -> None:
    port = home.connected()
    port.answer = silent
    asking = asyncio.ensure_future(home.ask(Logout()))
    await asyncio.sleep(0)
    await asyncio.to_thread(port.wait_call, p.LogOut)
    port.die("killed")
    with pytest.raises(ConflictError, match="the port is gone"):
        await asking
    home.wait_state(S.CONNECTED)


async def test_pairing_gives_a_qr_code_or_a_code_to_type(home: Home) -> None:
    home.opener.first_words = [CODE]
    home.start()
    by_qr, again, by_code = await asyncio.gather(
        home.ask(Pair(None)), home.ask(Pair(None)), home.ask(Pair("5511988887777"))
    )
    assert by_qr == again == await home.ask(ShowQr())
    assert isinstance(by_qr, QrCode)
    assert [shown.code for shown in home.board.changes(None).codes] == [by_qr.code]
    assert isinstance(by_code, PairingCode)
    assert (by_qr.code, by_code.code, by_code.phone) == ("code-1", "ABCD-EFGH", "5511988887777")


async def test_pairing_wakes_a_channel_at_rest(home: Home) -> None:
    home.opener.first_words = [CODE]
    home.start()
    home.wait_state(S.QR_REQUIRED)
    await home.ask(Disconnect())
    with pytest.raises(NotFoundError, match="QR code"):
        await home.ask(ShowQr())
    assert isinstance(await home.ask(Pair(None)), QrCode)


async def test_a_paired_channel_is_not_paired_again(home: Home) -> None:
    home.connected()
    with pytest.raises(ConflictError, match="paired already"):
        await home.ask(Pair(None))


async def test_who_waits_for_a_code_hears_that_the_channel_connected(home: Home) -> None:
    home.start()
    port = home.opener.wait_port()
    asking = asyncio.ensure_future(home.ask(Pair(None)))
    await asyncio.sleep(0)
    port.say(UP)
    with pytest.raises(ConflictError, match=r"connected|paired already"):
        await asking


# -- the end --


def test_a_shutdown_waits_for_the_send_in_flight_and_publishes_its_result(home: Home) -> None:
    port = home.connected()
    go_on = asyncio.Event()

    async def slowly(request: Anything) -> PortAnswer | p.Sent:
        await go_on.wait()
        return await obliging(request)

    port.answer = slowly
    port.deaf = True
    home.send("1")
    port.wait_call(SendText)
    tell(home.ref, ShutDown())
    home.bell.wait(lambda: port.told_to_stop, "the port's stop")
    port._loop.call_soon_threadsafe(go_on.set)
    assert home.bus.wait_result("1").status == "sent"
    assert home.parent.heard_nothing_more(), "the port is still there"
    port._loop.call_soon_threadsafe(port._end, "stopped", True)
    assert home.parent.wait_exit() == Shutdown()
    assert port.killed is None
    assert home.bus.states()[-1] == "disconnected"


def test_a_shutdown_while_nats_is_away_leaves_every_result_in_the_ledger(home: Home) -> None:
    port = home.connected()
    home.bell.wait(lambda: home.bus.states() == ["connected"], "the state")
    home.send("1")
    home.bus.wait_result("1")
    go_on = asyncio.Event()

    async def slowly(request: Anything) -> PortAnswer | p.Sent:
        await go_on.wait()
        return await obliging(request)

    port.answer = slowly
    home.send("2")
    port.wait_call(SendText, 2)
    home.bus.away = True
    port._loop.call_soon_threadsafe(go_on.set)
    assert home.end() == Shutdown()
    assert home.ledger.entry(CHANNEL, "2").state == "sent"
    home.bus.away = False
    home.opener.first_words = [UP]
    home.start()
    assert home.bus.wait_result("2").status == "sent"
    assert len([call for call in port.calls if isinstance(call, SendText)]) == 2


def test_a_shutdown_while_a_port_is_being_opened_leaves_none(home: Home) -> None:
    home.opener.held = True
    home.start()
    home.bell.wait(lambda: home.opener.asked, "an opening")
    tell(home.ref, ShutDown())
    home.wait_state(S.DISCONNECTED)
    home.opener.let_go()
    assert home.parent.wait_exit() == Shutdown()
    assert home.opener.wait_port().wait_ended().reason == "no longer wanted"


def test_a_shutdown_that_takes_too_long_kills_the_port(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(actor_module, "GONE_TIMEOUT_S", 0.05)
    port = home.connected()
    port.deaf = True
    reason = home.end()
    assert isinstance(reason, Shutdown)
    assert "did not end in time" in str(reason.term)
    assert port.wait_ended().reason.startswith("its channel ended")


@pytest.mark.parametrize("request_", REQUESTS, ids=repr)
async def test_nothing_is_asked_of_a_channel_that_is_shutting_down(home: Home, request_: object) -> None:
    port = home.connected()
    port.deaf = True
    tell(home.ref, ShutDown())
    with pytest.raises(UnavailableError, match="shutting down"):
        await home.ask(request_)
    port._loop.call_soon_threadsafe(port._end, "stopped", True)
    assert home.parent.wait_exit() == Shutdown()
    assert len(home.opener.asked) == 1


async def test_who_waits_for_a_code_hears_of_the_shutdown(home: Home) -> None:
    home.start()
    asking = asyncio.ensure_future(home.ask(Pair(None)))
    await asyncio.sleep(0)
    with pytest.raises(NotFoundError):
        await home.ask(ShowQr())  # which comes after the other; a shutdown would overtake both
    tell(home.ref, ShutDown())
    with pytest.raises(ConflictError, match="shutting down"):
        await asking
    home.parent.wait_exit()
