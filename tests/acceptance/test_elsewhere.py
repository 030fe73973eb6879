"""What is not on this machine's embedded defaults: a NATS server of somebody else's, and WhatsApp out of reach."""

import asyncio
import signal
import subprocess
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

from gateway.nats.server_process import find_program
from tests.acceptance.node import PLANTAO, Node, settings
from tests.acceptance.phones import Phones
from tests.broker import embedded, hand_out
from tests.emulator.client import EmulatorProcess

PHONE, ANA = "5511900000001", "5511888000001"


async def test_a_node_works_on_a_nats_server_that_it_did_not_start(tmp_path: Path, emulator: EmulatorProcess) -> None:
    broker = embedded(tmp_path / "nats")
    await broker.start()
    try:
        await broker.ensure_account("acme")
        elsewhere = {"nats": {"url": broker.server, "accounts_file": str(hand_out(tmp_path / "nats"))}}
        async with Node(tmp_path / "node", settings(emulator.ready, elsewhere)) as node, await node.listen() as service:
            await Phones(node, emulator, service).pair("acme", ("reception", PHONE))
            await service.send("acme", "reception", {"v": 1, "id": "e", "to": ANA, "type": "text", "text": "oi"})
            assert (await service.until("result", id="e"))["status"] == "sent"
            assert not (node.data / "nats").exists()
            await node.request("POST", "/api/v1/clinics", {"id": "bela", "name": "Sem conta"})
            bela = await node.clinic_in("bela", "error")
            assert "clinic-bela" in bela["reason"]
            assert (await node.channel("acme", "reception"))["state"] == "connected"
    finally:
        await broker.stop(timeout=10)


@asynccontextmanager
async def plain_server(directory: Path) -> AsyncIterator[tuple[str, Callable[[], None]]]:
    """A nats-server as an operator runs it, that includes ``accounts.conf``: its URL, and how it is reloaded."""
    (directory / "server.conf").write_text(
        'host: "127.0.0.1"\nport: -1\n'
        f'jetstream {{ store_dir: "{directory}", cipher: aes, key: "its own", max_file: 1T, max_mem: 1T }}\n'
        "include accounts.conf\n"
    )
    command = [str(find_program()), "-c", str(directory / "server.conf")]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)  # noqa: ASYNC220 - it begins at once
    assert process.stderr is not None
    try:
        said = process.stderr
        address = next(line for line in said if "Listening for client connections" in line).split()[-1]
        next(line for line in said if "Server is ready" in line)

        def reload() -> None:
            process.send_signal(signal.SIGHUP)
            next(line for line in said if "Reloaded" in line and "server configuration" in line)

        yield f"nats://{address}", reload
    finally:
        process.terminate()
        process.communicate()


async def test_a_plain_server_with_the_printed_configuration_serves_a_node_and_a_clinic_that_comes_later(
    tmp_path: Path, emulator: EmulatorProcess
) -> None:
    accounts, there = tmp_path / "accounts.json", tmp_path / "server"
    there.mkdir()

    async def printed(*arguments: str) -> None:
        process = await asyncio.create_subprocess_exec(
            str(PLANTAO), "nats", "config", "--accounts", str(accounts), *arguments, stdout=subprocess.PIPE
        )
        out, _ = await process.communicate()
        assert process.returncode == 0
        (there / "accounts.conf").write_bytes(out)

    await printed("--clinic", "acme")
    async with plain_server(there) as (url, reload):
        elsewhere = {"nats": {"url": url, "accounts_file": str(accounts)}}
        async with Node(tmp_path / "node", settings(emulator.ready, elsewhere)) as node, await node.listen() as service:
            await Phones(node, emulator, service).pair("acme", ("reception", PHONE))
            await service.send("acme", "reception", {"v": 1, "id": "e", "to": ANA, "type": "text", "text": "oi"})
            assert (await service.until("result", id="e"))["status"] == "sent"
            await node.request("POST", "/api/v1/clinics", {"id": "bela", "name": "Bela"})
            await node.clinic_in("bela", "error")
            await printed("--registered", "--data", str(node.data))
            await asyncio.to_thread(reload)
            await node.clinic_in("bela", "running")
            assert (await node.channel("acme", "reception"))["state"] == "connected"
            refused = await node.cli("key", "nats", "issue", "acme", "--name", "panel", code=1)
            assert "plantao nats config" in refused


async def test_a_node_without_whatsapp_says_what_it_cannot_reach_and_keeps_trying(
    tmp_path: Path, emulator: EmulatorProcess
) -> None:
    away = await emulator.fault("refuse_tcp")
    async with Node(tmp_path / "node", settings(emulator.ready)) as node, await node.listen() as service:
        await node.add("acme", "reception")
        down = await service.until("state", state="reconnecting")
        assert "dial" in down["reason"]
        await node.once("/api/v1/clinics/acme/channels/reception", lambda channel: channel["attempt"] > 2)
        await emulator.clear(away)
        await service.until("state", state="qr_required")
