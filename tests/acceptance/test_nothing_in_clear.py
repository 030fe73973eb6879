"""After a full session neither the persistent disk nor the log says what was said, to whom, or with which key."""

import base64
import json
import os
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.acceptance.node import Listener, Node
from tests.acceptance.phones import Phones
from tests.acceptance.traces import traces
from tests.emulator.api import File
from tests.emulator.client import EmulatorProcess

MASTER = os.urandom(32)
PHONES = {"acme": "5511973310001", "bela": "5511973310002"}
ANA, BIA, NOBODY = "5521986420001", "5521986420002", "5521986420003"
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
    "command id": f"ordem-{ANA}-Mutunopolis",
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
    monkeypatch.setenv("PLANTAO_KEYS__MASTER", base64.b64encode(MASTER).decode())


async def session(node: Node, service: Listener, phones: Phones, emulator: EmulatorProcess) -> None:
    """Two clinics, both ways, everything that is kept."""
    await emulator.exists(NOBODY, False)
    for clinic, phone in PHONES.items():
        await phones.pair(clinic, ("reception", phone))

        async def send(id: str, to: str = ANA, clinic: str = clinic, **said: Any) -> None:
            body = {"v": 1, "id": id, "to": to, "type": "text", "meta": {"file": WORDS["meta"]}, **said}
            await service.send(clinic, "reception", body)

        await send(WORDS["command id"], text=WORDS["sent"])
        paper = {"data": base64.b64encode(SENT_PAPER).decode(), "mime": "application/pdf"}
        paper |= {"filename": WORDS["file name sent"], "caption": WORDS["caption"]}
        await send("paper", type="document", media=paper)
        for sent in (WORDS["command id"], "paper"):
            await service.until("result", clinic=clinic, id=sent, status="sent")
        await send("dead", NOBODY, text=WORDS["dead"])
        await service.until("dead", clinic=clinic, id="dead")
        await send("later", BIA, text=WORDS["held back"], not_before="2099-01-01T00:00:00Z")
        await service.send(clinic, "reception", b"\xc1" + WORDS["poison"].encode())
        await service.until("dead", clinic=clinic, id=None)
        await emulator.send_text(ANA, phone, WORDS["received"])
        await service.until("message", clinic=clinic, text=WORDS["received"])
        file = File(kind="document", data=RECEIVED_PAPER, mime="application/pdf", filename=WORDS["file name received"])
        await emulator.send_file(ANA, phone, file)
        await service.until("message", clinic=clinic, type="document")
        await emulator.send_text(BIA, phone, "SAIR")
        await service.until("message", clinic=clinic, opted_out=True)


def secrets(node: Node) -> dict[str, str | bytes]:
    """All that must not be found: words, people, files, keys. Asked while the node runs."""
    found: dict[str, str | bytes] = dict(WORDS)
    found |= {f"number {number}": number for number in (*PHONES.values(), ANA, BIA, NOBODY)}
    found |= {"sent file": SENT_PAPER[:64], "received file": RECEIVED_PAPER[:64], "master key": MASTER}
    found |= {"end of sent file": SENT_PAPER[-48:], "end of received file": RECEIVED_PAPER[-48:]}
    found["platform's password"] = urlsplit(node.where["nats"]).password or ""
    for clinic in PHONES:
        store = node.runtime / "clinics" / clinic / "reception.db"
        with closing(sqlite3.connect(f"file:{store}?mode=ro", uri=True)) as db:
            keys = db.execute("SELECT noise_key, identity_key, adv_key FROM whatsmeow_device").fetchone()
        names = ("noise key", "identity key", "adv key")
        found |= {f"{name} of {clinic}": bytes(key) for name, key in zip(names, keys, strict=True)}
    assert all(found.values())
    return found


def of_log(found: dict[str, str | bytes]) -> dict[str, str | bytes]:
    """What must not be in the log: a command's id may be there, which its sender chose."""
    return {name: value for name, value in found.items() if name != "command id"}


@pytest.mark.parametrize("end", ["stopped", "killed"])
async def test_the_disk_and_the_log_tell_nothing(
    node: Node, service: Listener, phones: Phones, emulator: EmulatorProcess, end: str, tmp_path: Path
) -> None:
    await session(node, service, phones, emulator)
    issued = await node.request("POST", "/api/v1/keys", {"name": "front", "role": "operator", "clinics": ["acme"]})
    found = secrets(node) | {"API key": str(issued["key"])}
    await service.stop()
    await node.close_http()
    if end == "killed":
        node.kill()
    else:
        assert node.stop() == 0
    assert sum(1 for file in node.data.rglob("*") if file.is_file()) > 10
    on_disk = traces(node.data, found)
    log = tmp_path / "log"
    log.mkdir()
    (log / "node.log").write_text(node.log)
    in_log = traces(log, of_log(found))
    assert (on_disk, in_log) == ([], []), json.dumps([on_disk, in_log], indent=1)
