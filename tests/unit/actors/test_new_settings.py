"""Settings and a clinic's timezone that change while its channels run, and hold at once."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import pytest

from actors.channel.pacing import PacingPolicy
from actors.channel.surroundings import ChannelPolicy
from actors.places import channel_name, reconciler_name
from actors.reconciler import Look
from protocol.channel import ChannelState
from supervisor.actor import tell
from tests.fakes.memory_bus import body_of
from tests.fakes.scripted_port import UP
from tests.unit.actors.channel.home import POLICY
from tests.unit.actors.node import Node
from tests.unit.actors.node import node as make_node

S = ChannelState


@pytest.fixture
async def node(tmp_path: Path) -> AsyncIterator[Node]:
    with make_node(tmp_path) as place:
        place.opener.first_words = [UP]
        yield place


def paced(**pacing: object) -> ChannelPolicy:
    """Otherwise as in all tests."""
    return replace(POLICY, sending=replace(POLICY.sending, pacing=PacingPolicy(**pacing)))  # type: ignore[arg-type]


def quiet_now(zone: str = "UTC") -> ChannelPolicy:
    """Quiet hours, by the clock of UTC, an hour ago and for another one."""
    now = datetime.now(UTC)
    hours = {"quiet_from": now - timedelta(hours=1), "quiet_until": now + timedelta(hours=1)}
    return paced(zone=zone, **{name: at.time().replace(second=0, microsecond=0) for name, at in hours.items()})


async def connected(node: Node, timezone: str = "UTC") -> None:
    """``acme/a``, of a clinic by that clock."""
    node.want("acme", "a")
    node.registry.clinics["acme"] = msgspec.structs.replace(node.registry.clinics["acme"], timezone=timezone)
    await asyncio.to_thread(node.start)
    await asyncio.to_thread(node.wait_channel, "acme", "a", S.CONNECTED)
    await node.at_rest("acme", "a")


def send(node: Node, id: str) -> None:
    """To somebody else for each id."""
    node.bus.of("acme").put("a", body_of(id=id, to=f"55119000000{id}"))


async def test_channels_that_run_live_by_settings_that_are_new(node: Node) -> None:
    node.policies.current = paced(burst=1, per_minute=0.01, warm_up=())
    await connected(node)
    for id_ in ("01", "02"):
        send(node, id_)
    await asyncio.to_thread(node.bus.of("acme").wait_result, "01")
    assert [result.id for result in node.bus.of("acme").results()] == ["01"]

    node.policies.current = paced(burst=5, per_minute=1000.0, warm_up=())
    reconciler = node.names.whereis(reconciler_name("acme"))
    assert reconciler is not None
    tell(reconciler, Look())

    assert (await asyncio.to_thread(node.bus.of("acme").wait_result, "02")).status == "sent"


async def test_a_channel_that_crashed_begins_with_settings_that_are_new(node: Node) -> None:
    node.policies.current = quiet_now()
    await connected(node)
    send(node, "01")
    await asyncio.to_thread(node.bell.wait, lambda: node.store.ledgers["acme"].entries, "the command to be taken")
    node.policies.current = POLICY

    await asyncio.to_thread(node.crash, channel_name("acme", "a"))

    assert (await asyncio.to_thread(node.bus.of("acme").wait_result, "01")).status == "sent"


async def test_quiet_hours_go_by_the_timezone_that_the_clinic_has_by_now(node: Node) -> None:
    node.policies.current = quiet_now()
    await connected(node)
    send(node, "01")
    await asyncio.to_thread(node.bell.wait, lambda: node.store.ledgers["acme"].entries, "the command to be taken")
    assert node.bus.of("acme").results() == []

    node.registry.clinics["acme"] = msgspec.structs.replace(node.registry.clinics["acme"], timezone="Asia/Tokyo")
    node.registry.tell()

    assert (await asyncio.to_thread(node.bus.of("acme").wait_result, "01")).status == "sent"
