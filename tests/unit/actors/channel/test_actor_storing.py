"""The channel's actor and what it has to store: what earlier lives left, what cannot be stored, what was lost."""

from collections.abc import Iterator

import msgspec
import pytest

from actors.channel import session
from actors.channel.requests import Connect, Disconnect
from protocol import port_events
from protocol.channel import ChannelState
from protocol.commands import utc_now
from protocol.events import GapEvent
from protocol.subjects import EventKind
from tests.fakes.scripted_port import UP, ScriptedPort
from tests.unit.actors.channel.bench import CHANNEL, CLINIC
from tests.unit.actors.channel.heard import CHAT, message
from tests.unit.actors.channel.home import Home
from tests.unit.actors.channel.home import home as make_home

S = ChannelState


@pytest.fixture
def home() -> Iterator[Home]:
    with make_home() as place:
        place.opener.first_words = [UP]
        yield place


def through(port: ScriptedPort, announced: int = 0) -> None:
    port.say(
        port_events.BacklogAnnounced(messages=announced, receipts=0), port_events.BacklogDelivered(count=announced)
    )


def gap(home: Home, count: int = 1) -> GapEvent:
    def look() -> GapEvent | None:
        found = home.bus.events(EventKind.GAP)
        return found[count - 1] if len(found) >= count else None

    return home.bell.wait(look, f"gap report {count}")


def test_what_earlier_lives_left_in_the_journal_is_published_before_anything_newer(home: Home) -> None:
    home.remains.write(message("A"))
    home.opener.first_words = [UP, home.remains.write(message("B"))]
    home.start()
    home.bell.wait(lambda: len(home.bus.events(EventKind.MESSAGE)) == 2, "both messages")
    assert [event.wa_id for event in home.bus.events(EventKind.MESSAGE)] == ["A", "B"]
    home.bell.wait(lambda: not home.remains.records, "an empty journal")


def test_no_port_is_opened_before_it_is_known_what_was_left(home: Home) -> None:
    home.remains.failing = True
    home.start()
    assert home.wait_state(S.ERROR).reason == "cannot store: session store: disk I/O error"
    assert home.opener.asked == []
    home.remains.failing = False
    home.wait_state(S.CONNECTED)
    assert home.board.trouble(CLINIC) is None


def test_a_channel_that_can_store_nothing_hangs_up_and_comes_back_by_itself(home: Home) -> None:
    port = home.connected()
    home.ledger.full = True
    port.hear(message("A"))
    assert home.wait_state(S.ERROR).reason == "cannot store: the spool is full"
    port.wait_ended()
    assert (port.told_to_stop, port.granted, len(home.remains.records)) == (True, 0, 1)
    assert home.board.trouble(CLINIC) == "the spool is full"
    home.ledger.full = False
    home.wait_state(S.CONNECTED)
    home.opener.wait_port(2)
    home.bell.wait(lambda: home.bus.events(EventKind.MESSAGE), "the message")
    assert home.board.trouble(CLINIC) is None
    assert home.remains.records == {}


async def test_while_nothing_can_be_stored_an_operator_is_told_so_and_is_obeyed_afterwards(home: Home) -> None:
    port = home.connected()
    home.ledger.full = True
    port.hear(message("A"))
    home.wait_state(S.ERROR)
    port.wait_ended()
    assert (await home.ask(Connect())).state is S.ERROR
    assert (await home.ask(Disconnect())).state is S.DISCONNECTED
    home.ledger.full = False
    home.bell.wait(lambda: home.bus.events(EventKind.MESSAGE), "the message")
    assert (home.snapshot.state, len(home.opener.asked)) == (S.DISCONNECTED, 1)


def test_what_was_lost_is_named_after_the_next_connection(home: Home) -> None:
    port = home.connected()
    through(port)
    assert (gap(home).since, gap(home).announced, gap(home).lost) == (None, 0, [])
    for wa_id in ("A", "B"):
        home.remains.trace(wa_id, b"", CHAT, CHAT)
    home.remains.trace("OURS", b"", CHAT, "5511999990000@s.whatsapp.net")
    port.hear(message("A"))
    home.bell.wait(lambda: port.granted == 1, "credit")
    port.die()
    second = home.opener.wait_port(2)
    second.hear(message("C", backlog=True))
    through(second, announced=1)
    told = gap(home, 2)
    assert [(lost.wa_id, lost.chat, lost.from_) for lost in told.lost] == [("B", CHAT, CHAT)]
    assert (told.announced, told.arrived, told.undecryptable) == (1, 1, 0)
    assert told.since is not None
    home.bell.wait(lambda: home.ledger.channel(CHANNEL).traced == 3, "the traces to be accounted for")


@pytest.mark.parametrize("unprunable", [False, True])
def test_old_traces_may_go_before_a_port_is_opened_but_need_not(home: Home, unprunable: bool) -> None:
    home.ledger.channel(CHANNEL).traced = 1
    home.remains.unprunable = unprunable
    for wa_id in ("A", "B"):
        home.remains.trace(wa_id, b"", CHAT, CHAT)
    home.connected()
    assert home.remains.pruned == [1]


@pytest.mark.parametrize(("every_s", "pruned"), [(0.0, [1, 1]), (session.PRUNE_S, [1])])
def test_a_channel_that_lives_long_deletes_old_traces_when_it_opens_a_port(
    home: Home, monkeypatch: pytest.MonkeyPatch, every_s: float, pruned: list[int]
) -> None:
    home.ledger.channel(CHANNEL).traced = 1
    home.remains.trace("A", b"", CHAT, CHAT)
    port = home.connected()
    monkeypatch.setattr(session, "PRUNE_S", every_s)
    home.remains.unprunable = True
    port.die()
    home.opener.wait_port(2)
    assert home.remains.pruned == pruned


def test_what_was_lost_before_a_crash_is_named_by_the_next_life(home: Home) -> None:
    home.ledger.channel(CHANNEL).traced = 0
    home.remains.trace("A", b"", CHAT, CHAT)
    through(home.connected())
    assert [lost.wa_id for lost in gap(home).lost] == ["A"]


def test_what_waits_when_another_number_is_paired_is_held_and_what_comes_after_is_sent(home: Home) -> None:
    port = home.connected()
    home.bell.wait(lambda: home.ledger.channel(CHANNEL).paired, "the number to be noted")
    home.opener.first_words = []
    port.say(port_events.LoggedOut(reason="device removed"))
    home.wait_state(S.LOGGED_OUT)
    home.send("before")
    home.bell.wait(lambda: home.snapshot.queued == 1, "a queued command")
    home.end()
    home.board.drop_channel(CLINIC, CHANNEL)
    home.opener.first_words = [msgspec.structs.replace(UP, phone="5511900000002")]
    home.start()
    result = home.bus.wait_result("before")
    assert result.error is not None
    assert (result.status, result.error.code) == ("held", "other_number")
    home.bus.epoch = utc_now()
    home.send("after")
    assert home.bus.wait_result("after").status == "sent"


def test_the_trouble_of_a_life_that_crashed_is_not_told_of_the_next(home: Home) -> None:
    port = home.connected()
    home.ledger.full = True
    port.hear(message("A"))
    home.wait_state(S.ERROR)
    port.wait_ended()
    home.ref.stop(block=False)
    home.parent.wait_exit()
    home.ledger.full = False
    home.start()
    home.wait_state(S.CONNECTED)
    assert home.board.trouble(CLINIC) is None
