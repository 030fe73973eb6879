"""NATS away: sessions stay up, what was accepted is sent, what comes in waits; afterwards all of it is told once."""

import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from supervisor.heartbeat import Heartbeat
from tests.acceptance.node import Listener, Node, children
from tests.acceptance.phones import Phones
from tests.broker import embedded, hand_out
from tests.emulator.client import EmulatorProcess

PHONE, ANA, BIA, EVA = "5511900000001", "5511888000001", "5511888000002", "5511888000003"
FRONT = ("acme", "reception")
PATIENT = Heartbeat(every=60.0, silence=600.0)
"""Nobody kills the server that the test has stopped."""
COMMANDS = [f"c{number}" for number in range(6)]
LETTERS = [f"n{number}" for number in range(40)]
ONE_ACK_S = 8.0
"""For so long the first command is in flight, and the others of its chat wait behind it."""


class Away:
    """A NATS server outside the node, which can be frozen, or killed and started again on the same port."""

    def __init__(self, directory: Path) -> None:
        self.broker = embedded(directory, heartbeat=PATIENT)
        self._pid = 0

    async def start(self) -> None:
        before = children(os.getpid())
        await self.broker.start()
        [self._pid] = children(os.getpid()) - before

    async def go(self, how: str) -> None:
        """It answers nobody any more."""
        if how == "frozen":
            os.kill(self._pid, signal.SIGSTOP)
            return
        os.kill(self._pid, signal.SIGKILL)
        await self.broker.wait()

    async def come_back(self, how: str) -> None:
        """It is there again."""
        if how == "frozen":
            os.kill(self._pid, signal.SIGCONT)
        else:
            await self.start()


@pytest.fixture
async def away(tmp_path: Path) -> AsyncIterator[Away]:
    """Running; with the account of one clinic."""
    server = Away(tmp_path / "nats")
    await server.start()
    try:
        await server.broker.ensure_account("acme")
        yield server
    finally:
        await server.broker.stop(timeout=10)


@pytest.fixture
def limits() -> dict[str, Any]:
    """The defaults."""
    return {}


@pytest.fixture
def tables(tmp_path: Path, away: Away, limits: dict[str, Any]) -> dict[str, Any]:
    """On that server; most of what waits for it has no room in memory."""
    accounts = str(hand_out(tmp_path / "nats"))
    return {
        "nats": {"url": away.broker.server, "accounts_file": accounts},
        "inbox": {"in_memory": 16},
        "limits": limits,
    }


@pytest.mark.parametrize("how", ["frozen", "killed"])
async def test_sessions_outlive_nats_and_it_is_told_everything_once_when_it_is_back(
    away: Away, node: Node, service: Listener, phones: Phones, emulator: EmulatorProcess, how: str
) -> None:
    await phones.pair("acme", ("reception", PHONE))
    await emulator.send_text(BIA, PHONE, "before")
    await service.until("message", text="before")
    late = await emulator.fault("late_ack", phone=PHONE, seconds=ONE_ACK_S, count=1)
    for each in COMMANDS:
        await service.send(*FRONT, {"v": 1, "id": each, "to": ANA, "type": "text", "text": each})
    messages = f"/api/v1/clinics/{FRONT[0]}/channels/{FRONT[1]}/messages"
    await node.once(messages, lambda found: len(found["items"]) == len(COMMANDS))

    await away.go(how)
    await emulator.clear(late)
    await emulator.burst([BIA, EVA], PHONE, len(LETTERS), "n{n}")
    await emulator.wait_for_message(ANA, text=COMMANDS[-1], timeout=30.0)
    sent = await node.once(messages + "?state=sent", lambda found: len(found["items"]) == len(COMMANDS))
    assert {command["attempts"] for command in sent["items"]} == {1}
    await node.once(f"/api/v1/clinics/{FRONT[0]}/stats", lambda found: found["channels"][0]["spooled"] >= len(LETTERS))
    assert (await node.channel(*FRONT))["state"] == "connected"
    assert service.seen("result") == []
    await away.come_back(how)

    for each in COMMANDS:
        await service.until("result", id=each, status="sent", timeout=60.0)
    await service.until("message", text=LETTERS[-1], timeout=60.0)
    await service.send(*FRONT, {"v": 1, "id": "after", "to": ANA, "type": "text", "text": "after"})
    await service.until("result", id="after", status="sent")
    await emulator.send_text(BIA, PHONE, "after")
    await service.until("message", text="after")
    assert [event["id"] for event in service.seen("result")] == [*COMMANDS, "after"]
    assert [item.text for item in await emulator.inbox(ANA)] == [*COMMANDS, "after"]
    assert [event["text"] for event in service.seen("message")] == ["before", *LETTERS, "after"]
    assert not any(event["backlog"] for event in service.seen("message"))
    assert {event["state"] for event in service.seen("state")} == {"qr_required", "pairing", "connected"}
    for each in COMMANDS[1:]:  # the first one's receipt came long before it was known to be sent
        await service.until("receipt", id=each, type="delivered")


@pytest.mark.parametrize("limits", [{"spool_bytes": 4096}], ids=["4 KiB"])
async def test_a_full_spool_closes_the_socket_and_whatsapp_keeps_the_rest(
    away: Away, node: Node, service: Listener, phones: Phones, emulator: EmulatorProcess
) -> None:
    await phones.pair("acme", ("reception", PHONE))
    await emulator.send_text(BIA, PHONE, "before")
    await service.until("message", text="before")
    after = await emulator.last_event()

    await away.go("frozen")
    await emulator.burst([BIA, EVA], PHONE, 1, "n{n}")
    await node.once(f"/api/v1/clinics/{FRONT[0]}/stats", lambda found: found["channels"][0]["spooled"] == 1)
    await emulator.burst([EVA, BIA], PHONE, len(LETTERS) - 1, "n{n}", first=1)
    await emulator.wait_for("offline", PHONE, after=after)
    shown = await node.once(f"/api/v1/clinics/{FRONT[0]}/channels/{FRONT[1]}", lambda it: it["state"] == "error")
    assert "the spool is full (4096 bytes)" in shown["reason"]
    kept = await emulator.burst([BIA, EVA], PHONE, len(LETTERS), "n{n}", first=len(LETTERS))
    await away.come_back("frozen")

    await service.until("state", state="connected", count=2, timeout=60.0)
    await service.until("message", wa_id=kept[-1], timeout=60.0)
    await emulator.send_text(BIA, PHONE, "after")
    await service.until("message", text="after")
    texts = ["before", *(f"n{number}" for number in range(2 * len(LETTERS))), "after"]
    assert sorted(event["text"] for event in service.seen("message")) == sorted(texts)
    for person in (ANA, BIA):
        theirs = [event["text"] for event in service.seen("message", from_phone=person)]
        assert theirs == [text for text in texts if text in theirs]
