"""What becomes of clinics and channels is counted by their roles, and shown in the live tree."""

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from actors.account import Account
from protocol.channel import ChannelState, ClinicState
from supervisor.api import Phase
from supervisor.snapshot import Node as TreeNode
from supervisor.snapshot import tree
from supervisor.tally import Ending, Role, Tally
from tests.fakes.scripted_port import UP
from tests.unit.actors.node import Node
from tests.unit.actors.node import node as make_node

S, C = ChannelState, ClinicState


@pytest.fixture
async def node(tmp_path: Path) -> AsyncIterator[Node]:
    with make_node(tmp_path) as place:
        place.opener.first_words = [UP]
        place.supervision = replace(place.supervision, tally=Tally())
        yield place


def at(node: Node, *path: str) -> TreeNode:
    """A node of the live tree."""
    assert node.root is not None
    here = tree(node.root)
    for step in path:
        here = next(child for child in here.children if child.id == step)
    return here


async def test_everything_in_a_clinic_has_a_role_of_that_clinic(node: Node) -> None:
    node.want("acme", "a")
    node.start()
    node.wait_channel("acme", "a", S.CONNECTED)
    clinic = at(node, "clinics", "acme")

    assert clinic.role == Role("clinic", "acme")
    assert [child.role for child in clinic.children] == [
        Role("account", "acme"),
        Role("channels", "acme"),
        Role("reconciler", "acme"),
    ]
    channel = at(node, "clinics", "acme", "channels", "a")
    assert (channel.role, channel.phase) == (Role("channel", "acme"), Phase.UP)
    assert all(totals.starts == 1 for role, totals in node.supervision.tally.read().items() if role.group)


async def test_a_clinic_on_its_way_into_quarantine_is_counted_and_one_that_is_released_answers_as_it_is_then(
    node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    failing, initialize = {"acme"}, Account.initialize

    def begin(account: Account) -> bool:
        if account._clinic in failing:
            raise ValueError("a fault of ours")
        return initialize(account)

    monkeypatch.setattr(Account, "initialize", begin)
    node.want("acme", "a")
    node.start()
    node.wait_clinic("acme", C.QUARANTINED)

    parked = at(node, "clinics", "acme")
    assert (parked.phase, parked.role, parked.children) == (Phase.QUARANTINED, Role("clinic", "acme"), ())
    totals = node.supervision.tally.read()
    assert totals[Role("clinic", "acme")].restarts == 3
    assert totals[Role("account", "acme")].exits == {Ending.CRASH: 4}

    failing.clear()
    released = await node.desk.release_clinic("acme")

    assert (released.state, released.reason) == (C.RUNNING, "")
    node.wait_channel("acme", "a", S.CONNECTED)
