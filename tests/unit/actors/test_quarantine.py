"""What fails again and again is parked, shown and let out again; what hangs is replaced. Nobody else notices."""

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from actors.account import Account
from actors.channel.actor import Channel
from actors.places import REGISTRAR, channel_name, channels_name
from actors.switchboard import Switchboard
from config.tree import Supervision
from protocol.channel import ChannelSnapshot, ChannelState, ClinicState, WantedState
from protocol.errors import ConflictError, UnavailableError
from protocol.events import StateEvent
from supervisor.actor import Call, kill, of, tell
from supervisor.client import restart_child
from supervisor.shell import Supervisor
from supervisor.spec import Quarantine, Stagger
from tests.fakes.parent import PATIENCE_S, until
from tests.fakes.scripted_port import UP
from tests.unit.actors.node import Node
from tests.unit.actors.node import node as make_node

S, C = ChannelState, ClinicState


class SickError(Exception):
    """Why it fails at every start."""


def untouched(node: Node, before: ChannelSnapshot) -> bool:
    """Whether a channel is as it was: that it is sealed, some seconds after it began, is its own affair."""
    now = node.board.channel(before.clinic, before.channel)
    return now is not None and replace(now, sealed_at=before.sealed_at) == before


@pytest.fixture
def node(tmp_path: Path) -> Iterator[Node]:
    with make_node(tmp_path) as place:
        place.opener.first_words = [UP]
        yield place


@pytest.fixture
def sick(monkeypatch: pytest.MonkeyPatch) -> Iterator[set[str]]:
    """The clinics and channels (``clinic/channel``) that fail at their start."""
    names: set[str] = set()

    def failing(initialize: Callable[[Any], bool], name: Callable[[Any], str]) -> Callable[[Any], bool]:
        def begin(actor: Any) -> bool:
            if name(actor) in names:
                raise SickError("out of order")
            return initialize(actor)

        return begin

    monkeypatch.setattr(Account, "initialize", failing(Account.initialize, lambda account: account._clinic))
    monkeypatch.setattr(Channel, "initialize", failing(Channel.initialize, lambda channel: channel._name))
    yield names
    names.clear()


def test_a_clinic_that_fails_at_every_start_is_quarantined_and_nobody_else_notices(node: Node, sick: set[str]) -> None:
    sick.add("bad")
    node.want("good", "a")
    node.start()
    before = node.wait_channel("good", "a", S.CONNECTED)
    node.want("bad", "a")
    shown = node.wait_clinic("bad", C.QUARANTINED)
    assert "quarantined after" in shown.reason
    assert "SickError: out of order" in shown.reason
    assert untouched(node, before)
    assert node.board.clinic("good") is not None
    assert node.root is not None
    assert node.root.is_alive()


async def test_a_quarantined_clinic_is_released_by_an_operator(node: Node, sick: set[str]) -> None:
    sick.add("bad")
    node.want("bad", "a")
    node.start()
    node.wait_clinic("bad", C.QUARANTINED)
    with pytest.raises(ConflictError, match="fails at its start"):
        await node.desk.release_clinic("bad")
    node.bell.wait(lambda: node.quarantined("bad"), "bad is parked again")
    sick.clear()
    await node.desk.release_clinic("bad")
    node.wait_channel("bad", "a", S.CONNECTED)
    node.wait_clinic("bad", C.RUNNING)
    with pytest.raises(ConflictError, match="only a quarantined one"):
        await node.desk.release_clinic("bad")


def test_a_quarantined_clinic_is_released_by_time(node: Node, sick: set[str]) -> None:
    node.supervision = Supervision(
        hang_s=5.0, quarantine=Quarantine(restarts=2, period_s=60.0, release_s=0.05), stagger=Stagger(at_once=4)
    )
    sick.add("bad")
    node.want("bad", "a")
    node.start()
    node.wait_clinic("bad", C.QUARANTINED)
    sick.clear()
    node.wait_channel("bad", "a", S.CONNECTED)


async def test_a_channel_that_fails_at_every_start_is_in_error_and_is_let_out_by_connect(
    node: Node, sick: set[str]
) -> None:
    sick.add("acme/bad")
    node.want("acme", "bad", "good")
    node.start()
    before = node.wait_channel("acme", "good", S.CONNECTED)
    shown = node.wait_channel("acme", "bad", S.ERROR)
    assert "quarantined after" in shown.reason
    node.bell.wait(lambda: _published(node, "bad", S.ERROR), "the state to be published")
    assert untouched(node, before)
    sick.clear()
    await node.desk.connect("acme", "bad")
    node.wait_channel("acme", "bad", S.CONNECTED)


async def test_what_an_operator_asks_of_a_quarantined_channel_is_so_when_it_comes_out(
    node: Node, sick: set[str]
) -> None:
    sick.add("acme/bad")
    node.want("acme", "bad")
    node.start()
    node.wait_channel("acme", "bad", S.ERROR)
    shown = await node.desk.suspend("acme", "bad")
    assert (shown.state, shown.wanted) == (S.ERROR, WantedState.SUSPENDED)
    remembered = [node.registry.channels["acme", "bad"].wanted]
    sick.clear()
    assert (await node.desk.connect("acme", "bad")).wanted is WantedState.CONNECTED
    node.wait_channel("acme", "bad", S.CONNECTED)
    remembered.append(node.registry.channels["acme", "bad"].wanted)
    assert remembered == [WantedState.SUSPENDED, WantedState.CONNECTED]


def test_a_channel_that_is_let_out_while_it_is_being_removed_is_removed_all_the_same(
    node: Node, sick: set[str]
) -> None:
    sick.add("acme/bad")
    node.want("acme", "bad")
    node.start()
    node.wait_channel("acme", "bad", S.ERROR)
    sick.clear()
    channels = node.names.whereis(channels_name("acme"))
    assert channels is not None
    go_on = threading.Event()

    def hold(_answer: object) -> None:
        go_on.wait()

    tell(channels, Call("what it does not answer", hold))
    del node.registry.channels["acme", "bad"]
    node.registry.tell()
    until(lambda: of(channels).depth == 1)  # the request to stop it
    let_out = threading.Event()
    restart_child(channels, "bad", lambda _: let_out.set())
    go_on.set()
    assert let_out.wait(PATIENCE_S)
    supervisor = of(channels)
    assert isinstance(supervisor, Supervisor)
    until(lambda: not supervisor.children())
    node.bell.wait(lambda: not node.opener.alive, "the end of its port")
    until(lambda: node.board.channel("acme", "bad") is None)


def test_nothing_of_a_removed_clinic_stays_open_though_its_account_cannot_close_it(
    node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    node.want("acme", "a")
    node.start()
    node.wait_channel("acme", "a", S.CONNECTED)
    monkeypatch.setattr(Account, "shut_down", lambda account, reason: account.exit(reason))
    node.registry.clinics.clear()
    node.registry.channels.clear()
    node.registry.tell()
    node.bell.wait(lambda: (node.bus.opened, node.store.opened) == (set(), set()), "the clinic to be closed")


async def test_a_quarantined_channel_can_be_removed(node: Node, sick: set[str]) -> None:
    sick.add("acme/bad")
    node.want("acme", "bad")
    node.start()
    node.wait_channel("acme", "bad", S.ERROR)
    await node.desk.remove_channel("acme", "bad")
    with pytest.raises(UnavailableError):
        await Switchboard(node.board, node.names).release("clinic/acme/channels", "bad", "channel acme/bad")


def test_a_channel_that_hangs_is_replaced_and_its_port_killed(node: Node) -> None:
    node.supervision = Supervision(
        hang_s=2.0, quarantine=Quarantine(restarts=5, period_s=60.0), stagger=Stagger(at_once=4)
    )
    node.want("acme", "a", "b")
    node.start()
    node.wait_channel("acme", "a", S.CONNECTED)
    before = node.wait_channel("acme", "b", S.CONNECTED)
    hung = node.names.whereis(channel_name("acme", "a"))
    assert hung is not None
    port = next(port for port in node.opener.ports if port.spec.channel == "a")
    let_go = threading.Event()

    def hang(_answer: object) -> None:
        let_go.wait()

    try:
        tell(hung, Call("what it does not answer", hang))
        assert port.wait_ended().reason == "its channel hung"
        node.bell.wait(lambda: node.names.whereis(channel_name("acme", "a")) not in (None, hung), "another channel")
        node.wait_channel("acme", "a", S.CONNECTED)
        assert untouched(node, before)
    finally:
        let_go.set()


def test_a_registrar_that_hung_watches_no_more(node: Node) -> None:
    node.want("acme", "a")
    node.start()
    before = node.wait_channel("acme", "a", S.CONNECTED)
    hung = node.names.whereis(REGISTRAR)
    assert hung is not None
    hangs, let_go = threading.Event(), threading.Event()

    def hang(_: object) -> None:
        hangs.set()
        let_go.wait()

    try:
        tell(hung, Call("what it does not answer", hang))
        hangs.wait()
        kill(hung, "it hung")
        node.bell.wait(lambda: (node.registry.watches, node.registry.watching) == (2, 1), "one watch, another's")
        assert untouched(node, before)
    finally:
        let_go.set()


def _published(node: Node, channel: str, state: ChannelState) -> bool:
    events = [publication.event for publication in node.bus.of("acme").published if publication.channel == channel]
    return any(isinstance(event, StateEvent) and event.state is state for event in events)
