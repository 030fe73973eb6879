"""The example clients of ``deploy/examples`` do what they say, as anyone would run them."""

import asyncio
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from nats.aio.client import Client

from tests.acceptance.node import Listener, Node
from tests.acceptance.phones import Phones
from tests.documents import nats_cli, npm
from tests.documents.terminal import Terminal, lines
from tests.emulator.client import EmulatorProcess

EXAMPLES = Path(__file__).parents[2] / "deploy" / "examples"
PHONE, ANA, BIA, EVA, NOBODY = "5511900000001", "5511888000001", "5511888000002", "5511888000003", "5511888000009"
FRONT = ("acme", "reception")
END_TIMEOUT_S = 60.0

pytestmark = pytest.mark.usefixtures("paired")


@pytest.fixture
async def paired(phones: Phones) -> None:
    """``acme/reception``, connected."""
    await phones.pair("acme", ("reception", PHONE))


@pytest.fixture
async def login(node: Node) -> dict[str, str]:
    """The environment of a service of the clinic alone, as ``plantao key nats issue`` tells it."""
    made = await node.request("POST", "/api/v1/clinics/acme/nats", {"name": "example"})
    return {"NATS_URL": made["url"], "NATS_INBOX_PREFIX": made["inbox_prefix"]}


@asynccontextmanager
async def running(arguments: Sequence[str | Path], env: Mapping[str, str]) -> AsyncIterator[None]:
    """It runs; SIGTERM must end it with exit code 0."""
    process = await asyncio.create_subprocess_exec(*map(str, arguments), env={**os.environ, **env})
    try:
        yield
    finally:
        if process.returncode is None:
            process.send_signal(signal.SIGTERM)
        assert await asyncio.wait_for(process.wait(), END_TIMEOUT_S) == 0


async def finished(arguments: Sequence[str | Path], env: Mapping[str, str], cwd: Path) -> tuple[int, list[Any]]:
    """Run it to its end: the exit code, and the JSON lines that it printed."""
    process = await asyncio.create_subprocess_exec(
        *map(str, arguments), env={**os.environ, **env}, cwd=cwd, stdout=subprocess.PIPE
    )
    try:
        out, _ = await asyncio.wait_for(process.communicate(), END_TIMEOUT_S)
    finally:
        if process.returncode is None:
            process.kill()
    assert process.returncode is not None
    return process.returncode, [json.loads(line) for line in out.splitlines()]


async def durable(connection: Client) -> None:
    """Wait until the consumer is there."""
    async with asyncio.timeout(END_TIMEOUT_S):
        while not await _has(connection, "autoresponder"):  # noqa: ASYNC110 - not an event
            await asyncio.sleep(0.05)


async def _has(connection: Client, name: str) -> bool:
    return name in [consumer.name for consumer in await connection.jetstream().consumers_info("events")]


async def texts(emulator: EmulatorProcess, contact: str) -> list[str | None]:
    return [item.text for item in await emulator.inbox(contact)]


async def test_the_autoresponder_answers_each_patient_once_and_misses_nothing_while_it_is_down(
    node: Node, service: Listener, emulator: EmulatorProcess
) -> None:
    command = [sys.executable, EXAMPLES / "autoresponder.py", node.where["nats"]]
    async with running(command, {}):
        await durable(service.connection)
        await emulator.send_text(ANA, PHONE, "Bom dia")
        await emulator.wait_for_message(ANA, text="Recebemos: Bom dia. Já respondemos.", timeout=30)
    await service.until("message", wa_id=await emulator.send_text(BIA, PHONE, "Estão aí?"))
    async with running(command, {}):
        await emulator.wait_for_message(BIA, text="Recebemos: Estão aí?. Já respondemos.", timeout=30)
    assert await texts(emulator, ANA) == ["Recebemos: Bom dia. Já respondemos."]
    assert await texts(emulator, BIA) == ["Recebemos: Estão aí?. Já respondemos."]


async def test_the_autoresponder_leaves_what_waited_and_who_opts_out_without_an_answer(
    node: Node, service: Listener, emulator: EmulatorProcess, login: dict[str, str]
) -> None:
    clinic = await node.login("acme")
    async with running([sys.executable, EXAMPLES / "autoresponder.py"], login):
        await durable(clinic)
        after = await emulator.last_event()  # it was offline for a moment as it was paired
        await node.act(*FRONT, "suspend")
        await service.until("state", state="suspended")
        await emulator.wait_for("offline", PHONE, after=after)
        waited = await emulator.send_text(ANA, PHONE, "Alguém?")
        await node.act(*FRONT, "resume")
        assert (await service.until("message", wa_id=waited))["backlog"] is True
        await service.until("message", wa_id=await emulator.send_text(BIA, PHONE, "Sair"))
        await emulator.send_text(EVA, PHONE, "Oi")
        await emulator.wait_for_message(EVA, timeout=30)
    await clinic.close()
    assert (await texts(emulator, ANA), await texts(emulator, BIA)) == ([], [])


async def test_reminders_go_out_in_time_once_and_say_whom_to_phone(
    tmp_path: Path, service: Listener, emulator: EmulatorProcess, login: dict[str, str]
) -> None:
    await emulator.auto(BIA, delivered=False)
    await emulator.exists(NOBODY, False)
    now = datetime.now(UTC)

    def appointment(name: str, to: str, at: datetime) -> dict[str, str]:
        return {"id": name, "clinic": "acme", "channel": "reception", "to": to, "at": at.isoformat(), "text": name}

    appointments = [
        appointment("soon", ANA, now + timedelta(hours=24, seconds=3)),
        appointment("switched-off", BIA, now + timedelta(hours=4, seconds=12)),
        appointment("wrong-number", NOBODY, now + timedelta(hours=10)),
        appointment("too-late", EVA, now + timedelta(hours=3)),
    ]
    (tmp_path / "appointments.json").write_text(json.dumps(appointments))
    command = [sys.executable, str(EXAMPLES / "reminders.py"), "appointments.json"]
    code, first = await finished(command, login, tmp_path)
    outcomes = {line["appointment"]: line["outcome"] for line in first}
    assert (code, outcomes) == (
        3,
        {
            "soon": "delivered",
            "switched-off": "late",
            "wrong-number": "failed: not_on_whatsapp",
            "too-late": "expired: expired",
        },
    )
    sent = await service.until("result", id="reminder:soon", status="sent")
    assert datetime.fromisoformat(sent["sent_at"]) >= now + timedelta(seconds=2)

    code, again = await finished(command, login, tmp_path)
    assert (code, {line["appointment"]: line["outcome"] for line in again}) == (3, outcomes)
    assert [await texts(emulator, who) for who in (ANA, BIA, EVA)] == [["soon"], ["switched-off"], []]
    assert service.seen("dead", error={"code": "id_conflict"}) == []


async def test_the_client_for_node_sends_once_and_follows_its_message(
    tmp_path: Path, emulator: EmulatorProcess, login: dict[str, str]
) -> None:
    place = await asyncio.to_thread(npm.installed, EXAMPLES / "node", tmp_path / "npm")
    until = (datetime.now(UTC) + timedelta(minutes=5)).isoformat()
    sent, delivered = ("result", "sent", None), ("receipt", "delivered", None)

    async def notify(to: str, id: str) -> tuple[int, set[tuple[str, str, str | None]]]:
        code, seen = await finished(["node", "notify.mjs", *FRONT, to, id, until, "Bom dia!"], login, place)
        return code, {(line["kind"], line["status"], line["error"]) for line in seen}

    await emulator.exists(NOBODY, False)
    for _ in range(2):
        code, seen = await notify(ANA, "visit-17")
        assert (code, seen - {sent}) == (0, {delivered})
    assert await texts(emulator, ANA) == ["Bom dia!"]
    assert await notify(NOBODY, "visit-18") == (3, {("result", "failed", "not_on_whatsapp")})


async def test_the_lines_for_the_nats_command_do_what_is_said_of_them(
    tmp_path: Path, node: Node, service: Listener, emulator: EmulatorProcess
) -> None:
    nats_cli.link(tmp_path)
    blocks = re.findall(r"```sh\n(.*?)```", (EXAMPLES / "nats.md").read_text(), re.DOTALL)
    await service.until("message", wa_id=await emulator.send_text(ANA, PHONE, "Oi"))
    env = {"NATS_URL": node.where["nats"], "PATH": f"{tmp_path}:{os.environ['PATH']}"}
    said: dict[str, str] = {}
    async with Terminal(tmp_path, env, exports=tmp_path / "exports") as terminal:
        for line in [line for block in blocks for line in lines(block)]:
            if line.startswith("nats sub "):
                await terminal.start(line, "Subscribing")
                continue
            said[line] = await terminal.run(line)
            if '"id":"visit-17"' in line and " pub " in line:
                await service.until("result", id="visit-17", status="sent")
    replies = [json.loads(text) for line, text in said.items() if line.startswith("nats req ")]
    assert [reply for reply in replies if set(reply) == {"v", "error"}] == []
    assert [reply["items"][0]["on_whatsapp"] for reply in replies if "phone" in str(reply.get("items"))[:10]] == [True]
    (following,) = [text for line, text in said.items() if line.startswith("nats consumer next ")]
    assert "event.message" in following
    assert "Oi" in following
    for name in ("visit-17", "visit-18", "code-1", "news-1"):
        await service.until("result", id=name)
    await service.until("state", state="connected", count=2)
