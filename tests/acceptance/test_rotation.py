"""Both keys are exchanged in a running node: nobody notices, and after a reboot the new ones are enough and needed."""

import asyncio
import json
import secrets
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance.node import Listener, Node, NodeError, settings
from tests.acceptance.phones import Phones
from tests.acceptance.test_reboot import ANA, FRONT, PHONE, both_ways, text, until_got, went_down
from tests.emulator.client import EmulatorProcess

OLD, NEW = "old.key", "new.key"


@pytest.fixture
def tables(tmp_path: Path) -> dict[str, Any]:
    """A node with a master key from a file, and the next one in another."""
    for name in (OLD, NEW):
        (tmp_path / name).write_text(secrets.token_hex(32))
    keys = {"master_file": str(tmp_path / OLD), "next_master_file": str(tmp_path / NEW)}
    return {"keys": keys, "vault": {"interval": 0.2}}


def with_keys(node: Node, emulator: EmulatorProcess, **keys: str) -> Node:
    """The same node, with these settings of its keys."""
    places = {name: str(node.directory.parent / file) for name, file in keys.items()}
    return Node(node.directory, settings(emulator.ready, {"keys": places, "vault": {"interval": 0.2}}))


async def sending(service: Listener, enough: asyncio.Event) -> int:
    """Sends one after another until there are enough; how many were."""
    sent = 0
    while not enough.is_set():
        await service.send(*FRONT, text(f"during-{sent}"))
        await service.until("result", id=f"during-{sent}", status="sent")
        sent += 1
    return sent


async def test_keys_are_exchanged_while_messages_flow_and_no_pairing_is_lost(
    node: Node, phones: Phones, service: Listener, emulator: EmulatorProcess
) -> None:
    await phones.pair("acme", ("reception", PHONE))
    await both_ways(service, emulator, "before")
    states, port = len(service.seen("state")), node.port_pid(*FRONT)
    enough = asyncio.Event()
    flow = asyncio.create_task(sending(service, enough))
    await service.until("result", id="during-0", status="sent")

    assert "2 keys are wrapped by the next master key" in await node.cli("rotate", "master")
    for _ in range(2):
        rotated = json.loads(await node.cli("rotate", "clinic", "acme", "--json"))
        assert (rotated["state"], rotated["result"]["channels"]) == ("done", 1)

    enough.set()
    sent = await flow
    assert (len(service.seen("state")), node.port_pid(*FRONT)) == (states, port), "the session was dropped"
    assert "is the present one" in await node.cli("rotate", "master", code=1)
    await went_down(node, service, killed=False)
    with pytest.raises(NodeError, match=r"sealed with another master key .*: set the one it was sealed with"):
        await asyncio.to_thread(with_keys(node, emulator, master_file=OLD).start)

    async with with_keys(node, emulator, master_file=NEW) as alone, await alone.listen() as again:
        await both_ways(again, emulator, "after")
        assert (await alone.channel(*FRONT))["restored"] == "clean"
        assert len(again.seen("qr")) == 1
        expected = [f"before-to-{ANA}", *(f"during-{number}" for number in range(sent)), f"after-to-{ANA}"]
        assert "no next master key is given: set keys.next_master" in await alone.cli("rotate", "master", code=1)
        await until_got(emulator, ANA, expected)
    assert (await emulator.stats()).key_reuse == []
