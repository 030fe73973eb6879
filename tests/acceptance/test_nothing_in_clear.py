"""After a full session neither the persistent disk nor the log says what was said, to whom, or with which key.

JetStream compresses nothing (``tests/unit/gateway/nats/test_streams.py`` holds it to that), so there are no S2 blocks
to look into; what deflate or gzip made smaller is looked into.
"""

import asyncio
import base64
import json
import os
from pathlib import Path
from typing import Any

import pytest

from gateway.vault.master import MasterKey
from tests.acceptance.confidences import Found, broker_secrets, clinic_keys, node_keys, of_store
from tests.acceptance.node import Listener, Node
from tests.acceptance.phones import Phones
from tests.acceptance.traces import traces
from tests.emulator.api import File
from tests.emulator.client import EmulatorProcess

MASTER = MasterKey(os.urandom(32), "the environment")
PHRASE = "Mangaratiba cavalo bateria grampo"
PHONES = {
    "acme": {"reception": "5511973310001", "billing": "5511973310003"},
    "bela": {"reception": "5511973310002"},
}
ANA, BIA, NOBODY, EVA = "5521986420001", "5521986420002", "5521986420003", "5521986420004"
WORDS = {
    "sent": "Seu exame Quixeramobim-7431 ficou pronto",
    "caption": "laudo Itaquaquecetuba-9152 em anexo",
    "received": "Sinto dor desde Pindamonhangaba-6627",
    "dead": "Confirmamos Jaboticatubas-3345",
    "held back": "Nunca enviado Xiquexique-2281",
    "poison": "veneno Cachoeirinha-8814",
    "meta": "prontuario-Uruburetama-5573",
    "file name sent": "laudo-Anajatuba-1199.pdf",
    "file name received": "exame-Brumadinho-4408.pdf",
    "id of the dead": f"aviso-{NOBODY}-Sirinhaem",
    "command id": f"ordem-{ANA}-Mutunopolis",
    "id of what is held back": f"lembrete-{BIA}-Guaratingueta",
    "sent to the erased": "Esqueca Paranapiacaba-7702",
    "received from the erased": "Me apague Carapicuiba-2093",
}
SENT_PAPER = b"%PDF-1.4 Votuporanga " + bytes(range(256)) * 300
RECEIVED_PAPER = b"%PDF-1.4 Garanhuns " + bytes(range(255, -1, -1)) * 300


@pytest.fixture
def tables() -> dict[str, Any]:
    """Snapshots are taken while the session lasts."""
    return {"vault": {"interval": 0.5}}


@pytest.fixture(autouse=True)
def master_key(monkeypatch: pytest.MonkeyPatch) -> None:
    """Given from outside, as it is where it protects something."""
    monkeypatch.setenv("PLANTAO_KEYS__MASTER", base64.b64encode(MASTER.key).decode())


async def talk(
    service: Listener, emulator: EmulatorProcess, clinic: str, channel: str, person: str, words: tuple[str, str]
) -> None:
    """Something to them and something back."""
    phone, (to, back) = PHONES[clinic][channel], words
    name = WORDS["command id"] if person == ANA else "to-the-erased"
    meta = {"file": WORDS["meta"]}
    await service.send(clinic, channel, {"v": 1, "id": name, "to": person, "type": "text", "text": to, "meta": meta})
    await service.until("result", clinic=clinic, channel=channel, id=name, status="sent")
    await emulator.send_text(person, phone, back)
    await service.until("message", clinic=clinic, channel=channel, text=back)


async def session(service: Listener, phones: Phones, emulator: EmulatorProcess) -> None:
    """Two clinics, one with two channels, both ways, everything that is kept."""
    await emulator.exists(NOBODY, False)
    for clinic, channels in PHONES.items():
        await phones.pair(clinic, *channels.items())
        for channel in channels:
            await talk(service, emulator, clinic, channel, ANA, (WORDS["sent"], WORDS["received"]))

        async def send(id: str, to: str = ANA, clinic: str = clinic, **said: Any) -> None:
            body = {"v": 1, "id": id, "to": to, "type": "text", "meta": {"file": WORDS["meta"]}, **said}
            await service.send(clinic, "reception", body)

        paper = {"data": base64.b64encode(SENT_PAPER).decode(), "mime": "application/pdf"}
        paper |= {"filename": WORDS["file name sent"], "caption": WORDS["caption"]}
        await send("paper", type="document", media=paper)
        await service.until("result", clinic=clinic, id="paper", status="sent")
        await send(WORDS["id of the dead"], NOBODY, text=WORDS["dead"])
        await service.until("dead", clinic=clinic, id=WORDS["id of the dead"])
        later = WORDS["id of what is held back"]
        await send(later, BIA, text=WORDS["held back"], not_before="2099-01-01T00:00:00Z")
        await service.send(clinic, "reception", b"\xc1" + WORDS["poison"].encode())
        await service.until("dead", clinic=clinic, id=None)
        file = File(kind="document", data=RECEIVED_PAPER, mime="application/pdf", filename=WORDS["file name received"])
        await emulator.send_file(ANA, channels["reception"], file)
        await service.until("message", clinic=clinic, type="document")
        await emulator.send_text(BIA, channels["reception"], "SAIR")
        await service.until("message", clinic=clinic, opted_out=True)


async def done(node: Node, job_kind: str, **body: Any) -> str:
    """A job, once it is done: its id."""
    job_id = str((await node.request("POST", f"/api/v1/{job_kind}", body))["id"])
    job = await node.once(f"/api/v1/jobs/{job_id}", lambda found: found["state"] != "running")
    assert job["state"] == "done", job
    return job_id


async def custody(node: Node, service: Listener, emulator: EmulatorProcess) -> Found:
    """All that is done with a clinic's data and keys; what it makes stays where it is. The secrets of its course."""
    found: Found = {}
    for clinic in PHONES:
        found |= await asyncio.to_thread(clinic_keys, node.data, clinic, MASTER, "first")
    words = (WORDS["sent to the erased"], WORDS["received from the erased"])
    await talk(service, emulator, "acme", "reception", EVA, words)
    await done(node, "backup", clinic="bela", passphrase=PHRASE)
    archive = await done(node, "backup")
    fetched = await node.request("GET", f"/api/v1/jobs/{archive}/file")
    await asyncio.to_thread((node.data / "fetched.backup").write_bytes, fetched)
    metrics = await node.request("GET", "/metrics")
    await asyncio.to_thread((node.data / "fetched.metrics").write_bytes, metrics)
    await done(node, "export", clinic="acme")
    await done(node, "rotate", what="clinic", clinic="acme")
    await done(node, "erase", clinic="acme", contact=EVA)
    found |= await asyncio.to_thread(clinic_keys, node.data, "acme", MASTER, "second")
    key = await node.request("POST", "/api/v1/keys", {"name": "front", "role": "operator", "clinics": ["acme"]})
    found["API key"] = str(key["key"])
    for path in ("/api/v1/clinics/acme/nats", "/api/v1/nats"):
        issued = await node.request("POST", path, {"name": "front"})
        rotated = await node.request("POST", f"{path}/front/rotate")
        found |= {f"{which} password by {path}": it["password"] for which, it in (("old", issued), ("new", rotated))}
    return found


def kept(node: Node) -> Found:
    """All else that must not be found: words, people, files, keys. Asked while the node runs."""
    numbers = {number for channels in PHONES.values() for number in channels.values()} | {ANA, BIA, NOBODY, EVA}
    found: Found = {**WORDS, **{f"number {number}": number for number in numbers}}
    found |= {"sent file": SENT_PAPER[:64], "received file": RECEIVED_PAPER[:64]}
    found |= {"end of sent file": SENT_PAPER[-48:], "end of received file": RECEIVED_PAPER[-48:]}
    found |= {"master key": MASTER.key, "passphrase": PHRASE}
    found |= node_keys(node.data, MASTER) | broker_secrets(node)
    for clinic, channels in PHONES.items():
        for channel in channels:
            found |= of_store(node, clinic, channel)
    assert all(found.values())
    return found


def told(node: Node, found: Found, log: Path) -> list[str]:
    """What is found where it must not be."""
    on_disk = traces(node.data, found)
    log.mkdir()
    (log / "node.log").write_text(node.log)
    admin = (node.data / "admin.key").read_text().strip()
    # By contract the first admin key is in clear in a file of its own; nowhere else.
    elsewhere = {where for where in traces(node.data, {"admin key": admin}) if not where.endswith(" in admin.key")}
    return [*on_disk, *elsewhere, *traces(log, {**found, "admin key": admin})]


@pytest.mark.parametrize("end", ["stopped", "killed"])
async def test_the_disk_and_the_log_tell_nothing(
    node: Node, service: Listener, phones: Phones, emulator: EmulatorProcess, end: str, tmp_path: Path
) -> None:
    await session(service, phones, emulator)
    found = await custody(node, service, emulator)
    found |= await asyncio.to_thread(kept, node)
    in_memory = {trace.split(" ")[0] for trace in await asyncio.to_thread(traces, node.runtime, found)}
    assert in_memory >= {"JetStream's", "password", "noise", "identity", "number", "name"}, "the scan sees nothing"
    await service.stop()
    await node.close_http()
    if end == "killed":
        node.kill()
        after_kill = await asyncio.to_thread(told, node, found, tmp_path / "log after the kill")
        assert after_kill == [], json.dumps(after_kill, indent=1)
        # What the kill left open, the server that outlives it included, is taken up and closed.
        await asyncio.to_thread(node.start)
        found |= await asyncio.to_thread(broker_secrets, node)
    assert await asyncio.to_thread(node.stop) == 0
    files = [file for file in node.data.rglob("*") if file.is_file()]
    assert {"fetched.backup", "fetched.metrics", "keys.json", "clinic.db", "audit.db", "server.log"} <= {
        file.name for file in files
    }
    assert any(file.suffix == ".vault" for file in files)
    assert any(file.suffix == ".blk" and file.stat().st_size > len(SENT_PAPER) for file in files)
    found_there = await asyncio.to_thread(told, node, found, tmp_path / "log")
    assert found_there == [], json.dumps(found_there, indent=1)
