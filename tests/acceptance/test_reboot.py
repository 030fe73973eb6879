"""The machine is started anew: what was in memory is gone, and channels come back from what is kept on the disk."""

import asyncio
import shutil
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

import pytest

from supervisor.pidfd import Pidfd
from tests.acceptance.node import END_TIMEOUT, Listener, Node
from tests.acceptance.phones import Phones
from tests.emulator.client import EmulatorProcess

PHONE = "5511999990001"
ANA, BIA = "5511988880001", "5511988880002"
FRONT = ("acme", "reception")


@pytest.fixture
def tables() -> dict[str, Any]:
    """What goes in or out is kept at once."""
    return {"vault": {"interval": 0.2}}


@pytest.fixture
async def paired(phones: Phones) -> None:
    """``acme/reception``, connected."""
    await phones.pair("acme", ("reception", PHONE))


def text(id: str, to: str = ANA) -> dict[str, Any]:
    """A command that says its id."""
    return {"v": 1, "id": id, "to": to, "type": "text", "text": id}


async def both_ways(service: Listener, emulator: EmulatorProcess, when: str) -> None:
    """A message to each of two people, and one from each."""
    for person in (ANA, BIA):
        await service.send(*FRONT, text(f"{when}-to-{person}", person))
        await service.until("result", id=f"{when}-to-{person}", status="sent")
        await emulator.send_text(person, PHONE, f"{when} from {person}")
        await service.until("message", text=f"{when} from {person}")


async def got(emulator: EmulatorProcess, contact: str) -> list[str]:
    """What a contact has, and could read."""
    return [item.text for item in await emulator.inbox(contact)]


async def until_got(emulator: EmulatorProcess, contact: str, expected: list[str]) -> None:
    """A contact that cannot read a message asks for it again: it may take a moment."""
    with suppress(TimeoutError):
        async with asyncio.timeout(END_TIMEOUT):
            while await got(emulator, contact) != expected:  # noqa: ASYNC110 - not an event
                await asyncio.sleep(0.1)
    assert await got(emulator, contact) == expected


async def kept(node: Node, service: Listener) -> None:
    """A message was sent, and the session store sealed afterwards."""
    since = datetime.now(UTC)
    await service.send(*FRONT, text("kept"))
    await service.until("result", id="kept", status="sent")

    def sealed(shown: Any) -> bool:
        at = shown["sealed_at"]
        return at is not None and datetime.fromisoformat(at) > since

    await node.once("/api/v1/clinics/acme/channels/reception", sealed)


async def went_down(node: Node, service: Listener, *, killed: bool) -> None:
    """The node ends, by force or in order; then all that was in memory is gone."""
    port = node.port_pid(*FRONT)
    await service.stop()
    await node.close_http()
    if killed:
        with suppress(ProcessLookupError), Pidfd(port) as process:
            await asyncio.to_thread(node.kill)
            await process.end(ask=None, patience=0.0)
    else:
        assert await asyncio.to_thread(node.stop) == 0
    await asyncio.to_thread(shutil.rmtree, node.runtime)


@pytest.mark.usefixtures("paired")
@pytest.mark.parametrize("killed", [False, True], ids=["sigterm", "sigkill"])
async def test_a_channel_comes_back_after_a_reboot_without_a_code_and_messages_go_both_ways(
    node: Node, service: Listener, emulator: EmulatorProcess, killed: bool
) -> None:
    await both_ways(service, emulator, "before")
    await kept(node, service)
    await service.send(*FRONT, text("last"))  # a kill loses the ratchet's step for it
    await service.until("result", id="last", status="sent")
    codes = len(service.seen("qr"))
    await went_down(node, service, killed=killed)
    await emulator.send_text(BIA, PHONE, "while it was down")
    async with node, await node.listen() as again:
        await again.until("message", text="while it was down")
        where = f"/api/v1/clinics/{FRONT[0]}/channels/{FRONT[1]}"
        shown = await node.once(where, lambda found: found["state"] == "connected")  # said after what it received
        assert shown["restored"] == ("stale" if killed else "clean")
        await both_ways(again, emulator, "after")
        await until_got(emulator, ANA, [f"before-to-{ANA}", "kept", "last", f"after-to-{ANA}"])
        await until_got(emulator, BIA, [f"before-to-{BIA}", f"after-to-{BIA}"])
        assert len(again.seen("qr")) == codes
        results = [result["id"] for result in again.seen("result")]
        assert len(results) == len(set(results)) == 6
    stats = await emulator.stats()
    assert stats.key_reuse == []


@pytest.mark.usefixtures("paired")
async def test_a_channel_comes_back_again_and_again(node: Node, service: Listener, emulator: EmulatorProcess) -> None:
    await both_ways(service, emulator, "before")
    await went_down(node, service, killed=False)
    for reboot in ("first", "second"):
        await asyncio.to_thread(node.start)
        await node.open_http()
        again = await node.listen()
        await both_ways(again, emulator, reboot)
        assert len(again.seen("qr")) == 1
        await went_down(node, again, killed=reboot == "first")
    expected = [f"{when}-to-{ANA}" for when in ("before", "first", "second")]
    assert await got(emulator, ANA) == expected
