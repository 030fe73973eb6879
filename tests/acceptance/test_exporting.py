"""All that there is of a clinic, or of one person, is handed over as a ZIP that anybody can open."""

import json
import stat
import zipfile
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance.node import Listener, Node
from tests.acceptance.phones import Phones
from tests.acceptance.test_erasing_people import ANA, BIA, PICTURE, WORDS, plantao, talk
from tests.emulator.client import EmulatorProcess

PHONE = "5511999990001"


@pytest.fixture
async def talked(phones: Phones, service: Listener, emulator: EmulatorProcess) -> None:
    """A clinic that talked with two people, and another."""
    await phones.pair("acme", ("reception", PHONE))
    for person in (ANA, BIA):
        await talk(service, emulator, person, "before")
    await emulator.send_image(ANA, PHONE, PICTURE, caption=f"{WORDS} picture")
    await service.until("message", type="image")
    await emulator.send_text(BIA, PHONE, "sair")
    await service.until("message", text="sair")


def opened(path: Path) -> dict[str, Any]:
    """What each file of it holds: lines, text or bytes."""
    found: dict[str, Any] = {}
    with zipfile.ZipFile(path) as archive:
        assert archive.testzip() is None
        for info in archive.infolist():
            content = archive.read(info)
            lines = info.filename.endswith(".jsonl")
            found[info.filename] = [json.loads(line) for line in content.splitlines()] if lines else content
    return found


@pytest.mark.usefixtures("talked")
async def test_an_export_of_a_clinic_has_all_that_was_said(node: Node, tmp_path: Path) -> None:
    file = tmp_path / "acme.zip"

    await plantao(node, "export", "--clinic", "acme", str(file))

    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    found = opened(file)
    assert {record["view"]["to"] for record in found["commands.jsonl"]} == {ANA, BIA}
    said = {line["body"].get("text") for line in found["events.jsonl"]}
    assert {f"back {WORDS} before {ANA}", f"back {WORDS} before {BIA}", "sair"} <= said
    assert [entry["what"] for entry in found["consents.jsonl"]] == ["opted_out"]
    assert {contact["jid"] for contact in found["contacts.jsonl"]} >= {f"{ANA}@s.whatsapp.net"}
    [media] = found["media.jsonl"]
    assert media["file"] == "media/000001.png"
    assert found[media["file"]] == PICTURE
    assert "PORTUGUÊS" in found["README.txt"].decode()
    assert list((node.data / "jobs").rglob("file")) == []


@pytest.mark.usefixtures("talked")
async def test_an_export_of_a_person_has_nothing_of_anybody_else(node: Node, tmp_path: Path) -> None:
    file = tmp_path / "bia.zip"

    await plantao(node, "export", "--clinic", "acme", "--contact", f"+{BIA}", str(file))

    found = opened(file)
    assert found["commands.jsonl"][0]["view"]["to"] == BIA
    assert f"back {WORDS} before {BIA}" in {line["body"].get("text") for line in found["events.jsonl"]}
    assert ANA not in json.dumps({name: lines for name, lines in found.items() if name.endswith(".jsonl")})
    assert not any(name.startswith("media/") for name in found)
