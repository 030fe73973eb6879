"""The channel's actor and the vault: when its session store is restored, sealed and forgotten."""

from collections.abc import Iterator
from dataclasses import replace

import pytest
from msgspec import structs

from actors.channel import actor as actor_module
from actors.channel import keeping, restoring
from actors.channel.requests import Connect, Disconnect, Suspend
from actors.channel.sealing import SealingPolicy
from protocol import port_events
from protocol.channel import ChannelState
from protocol.ledger import Paired
from protocol.vault import Restoration
from supervisor.actor import ShutDown, tell
from supervisor.reasons import Crash, Shutdown
from tests.fakes.memory_ledger import Entry
from tests.fakes.scripted_port import PAIRED, UP
from tests.fakes.scripted_remains import DEVICE
from tests.unit.actors.channel.bench import CHANNEL
from tests.unit.actors.channel.commands import accepted
from tests.unit.actors.channel.heard import message, receipt
from tests.unit.actors.channel.home import AT_ONCE, POLICY, STORE, Home
from tests.unit.actors.channel.home import home as make_home

S = ChannelState
R = Restoration
CODE = port_events.QrShown(code="code-1", valid_s=60.0)
SOON = replace(POLICY, sealing=SealingPolicy(interval_s=0.05, new_s=0.0))
NEW_ONLY = replace(POLICY, sealing=SealingPolicy(new_s=0.0))


@pytest.fixture
def home(monkeypatch: pytest.MonkeyPatch) -> Iterator[Home]:
    monkeypatch.setattr(restoring, "_BACKOFF", AT_ONCE)
    monkeypatch.setattr(keeping, "_BACKOFF", AT_ONCE)
    with make_home() as place:
        yield place


def known(home: Home) -> None:
    """The number was connected before, as the device whose session the store holds."""
    home.ledger.channel(CHANNEL).paired = Paired(phone=UP.phone, jid=DEVICE)


def wait_calls(home: Home, *calls: str) -> None:
    home.bell.wait(lambda: home.vault.calls == list(calls), f"{calls}, not {home.vault.calls}")


# -- restoring --


def test_the_store_is_restored_before_anything_reads_it_or_opens_it(home: Home) -> None:
    home.vault.held = True
    home.start()
    home.bell.wait(lambda: home.vault.began == ["restore"], "the vault to be asked")
    assert (home.remains.pruned, home.opener.asked) == ([], [])
    home.vault.let_go()
    home.opener.wait_port()
    assert (home.vault.calls, home.vault.stores, len(home.remains.pruned)) == (["restore"], {STORE}, 1)


def test_no_port_is_opened_while_the_vault_cannot_say_what_the_store_is(home: Home) -> None:
    home.opener.first_words = [UP]
    home.vault.failing = True
    home.start()
    assert home.wait_state(S.ERROR).reason == "cannot store: the vault's disk is full"
    assert home.opener.asked == []
    home.vault.failing = False
    home.wait_state(S.CONNECTED)


def test_a_port_that_is_lost_is_replaced_without_asking_the_vault(home: Home) -> None:
    known(home)
    home.connected().die()
    home.opener.wait_port(2)
    assert home.vault.calls == ["restore"]


@pytest.mark.parametrize("what", list(R))
def test_operators_see_what_the_store_was_at_the_beginning(home: Home, what: R) -> None:
    home.vault.finds = [what]
    home.connected()
    assert home.snapshot.restored is what


@pytest.mark.parametrize(("what", "status"), [(R.KEPT, "sent"), (R.CLEAN, "sent"), (R.STALE, "held")])
def test_what_is_not_in_a_store_from_before_its_end_may_have_been_sent(home: Home, what: R, status: str) -> None:
    began = structs.replace(accepted("1", on_uncertain="hold"), attempts=1, secret=b"s" * 32)
    home.ledger.entries[CHANNEL, "1"] = Entry(began, "in_flight")
    known(home)
    home.vault.finds = [what]
    home.connected()
    assert home.bus.wait_result("1").status == status


def test_what_is_in_a_store_from_before_its_end_can_still_be_proven(home: Home) -> None:
    began = structs.replace(accepted("1", on_uncertain="hold"), attempts=1, secret=b"s" * 32)
    home.ledger.entries[CHANNEL, "1"] = Entry(began, "in_flight")
    home.remains.trace("WA", b"s" * 32)
    known(home)
    home.vault.finds = [R.STALE]
    home.connected().hear(receipt("WA"))
    assert home.bus.wait_result("1").status == "sent"


# -- while ports use it --


def test_a_new_device_is_sealed_when_it_is_paired_and_when_it_is_connected(home: Home) -> None:
    home.start(NEW_ONLY)
    port = home.opener.wait_port()
    port.say(CODE)
    home.wait_state(S.QR_REQUIRED)
    port.say(PAIRED)
    wait_calls(home, "restore", "seal")
    port.say(UP)
    wait_calls(home, "restore", "seal", "seal")
    home.bell.wait(lambda: home.snapshot.sealed_at, "the seal to be shown")
    home.send("1")
    home.bus.wait_result("1")
    assert home.vault.calls == ["restore", "seal", "seal"], "the next is not due"


def test_a_known_device_is_sealed_once_in_an_interval_if_something_went_in_or_out(home: Home) -> None:
    known(home)
    port = home.connected(SOON)
    wait_calls(home, "restore", "seal")  # it connected
    port.hear(message("A"))
    wait_calls(home, "restore", "seal", "seal")
    home.send("1")
    wait_calls(home, "restore", "seal", "seal", "seal")


def test_a_seal_that_fails_is_tried_again_and_shown_only_if_it_fails_again_and_again(home: Home) -> None:
    known(home)
    home.vault.finds = [R.CLEAN]
    port = home.connected(SOON)
    home.vault.failing = True
    port.hear(message("A"))
    assert home.bell.wait(lambda: home.snapshot.unsealed, "the trouble") == "the vault's disk is full"
    assert home.vault.calls.count("seal") >= keeping.MOST_SILENT
    assert (home.snapshot.state, port.alive) == (S.CONNECTED, True)
    home.vault.failing = False
    home.bell.wait(lambda: home.snapshot.unsealed is None and home.snapshot.sealed_at, "a seal")


# -- at rest --


@pytest.mark.parametrize("request_", [Disconnect(), Suspend()], ids=repr)
async def test_a_channel_at_rest_is_sealed_as_clean_and_the_vault_is_asked_before_its_next_port(
    home: Home, request_: object
) -> None:
    known(home)
    port = home.connected()
    await home.ask(request_)
    wait_calls(home, "restore", "seal clean")
    assert (port.alive, home.vault.clean) == (False, {CHANNEL: True})
    await home.ask(Connect())
    home.wait_state(S.CONNECTED)
    assert (home.vault.calls, home.vault.clean) == (["restore", "seal clean", "restore"], {CHANNEL: False})


async def test_the_store_is_not_clean_before_its_port_is_gone(home: Home) -> None:
    known(home)
    port = home.connected()
    port.deaf = True
    await home.ask(Disconnect())
    home.bell.wait(lambda: port.told_to_stop, "the port to be told to stop")
    assert home.vault.began == ["restore"]
    port.die()
    wait_calls(home, "restore", "seal clean")


async def test_a_port_that_is_wanted_meanwhile_is_opened_after_the_seal(home: Home) -> None:
    known(home)
    home.connected()
    home.vault.held = True
    await home.ask(Disconnect())
    home.bell.wait(lambda: home.vault.began == ["restore", "seal clean"], "the seal")
    await home.ask(Connect())
    home.bell.wait(lambda: home.vault.began == ["restore", "seal clean", "restore"], "the vault to be asked")
    assert len(home.opener.asked) == 1
    home.vault.let_go()
    home.wait_state(S.CONNECTED)
    assert (home.vault.calls[1:], home.vault.clean) == (["seal clean", "restore"], {CHANNEL: False})


async def test_no_port_is_opened_from_a_store_that_may_still_be_marked_as_clean(home: Home) -> None:
    known(home)
    home.connected()
    await home.ask(Disconnect())
    wait_calls(home, "restore", "seal clean")
    home.vault.failing = True
    await home.ask(Connect())
    home.bell.wait(lambda: home.vault.calls.count("restore") > 2, "it to be tried again")
    assert len(home.opener.asked) == 1
    home.vault.failing = False
    home.wait_state(S.CONNECTED)


async def test_a_store_that_went_at_rest_and_came_back_older_begins_another_life(home: Home) -> None:
    known(home)
    home.connected()
    await home.ask(Disconnect())
    wait_calls(home, "restore", "seal clean")
    home.vault.finds = [R.STALE]
    await home.ask(Connect())
    assert isinstance(home.parent.wait_exit(), Crash)
    assert len(home.opener.asked) == 1


# -- at the end --


def test_at_its_end_the_port_ends_then_the_store_is_sealed_as_clean_then_the_actor_ends(home: Home) -> None:
    known(home)
    port = home.connected()
    home.vault.held = True
    tell(home.ref, ShutDown())
    home.bell.wait(lambda: home.vault.began == ["restore", "seal clean"], "the seal")
    assert (port.alive, home.ref.is_alive()) == (False, True)
    home.vault.let_go()
    assert home.parent.wait_exit() == Shutdown()
    assert home.vault.clean == {CHANNEL: True}


def test_a_seal_that_does_not_come_in_time_holds_up_no_end(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(actor_module, "GONE_TIMEOUT_S", 0.3)
    known(home)
    home.connected()
    home.vault.held = True
    assert home.end() == Shutdown("port, publication or vault did not end in time")


def test_a_seal_that_fails_holds_up_no_end(home: Home) -> None:
    known(home)
    home.connected()
    home.vault.failing = True
    assert home.end() == Shutdown()
    assert home.vault.calls == ["restore", "seal clean"]


def test_an_actor_that_crashes_leaves_nothing_clean(home: Home) -> None:
    known(home)
    port = home.connected()
    home.ref.stop(block=False)
    home.parent.wait_exit()
    port.wait_ended()
    assert home.vault.calls == ["restore"]


def test_a_channel_that_was_never_paired_has_nothing_to_seal(home: Home) -> None:
    home.opener.first_words = [CODE]
    home.start().wait_state(S.QR_REQUIRED)
    home.end()
    assert home.vault.calls == ["restore"]


# -- over --


def test_a_session_that_is_over_is_forgotten_and_not_sealed_again(home: Home) -> None:
    known(home)
    port = home.connected()
    home.vault.failing = True
    port.say(port_events.LoggedOut(reason="device removed"))
    home.bell.wait(lambda: home.vault.calls.count("forget") > 1, "it to be tried again")
    home.vault.failing = False
    port.wait_ended()
    home.bell.wait(lambda: home.vault.clean == {} and home.vault.calls[-1] == "forget", "it to be forgotten")
    home.end()
    assert set(home.vault.calls) == {"restore", "forget"}
