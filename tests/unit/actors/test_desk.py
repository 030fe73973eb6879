"""What operators may ask, from the desk to the actors and back."""

import asyncio
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path

import pytest

from actors import channel_desk, registrar, switchboard
from actors.board import Board
from actors.desk import Desk
from actors.places import REGISTRAR, channel_name
from protocol import port_events
from protocol.bus import Wanted
from protocol.channel import ChannelState, ClinicSnapshot, ClinicState, PairingCode, QrCode, WantedState
from protocol.errors import (
    AlreadyExistsError,
    BusUnavailableError,
    ConflictError,
    InvalidAddressError,
    InvalidBodyError,
    InvalidIdError,
    InvalidInputError,
    NotFoundError,
    UnavailableError,
)
from protocol.subjects import HEADER_CORRELATION, Priority
from supervisor.api import Children
from supervisor.names import Names
from tests.fakes.bell import Bell
from tests.fakes.memory_bus import body_of
from tests.fakes.memory_node import MemoryBus, MemoryStore
from tests.fakes.memory_registry import MemoryRegistry
from tests.fakes.scripted_port import UP, silent
from tests.unit.actors.channel.heard import message
from tests.unit.actors.counter import as_given, only_notes
from tests.unit.actors.node import Node, channel_record, clinic_record
from tests.unit.actors.node import node as make_node

S, C = ChannelState, ClinicState
CODE = port_events.QrShown(code="code-1", valid_s=60.0)
BAD_NAMES = ["", "A", "a b", "-a", "ü", "a" * 64, "a\n", "../a", "a.b"]


@pytest.fixture
async def node(tmp_path: Path) -> AsyncIterator[Node]:
    with make_node(tmp_path) as place:
        place.opener.first_words = [UP]
        yield place.start()


@pytest.fixture
async def paired(node: Node) -> Node:
    """A node with one clinic whose one channel is connected."""
    await node.desk.add_clinic("acme", "Clínica Acme")
    await node.desk.add_channel("acme", "a")
    node.wait_channel("acme", "a", S.CONNECTED)
    return node


def bare_desk() -> tuple[Desk, Board]:
    """A desk without actors, and the board that it looks at, on which nothing stands."""
    board, bell = Board(), Bell()
    parts = (board, Names(), MemoryRegistry(bell), MemoryBus(bell), MemoryStore(bell))
    return Desk(*parts, only_notes, most_channels=lambda: 3, forms_of=as_given), board


# -- clinics --


async def test_a_clinic_that_is_added_is_there_and_one_that_is_removed_is_not(node: Node) -> None:
    added = await node.desk.add_clinic("acme", "Clínica Acme", "America/Bahia")
    assert (added.id, added.name, added.timezone, added.channels) == ("acme", "Clínica Acme", "America/Bahia", {})
    assert [clinic.id for clinic in await node.desk.clinics()] == ["acme"]
    await node.desk.remove_clinic("acme")
    assert await node.desk.clinics() == []
    with pytest.raises(NotFoundError, match="clinic acme does not exist"):
        await node.desk.clinic("acme")


async def test_a_clinic_has_a_default_name_and_time_zone(node: Node) -> None:
    added = await node.desk.add_clinic("acme", "")
    assert (added.name, added.timezone) == ("acme", "America/Sao_Paulo")


@pytest.mark.parametrize("id", BAD_NAMES)
async def test_an_invalid_clinic_id_is_refused(node: Node, id: str) -> None:
    with pytest.raises(InvalidIdError) as caught:
        await node.desk.add_clinic(id, "A name")
    assert caught.value.field == "id"
    assert node.registry.clinics == {}


@pytest.mark.parametrize(
    ("name", "timezone", "field"),
    [("x" * 121, None, "name"), ("a\nb", None, "name"), ("ok", "Mars/Olympus", "timezone"), ("ok", "../x", "timezone")],
)
async def test_an_invalid_name_or_time_zone_is_refused(node: Node, name: str, timezone: str | None, field: str) -> None:
    with pytest.raises(InvalidInputError) as caught:
        await node.desk.add_clinic("acme", name, timezone)
    assert caught.value.field == field
    assert node.registry.clinics == {}


async def test_what_is_added_again_in_the_same_way_is_there_as_it_was(node: Node) -> None:
    added = await node.desk.add_clinic("acme", "Acme", "America/Bahia")
    again, at_once = await asyncio.gather(*[node.desk.add_clinic("acme", "Acme", "America/Bahia") for _ in range(2)])
    assert again.created_at == at_once.created_at == added.created_at
    for name, timezone in (("Acme", None), ("Other", "America/Bahia")):
        with pytest.raises(AlreadyExistsError):
            await node.desk.add_clinic("acme", name, timezone)

    first = await node.desk.add_channel("acme", "a")
    for other in ("b", "c"):
        await node.desk.add_channel("acme", other)
    assert (await node.desk.add_channel("acme", "a")).created_at == first.created_at
    with pytest.raises(AlreadyExistsError):
        await node.desk.add_channel("acme", "a", "Another name")


async def test_a_clinic_is_called_otherwise_and_put_in_another_timezone(node: Node) -> None:
    await node.desk.add_clinic("acme", "Acme", "America/Bahia")
    renamed = await node.desk.configure_clinic("acme", "Clínica Acme")
    assert (renamed.name, renamed.timezone) == ("Clínica Acme", "America/Bahia")
    moved = await node.desk.configure_clinic("acme", timezone="America/Manaus")
    assert (moved.name, moved.timezone) == ("Clínica Acme", "America/Manaus")
    for name, timezone, field in ((None, "Mars/Olympus", "timezone"), ("a\nb", None, "name")):
        with pytest.raises(InvalidInputError) as caught:
            await node.desk.configure_clinic("acme", name, timezone)
        assert caught.value.field == field
    with pytest.raises(NotFoundError):
        await node.desk.configure_clinic("nobody", "Name")


async def test_two_who_change_a_clinic_at_once_are_both_told_how_it_is_then(node: Node) -> None:
    await node.desk.add_clinic("acme", "Acme")
    node.registry.silent = True
    both = [asyncio.create_task(node.desk.configure_clinic("acme", name)) for name in ("First", "Second")]
    await asyncio.sleep(0)
    assert node.registry.clinics["acme"].name == "Second"
    node.registry.silent = False
    node.registry.tell()
    assert [shown.name for shown in await asyncio.gather(*both)] == ["Second", "Second"]


async def test_a_clinic_that_cannot_be_opened_is_called_otherwise_and_stays_as_it_is(node: Node) -> None:
    node.store.broken.add("acme")
    await node.desk.add_clinic("acme", "Acme")
    before = await asyncio.to_thread(node.wait_clinic, "acme", ClinicState.ERROR)
    renamed = await node.desk.configure_clinic("acme", "Clínica Acme")
    assert (renamed.name, renamed.state, renamed.reason) == ("Clínica Acme", ClinicState.ERROR, before.reason)


async def test_a_clinic_cannot_be_added_twice_nor_removed_if_unknown(node: Node) -> None:
    await node.desk.add_clinic("acme", "")
    with pytest.raises(AlreadyExistsError):
        await node.desk.add_clinic("acme", "Another")
    with pytest.raises(NotFoundError):
        await node.desk.remove_clinic("beta")


async def test_a_registry_that_is_away_is_an_error(node: Node) -> None:
    node.registry.away = True
    with pytest.raises(BusUnavailableError):
        await node.desk.add_clinic("acme", "")


async def test_a_clinic_counts_its_channels_by_state_and_says_if_one_needs_attention(paired: Node) -> None:
    clinic = await paired.desk.clinic("acme")
    assert (clinic.state, clinic.channels) == (C.RUNNING, {"connected": 1})
    paired.opener.wait_port().say(port_events.Replaced())
    paired.wait_channel("acme", "a", S.ERROR)
    clinic = await paired.desk.clinic("acme")
    assert (clinic.state, clinic.channels) == (C.DEGRADED, {"error": 1})
    assert clinic.reason == "1 of 1 channels need attention"


async def test_a_clinic_whose_database_takes_nothing_is_in_error_and_its_neighbours_are_not(paired: Node) -> None:
    paired.store.ledgers["acme"].full = True
    paired.opener.wait_port().hear(message("A"))
    paired.wait_channel("acme", "a", S.ERROR)
    clinic = await paired.desk.clinic("acme")
    assert (clinic.state, clinic.reason) == (C.ERROR, "cannot store: the spool is full")
    assert (await paired.desk.add_clinic("beta", "")).state is not C.ERROR
    paired.store.ledgers["acme"].full = False
    paired.wait_channel("acme", "a", S.CONNECTED)
    assert (await paired.desk.clinic("acme")).state is C.RUNNING


async def test_a_release_is_answered_when_the_clinic_is_no_longer_shown_as_quarantined(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (desk, board), released = bare_desk(), asyncio.Event()

    async def release(*_: object) -> None:
        released.set()

    monkeypatch.setattr(switchboard.Switchboard, "release", release)
    board.put_clinic(ClinicSnapshot.of(clinic_record("acme"), C.QUARANTINED, "why"))
    answer = asyncio.create_task(desk.release_clinic("acme"))
    await released.wait()
    await asyncio.sleep(0)
    assert not answer.done()

    board.put_clinic(ClinicSnapshot.of(clinic_record("acme"), C.RUNNING, ""))

    assert (await answer).state is C.RUNNING


async def test_until_the_registry_has_been_read_nothing_is_known_to_be_missing() -> None:
    desk, board = bare_desk()
    for work in (desk.clinics, desk.channels, partial(desk.clinic, "acme"), partial(desk.channel, "acme", "a")):
        with pytest.raises(UnavailableError, match="has not read the registry yet"):
            await work()

    record = clinic_record("acme")
    board.put_wanted(Wanted(clinics={"acme": record}, channels={("acme", "a"): channel_record("acme", "a")}))

    assert await desk.clinics() == []
    assert [(shown.channel, shown.state) for shown in await desk.channels()] == [("a", S.INITIALIZING)]
    for work in (partial(desk.clinic, "acme"), partial(desk.channel, "acme", "a")):
        with pytest.raises(UnavailableError, match="is starting"):
            await work()
    for work in (partial(desk.clinic, "beta"), partial(desk.channel, "acme", "b")):
        with pytest.raises(NotFoundError):
            await work()


async def test_a_clinic_that_the_registry_wants_is_there_before_it_has_begun(
    node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(registrar, "start_child", lambda *_: None)
    node.want("acme", "a")
    node.wait_clinic("acme", C.DEGRADED)
    assert (await node.desk.clinic("acme")).reason == "opening"


async def test_a_clinic_that_is_wanted_no_more_before_it_could_begin_is_gone(
    node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks: list[object] = []
    monkeypatch.setattr(registrar, "which_children", lambda _, reply: looks.append(reply))
    node.crash(REGISTRAR)
    node.bell.wait(lambda: node.registry.watches == 2, "another watch")
    node.want("acme")
    node.wait_clinic("acme", C.DEGRADED)
    del node.registry.clinics["acme"]
    node.registry.tell()
    node.bell.wait(lambda: node.board.wanted() == node.registry.wanted, "the registry to be read")
    assert node.board.clinic("acme") is not None
    (reply,) = looks
    assert callable(reply)
    reply(Children(()))
    node.bell.wait(lambda: node.board.clinic("acme") is None, "the end of the clinic")


# -- channels --


async def test_a_channel_that_is_added_is_there_and_one_that_is_removed_is_not(paired: Node) -> None:
    added = await paired.desk.add_channel("acme", "b", "Recepção")
    assert (added.clinic, added.channel, added.name) == ("acme", "b", "Recepção")
    assert [channel.channel for channel in await paired.desk.channels("acme")] == ["a", "b"]
    assert len(await paired.desk.channels()) == 2
    paired.wait_channel("acme", "b", S.CONNECTED)
    await paired.desk.remove_channel("acme", "a")
    with pytest.raises(NotFoundError, match="channel acme/a does not exist"):
        await paired.desk.channel("acme", "a")
    assert [port.spec.channel for port in paired.opener.alive] == ["b"]


async def test_a_removed_channel_can_be_added_again_at_once(paired: Node) -> None:
    for _ in range(3):
        await paired.desk.remove_channel("acme", "a")
        assert (await paired.desk.add_channel("acme", "a")).channel == "a"
    paired.wait_channel("acme", "a", S.CONNECTED)


@pytest.mark.parametrize("id", BAD_NAMES)
async def test_an_invalid_channel_id_is_refused(paired: Node, id: str) -> None:
    with pytest.raises(InvalidIdError):
        await paired.desk.add_channel("acme", id)


async def test_a_channel_of_an_unknown_clinic_or_known_id_is_refused(paired: Node) -> None:
    with pytest.raises(NotFoundError, match="clinic beta"):
        await paired.desk.add_channel("beta", "a")
    with pytest.raises(AlreadyExistsError):
        await paired.desk.add_channel("acme", "a", "Another name")
    with pytest.raises(NotFoundError):
        await paired.desk.remove_channel("acme", "b")
    with pytest.raises(NotFoundError, match="clinic beta"):
        await paired.desk.channels("beta")


async def test_a_clinic_has_at_most_as_many_channels_as_it_may(paired: Node) -> None:
    await paired.desk.add_channel("acme", "b")
    await paired.desk.add_channel("acme", "c")
    with pytest.raises(ConflictError, match="3 channels, as many as it may"):
        await paired.desk.add_channel("acme", "d")
    await paired.desk.remove_channel("acme", "b")
    await paired.desk.add_channel("acme", "d")


async def test_channels_that_have_not_begun_count_towards_the_most(node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    node.store.broken.add("acme")
    await node.desk.add_clinic("acme", "")
    monkeypatch.setattr(switchboard, "APPEAR_TIMEOUT_S", 0.05)
    for id_ in ("a", "b", "c"):
        with pytest.raises(UnavailableError, match="not yet done"):
            await node.desk.add_channel("acme", id_)
    with pytest.raises(ConflictError, match="3 channels, as many as it may"):
        await node.desk.add_channel("acme", "d")


async def test_what_does_not_appear_in_time_is_said_to_be_under_way(
    node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    node.store.broken.add("acme")
    await node.desk.add_clinic("acme", "")
    monkeypatch.setattr(switchboard, "APPEAR_TIMEOUT_S", 0.05)
    with pytest.raises(UnavailableError, match="channel acme/a is registered, but not yet done"):
        await node.desk.add_channel("acme", "a")
    node.store.broken.clear()
    node.wait_channel("acme", "a", S.CONNECTED)


async def test_settings_of_a_channel_take_effect_and_hold_over_its_crash(paired: Node) -> None:
    shown = await paired.desk.configure("acme", "a", {"note": "x"}, "Recepção")
    assert (shown.config, shown.name, shown.state) == ({"note": "x"}, "Recepção", S.CONNECTED)
    await asyncio.to_thread(paired.crash, channel_name("acme", "a"))
    shown = await asyncio.to_thread(paired.wait_channel, "acme", "a", S.CONNECTED)
    assert (shown.config, shown.name) == ({"note": "x"}, "Recepção")
    with pytest.raises(InvalidInputError) as caught:
        await paired.desk.configure("acme", "a", {"nots": "x"})
    assert caught.value.field == "config.nots"


async def test_two_who_change_a_channel_at_once_are_both_told_how_it_is_then(paired: Node) -> None:
    paired.registry.silent = True
    both = [asyncio.create_task(paired.desk.configure("acme", "a", {"note": note})) for note in ("x", "y")]
    await asyncio.sleep(0)
    assert paired.registry.channels["acme", "a"].config == {"note": "y"}
    paired.registry.silent = False
    paired.registry.tell()
    assert [shown.config for shown in await asyncio.gather(*both)] == [{"note": "y"}] * 2


# -- requests --


async def test_requests_reach_the_channel(paired: Node) -> None:
    desk = paired.desk
    assert (await desk.disconnect("acme", "a")).state is S.DISCONNECTED
    assert (await desk.connect("acme", "a")).state is S.INITIALIZING
    paired.wait_channel("acme", "a", S.CONNECTED)
    assert (await desk.logout("acme", "a")).state is S.LOGGED_OUT
    paired.opener.first_words = [CODE]
    assert isinstance(await desk.pair("acme", "a", None), QrCode)
    assert (await desk.qr("acme", "a")).code == "code-1"
    code = await desk.pair("acme", "a", "+5511988887777")
    assert isinstance(code, PairingCode)
    assert code.phone == "5511988887777"


@pytest.mark.parametrize("verb", ["connect", "disconnect", "suspend", "resume", "logout", "qr"])
async def test_a_request_to_an_unknown_channel_is_not_found(paired: Node, verb: str) -> None:
    for clinic, channel in (("acme", "b"), ("beta", "a")):
        with pytest.raises(NotFoundError, match=f"channel {clinic}/{channel}"):
            await getattr(paired.desk, verb)(clinic, channel)
        with pytest.raises(NotFoundError):
            await paired.desk.pair(clinic, channel, None)


async def test_what_an_operator_asks_for_is_remembered_in_the_registry(paired: Node) -> None:
    desk, key = paired.desk, ("acme", "a")
    for ask, wanted, state in (
        (desk.suspend, WantedState.SUSPENDED, S.SUSPENDED),
        (desk.resume, WantedState.CONNECTED, S.INITIALIZING),
        (desk.disconnect, WantedState.DISCONNECTED, S.DISCONNECTED),
        (desk.connect, WantedState.CONNECTED, S.INITIALIZING),
    ):
        shown = await ask(*key)
        assert (shown.state, shown.wanted, paired.registry.channels[key].wanted) == (state, wanted, wanted)
    await desk.disconnect(*key)
    paired.opener.first_words = [CODE]
    await desk.pair(*key, None)
    assert paired.registry.channels[key].wanted is WantedState.CONNECTED


async def test_a_channel_at_rest_for_another_reason_cannot_be_resumed(paired: Node) -> None:
    await paired.desk.disconnect("acme", "a")
    with pytest.raises(ConflictError, match="is disconnected, not suspended; connect it instead"):
        await paired.desk.resume("acme", "a")
    assert paired.registry.channels["acme", "a"].wanted is WantedState.DISCONNECTED


async def test_while_nats_is_away_a_channel_can_be_stopped_but_not_remembered(paired: Node) -> None:
    paired.registry.away = True
    with pytest.raises(UnavailableError, match="done, but a restart of the node would not have channel acme/a susp"):
        await paired.desk.suspend("acme", "a")
    paired.wait_channel("acme", "a", S.SUSPENDED)


async def test_there_is_no_code_where_none_is_shown(paired: Node) -> None:
    with pytest.raises(NotFoundError, match="QR code"):
        await paired.desk.qr("acme", "a")
    with pytest.raises(ConflictError, match="paired already"):
        await paired.desk.pair("acme", "a", None)


@pytest.mark.parametrize("phone", ["12", "nobody", "1@lid", "123-456@g.us", ""])
async def test_a_phone_that_is_none_is_refused_by_its_field(paired: Node, phone: str) -> None:
    with pytest.raises(InvalidAddressError) as caught:
        await paired.desk.pair("acme", "a", phone)
    assert caught.value.field == "phone"


async def test_a_channel_that_does_not_answer_in_time_is_unavailable(
    paired: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(channel_desk, "LOGOUT_TIMEOUT_S", 0.05)
    paired.opener.wait_port().answer = silent
    with pytest.raises(UnavailableError, match=r"channel acme/a: no answer within 0\.05 s"):
        await paired.desk.logout("acme", "a")


async def test_a_channel_that_is_between_two_lives_is_unavailable(paired: Node) -> None:
    name = "clinic/acme/channel/a"
    ref = paired.names.whereis(name)
    assert ref is not None
    paired.names.unregister(name, ref)
    with pytest.raises(UnavailableError, match="is starting; try again"):
        await paired.desk.connect("acme", "a")


# -- sending --


async def test_a_command_is_queued_as_any_service_would(paired: Node) -> None:
    headers = {HEADER_CORRELATION: "visit-7"}
    assert await paired.desk.send("acme", "a", Priority.HIGH, body_of(id="1"), headers) == "1"
    result = await asyncio.to_thread(paired.bus.of("acme").wait_result, "1")
    assert result.status == "sent"
    assert [one.headers for one in paired.bus.of("acme").published if one.event == result] == [headers]


@pytest.mark.parametrize(
    ("body", "error", "field"),
    [
        (b"nonsense", InvalidBodyError, "body"),
        (body_of(id="1", to="12"), InvalidAddressError, "to"),
        (body_of(id="1", type="poll"), InvalidInputError, "body"),
    ],
)
async def test_a_command_that_cannot_be_sent_is_refused_and_not_queued(
    paired: Node, body: bytes, error: type[InvalidInputError], field: str
) -> None:
    with pytest.raises(error) as caught:
        await paired.desk.send("acme", "a", Priority.NORMAL, body, {})
    assert caught.value.field == field
    assert paired.bus.of("acme").acked == []


async def test_a_command_to_an_unknown_channel_is_not_queued(paired: Node) -> None:
    with pytest.raises(NotFoundError):
        await paired.desk.send("acme", "b", Priority.NORMAL, body_of(id="1"), {})


async def test_a_command_while_nats_is_away_is_refused(paired: Node) -> None:
    paired.bus.of("acme").away = True
    with pytest.raises(BusUnavailableError):
        await paired.desk.send("acme", "a", Priority.NORMAL, body_of(id="1"), {})
