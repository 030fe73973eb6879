"""Registrar, clinics and reconcilers: what the registry wants is what runs."""

import asyncio
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import msgspec
import pytest
from pykka import ActorRegistry

from actors.channel.actor import Channel
from actors.places import REGISTRAR, channel_name, reconciler_name
from actors.reconciler import Reconciler
from protocol.channel import ChannelState, ClinicState, WantedState
from tests.fakes.memory_ledger import MemoryLedger
from tests.fakes.parent import until
from tests.fakes.scripted_port import AT, UP
from tests.unit.actors.node import Node, channel_record, clinic_record
from tests.unit.actors.node import node as make_node

S, C = ChannelState, ClinicState


@pytest.fixture
def node(tmp_path: Path) -> Iterator[Node]:
    with make_node(tmp_path) as place:
        place.opener.first_words = [UP]
        yield place


def test_what_is_registered_at_the_start_runs(node: Node) -> None:
    node.want("acme", "a", "b")
    node.want("beta", "a")
    node.start()
    for clinic, channel in (("acme", "a"), ("acme", "b"), ("beta", "a")):
        node.wait_channel(clinic, channel, S.CONNECTED)
    shown = node.wait_clinic("acme", C.RUNNING)
    assert (shown.name, shown.timezone, shown.reason) == ("A clinic", "America/Sao_Paulo", "")
    assert node.bus.of("acme").served[-1] == {"a", "b"}
    stores = {spec.store for spec in node.opener.asked}
    assert stores == {
        str(node.runtime / "clinics" / c / f"{ch}.db") for c, ch in (("acme", "a"), ("acme", "b"), ("beta", "a"))
    }


def test_what_is_registered_later_is_started_and_nothing_else_disturbed(node: Node) -> None:
    node.want("acme", "a")
    node.start()
    node.wait_channel("acme", "a", S.CONNECTED)
    node.want("acme", "b")
    node.want("beta", "x")
    node.wait_channel("acme", "b", S.CONNECTED)
    node.wait_channel("beta", "x", S.CONNECTED)
    assert len(node.opener.ports) == 3


def test_a_clinic_without_channels_runs(node: Node) -> None:
    node.want("acme")
    node.start()
    node.wait_clinic("acme", C.RUNNING)
    node.bell.wait(lambda: node.bus.of("acme").served == [frozenset()], "the account to serve nobody")


def test_a_new_name_is_shown(node: Node) -> None:
    node.want("acme")
    node.start()
    node.wait_clinic("acme", C.RUNNING)
    node.registry.clinics["acme"] = clinic_record("acme", "Another name")
    node.registry.tell()
    node.bell.wait(lambda: (node.board.clinic("acme") or clinic_record("x")).name == "Another name", "the new name")


def test_a_removed_channel_ends_and_is_cleaned_up(node: Node) -> None:
    node.want("acme", "a", "b")
    node.start()
    node.wait_channel("acme", "a", S.CONNECTED)
    node.wait_channel("acme", "b", S.CONNECTED)
    store = node.runtime / "clinics" / "acme" / "a.db"
    store.parent.mkdir(parents=True)
    for suffix in ("", "-wal", "-shm", ".lock"):
        store.with_name(f"a.db{suffix}").write_text("x")
    journal = store.with_name("a.db.journal")
    journal.mkdir()
    (journal / "1").write_text("x")
    other = store.with_name("b.db")
    other.write_text("x")
    del node.registry.channels["acme", "a"]
    node.registry.tell()
    until(lambda: ("forget_channel", ()) in node.store.ledgers["acme"].calls)
    assert not journal.exists()
    assert node.bus.of("acme").forgotten == ["a"]
    assert node.vaults.clinic("acme").calls.count("forget") == 1
    assert node.board.channel("acme", "a") is None
    assert list(store.parent.iterdir()) == [other]
    assert node.bus.of("acme").served[-1] == {"b"}
    assert [port.spec.channel for port in node.opener.alive] == ["b"]


def test_a_removed_channel_may_be_added_again_at_once_and_begins_anew(node: Node) -> None:
    node.want("acme", "a")
    node.start()
    node.wait_channel("acme", "a", S.CONNECTED)
    store = node.runtime / "clinics" / "acme" / "a.db"
    store.parent.mkdir(parents=True)
    for round in range(1, 4):  # noqa: A001 - it is one
        store.write_text("an old session")
        before = len(node.opener.asked)
        node.registry.channels["acme", "a"] = channel_record("acme", "a", created_at=AT + timedelta(seconds=round))
        node.registry.tell()
        port = node.opener.wait_port(before + 1)
        assert not store.exists(), "the old session is gone before the new channel begins"
        assert port.alive
        node.bell.wait(lambda: _created(node) == AT + timedelta(seconds=round), "the new channel")  # noqa: B023
    node.wait_channel("acme", "a", S.CONNECTED)


def _created(node: Node) -> object:
    shown = node.board.channel("acme", "a")
    return shown.created_at if shown else None


def test_what_was_removed_before_a_node_was_killed_is_cleaned_up_by_the_next(node: Node) -> None:
    node.want("acme", "b")
    folder = node.runtime / "clinics" / "acme"
    folder.mkdir(parents=True)
    for name in ("a", "b"):
        (folder / f"{name}.db").write_text("a session")
    ledger = node.store.ledgers.setdefault("acme", MemoryLedger(node.bell))
    ledger.registered = {"b": AT, "c": AT}
    node.start()
    node.wait_channel("acme", "b", S.CONNECTED)
    until(lambda: sorted(node.bus.of("acme").forgotten) == ["a", "c"])
    until(lambda: ledger.registered == {"b": AT})
    assert [path.name for path in folder.glob("*.db")] == ["b.db"]


def test_a_channel_that_was_removed_and_added_again_while_the_node_was_down_begins_with_nothing(node: Node) -> None:
    node.want("acme", "a")
    store = node.runtime / "clinics" / "acme" / "a.db"
    store.parent.mkdir(parents=True)
    store.write_text("the session of the one before")
    ledger = node.store.ledgers.setdefault("acme", MemoryLedger(node.bell))
    ledger.registered = {"a": AT - timedelta(days=1)}
    node.start()
    node.wait_channel("acme", "a", S.CONNECTED)
    assert (node.bus.of("acme").forgotten, ledger.registered) == (["a"], {"a": AT})
    assert not store.exists()
    assert len(node.opener.ports) == 1


def test_a_channel_whose_clean_up_fails_begins_anew_only_after_it_succeeded(node: Node) -> None:
    node.want("acme", "a")
    node.start()
    node.wait_channel("acme", "a", S.CONNECTED)
    bus = node.bus.of("acme")
    original = bus.forget_channel
    failures = 0

    async def fails_twice(channel: str) -> None:
        nonlocal failures
        failures += 1
        if failures <= 2:
            raise OSError("no")
        await original(channel)

    bus.forget_channel = fails_twice  # type: ignore[method-assign]  # fails at first
    node.registry.channels["acme", "a"] = channel_record("acme", "a", created_at=AT + timedelta(seconds=1))
    node.registry.tell()
    node.opener.wait_port(2)
    assert (failures, bus.forgotten) == (3, ["a"])


def test_a_removed_clinic_ends_with_its_channels_and_its_accounts_are_closed(node: Node) -> None:
    node.want("acme", "a", "b")
    node.want("beta", "x")
    node.start()
    for clinic, channel in (("acme", "a"), ("acme", "b"), ("beta", "x")):
        node.wait_channel(clinic, channel, S.CONNECTED)
    del node.registry.clinics["acme"]
    node.registry.channels = {key: record for key, record in node.registry.channels.items() if key[0] != "acme"}
    node.registry.tell()
    node.bell.wait(lambda: node.board.clinic("acme") is None, "the end of acme")
    assert node.board.channels() == node.board.channels("beta")
    assert (node.bus.opened, node.store.opened) == ({"beta"}, {"beta"})
    assert [port.spec.clinic for port in node.opener.alive] == ["beta"]
    assert not [name for name in node.names.all() if "acme" in name]


def test_a_removed_clinic_may_be_added_again_at_once(node: Node) -> None:
    node.want("acme", "a")
    node.start()
    node.wait_channel("acme", "a", S.CONNECTED)
    first = node.opener.wait_port()
    del node.registry.clinics["acme"]
    node.registry.tell()
    node.want("acme", "a")
    if not first.alive:
        node.opener.wait_port(2)
    node.wait_channel("acme", "a", S.CONNECTED)


def test_a_database_that_cannot_be_opened_is_an_error_of_its_clinic_alone(node: Node) -> None:
    node.store.broken.add("acme")
    node.want("acme", "a")
    node.want("beta", "x")
    node.start()
    shown = node.wait_clinic("acme", C.ERROR)
    assert shown.reason == "/data/clinics/acme/clinic.db is not a database"
    node.wait_channel("beta", "x", S.CONNECTED)
    assert node.board.channel("acme", "a") is None
    attempts = node.store.attempts
    node.bell.wait(lambda: node.store.attempts > attempts + 3, "more attempts")
    node.store.broken.clear()
    node.wait_clinic("acme", C.RUNNING)
    node.wait_channel("acme", "a", S.CONNECTED)


def test_an_account_that_is_away_is_an_error_until_it_is_back(node: Node) -> None:
    node.bus.away.add("acme")
    node.want("acme", "a")
    node.start()
    assert node.wait_clinic("acme", C.ERROR).reason == "clinic acme: NATS is away"
    node.bus.away.clear()
    node.wait_channel("acme", "a", S.CONNECTED)
    assert node.wait_clinic("acme", C.RUNNING).reason == ""


def test_a_clinic_that_is_being_opened_says_so_and_can_be_removed(node: Node) -> None:
    node.bus.held.add("acme")
    node.want("acme", "a")
    node.start()
    assert node.wait_clinic("acme", C.DEGRADED).reason == "opening"
    del node.registry.clinics["acme"]
    node.registry.tell()
    node.bell.wait(lambda: node.board.clinic("acme") is None, "the end of acme")
    assert node.store.opened == set()


def test_channels_are_served_before_they_are_started_and_tried_again_while_nats_is_away(node: Node) -> None:
    bus = node.bus.of("acme")
    bus.away = True
    node.want("acme", "a")
    node.start()
    node.wait_clinic("acme", C.RUNNING)
    assert node.opener.asked == []
    bus.come_back()
    node.wait_channel("acme", "a", S.CONNECTED)


def test_a_reconciler_that_crashes_finds_its_channels_running(node: Node) -> None:
    node.want("acme", "a", "b")
    node.start()
    for channel in "ab":
        node.wait_channel("acme", channel, S.CONNECTED)
    node.crash(reconciler_name("acme"))
    node.want("acme", "c")
    node.wait_channel("acme", "c", S.CONNECTED)
    assert len(node.opener.ports) == 3
    del node.registry.channels["acme", "a"]
    node.registry.tell()
    node.bell.wait(lambda: node.bus.of("acme").forgotten == ["a"], "the clean-up")
    assert sorted(port.spec.channel for port in node.opener.alive) == ["b", "c"]


def test_a_registrar_that_crashes_finds_the_clinics_running(node: Node) -> None:
    node.want("acme", "a")
    node.want("beta", "x")
    node.start()
    node.wait_channel("acme", "a", S.CONNECTED)
    node.wait_channel("beta", "x", S.CONNECTED)
    node.crash(REGISTRAR)
    node.bell.wait(lambda: node.registry.watching == 1, "one watch")
    del node.registry.clinics["acme"]
    node.registry.tell()
    node.bell.wait(lambda: node.board.clinic("acme") is None, "the end of acme")
    assert [port.spec.clinic for port in node.opener.alive] == ["beta"]


def test_a_channel_that_crashes_comes_back_and_no_other_notices(node: Node) -> None:
    node.want("acme", "a", "b")
    node.start()
    for channel in "ab":
        node.wait_channel("acme", channel, S.CONNECTED)
    node.crash("clinic/acme/channel/a")
    port = node.opener.wait_port(2, "a")
    node.wait_channel("acme", "a", S.CONNECTED)
    assert [port] == [port for port in node.opener.alive if port.spec.channel == "a"]
    assert len([spec for spec in node.opener.asked if spec.channel == "b"]) == 1


def test_a_watch_that_breaks_is_begun_again(node: Node) -> None:
    node.start()
    node.bell.wait(lambda: node.registry.watching == 1, "a watch")
    node.registry.break_watch()
    node.bell.wait(lambda: node.registry.watches == 2, "another watch")
    node.want("acme", "a")
    node.wait_channel("acme", "a", S.CONNECTED)


async def test_the_end_of_the_node_closes_everything(node: Node) -> None:
    node.want("acme", "a", "b")
    node.want("beta", "x")
    node.start()
    for clinic, channel in (("acme", "a"), ("acme", "b"), ("beta", "x")):
        node.wait_channel(clinic, channel, S.CONNECTED)
        await node.at_rest(clinic, channel)
    node.end()
    assert (node.bus.opened, node.store.opened, node.opener.alive, node.names.all()) == (set(), set(), [], [])
    assert node.registry.watching == 0
    assert not ActorRegistry.get_by_class(Channel)
    assert not ActorRegistry.get_by_class(Reconciler)
    assert {(port.told_to_stop, port.killed) for port in node.opener.ports} == {(True, None)}


@pytest.mark.parametrize("wanted", [WantedState.DISCONNECTED, WantedState.SUSPENDED])
def test_a_channel_starts_as_it_is_wanted(node: Node, wanted: WantedState) -> None:
    node.want("acme")
    record = msgspec.structs.replace(channel_record("acme", "a"), wanted=wanted)
    node.registry.channels["acme", "a"] = record
    node.start()
    shown = node.wait_channel("acme", "a", S(wanted.value))
    assert (shown.wanted, shown.reason, node.opener.asked) == (wanted, "requested before a restart", [])


async def test_what_an_operator_asked_for_holds_over_a_crash_of_the_channel(node: Node) -> None:
    node.want("acme", "a")
    node.start()
    await asyncio.to_thread(node.wait_channel, "acme", "a", S.CONNECTED)
    await node.desk.suspend("acme", "a")
    await asyncio.to_thread(node.crash, channel_name("acme", "a"))
    shown = await asyncio.to_thread(node.wait_channel, "acme", "a", S.SUSPENDED)
    assert (shown.wanted, len(node.opener.asked)) == (WantedState.SUSPENDED, 1)


async def test_a_channel_in_quarantine_shows_the_settings_with_which_it_would_begin(node: Node) -> None:
    node.want("acme", "a")
    node.start()
    await asyncio.to_thread(node.wait_channel, "acme", "a", S.CONNECTED)
    await node.at_rest("acme", "a")
    parked = msgspec.structs.replace(await node.desk.channel("acme", "a"), state=S.ERROR)
    name = channel_name("acme", "a")
    ref = node.names.whereis(name)
    assert ref is not None
    node.names.unregister(name, ref)
    node.board.put_channel(parked)
    assert (await node.desk.configure("acme", "a", {"note": 1})).config == {"note": 1}
    node.names.register(name, ref)
