"""A clinic is erased: nothing of it is left, its neighbour notices nothing, and its name is free."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance.node import Listener, Node, NodeError
from tests.acceptance.phones import Phones
from tests.emulator.client import EmulatorProcess

PHONE, NEIGHBOUR = "5511999990001", "5511999990002"
ANA = "5511988880001"
FRONT, NEXT_DOOR = ("acme", "reception"), ("bela", "reception")
WORDS = "MRI at nine"


@pytest.fixture
async def paired(phones: Phones) -> None:
    """Two clinics, connected."""
    await phones.pair("acme", ("reception", PHONE))
    await phones.pair("bela", ("reception", NEIGHBOUR))


def text(id: str) -> dict[str, Any]:
    return {"v": 1, "id": id, "to": ANA, "type": "text", "text": f"{WORDS} {id}"}


async def talk(service: Listener, emulator: EmulatorProcess, where: tuple[str, str], phone: str, when: str) -> None:
    """A message there and one back."""
    await service.send(*where, text(when))
    await service.until("result", clinic=where[0], id=when, status="sent")
    await emulator.send_text(ANA, phone, f"{WORDS} back {when}")
    await service.until("message", clinic=where[0], text=f"{WORDS} back {when}")


async def erase(node: Node, clinic: str, code: int = 0) -> dict[str, Any]:
    said = await node.cli("erase", "--clinic", clinic, "--all", "--yes", "--json", "--data", str(node.data), code=code)
    found: dict[str, Any] = json.loads(said)
    return found


def holding(root: Path, word: bytes) -> list[str]:
    """The files below ``root`` in which ``word`` stands, but for logs."""
    return [
        str(path.relative_to(root))
        for path in root.rglob("*")
        if path.is_file() and path.suffix != ".log" and word in path.read_bytes()
    ]


@pytest.mark.usefixtures("paired")
async def test_nothing_of_an_erased_clinic_is_left_and_its_neighbour_notices_nothing(
    node: Node, service: Listener, emulator: EmulatorProcess
) -> None:
    await talk(service, emulator, FRONT, PHONE, "before")
    await talk(service, emulator, NEXT_DOOR, NEIGHBOUR, "next-door")
    port = node.port_pid(*NEXT_DOOR)

    result = (await erase(node, "acme"))["result"]

    assert result["platform_events"] > 0
    assert result["nats_account"] == "removed"
    for place in (node.data / "clinics" / "acme", node.runtime / "clinics" / "acme", node.data / "erasing" / "acme"):
        assert not place.exists()
    assert b"clinic-acme" not in node.nats_config.read_bytes()
    assert not (node.data / "nats" / "jetstream" / "clinic-acme").exists()
    stream = service.connection.jetstream()
    subjects = (await stream.stream_info("events", subjects_filter="clinic.>")).state.subjects or {}
    assert {subject.split(".")[1] for subject in subjects} == {"bela"}
    left = await asyncio.to_thread(holding, node.data / "nats", f"{WORDS} back before".encode())
    assert left == []
    assert node.port_pid(*NEXT_DOOR) == port
    await talk(service, emulator, NEXT_DOOR, NEIGHBOUR, "after")


@pytest.mark.usefixtures("paired")
async def test_a_clinic_of_an_erased_ones_name_begins_empty(
    node: Node, service: Listener, emulator: EmulatorProcess, phones: Phones
) -> None:
    await talk(service, emulator, FRONT, PHONE, "before")
    await erase(node, "acme")
    assert (await erase(node, "acme", code=1))["error"]["detail"] == "clinic acme does not exist"

    service.events.clear()
    await phones.pair("acme", ("reception", PHONE))

    assert (await node.request("GET", "/api/v1/clinics/acme/channels/reception/messages"))["items"] == []
    await talk(service, emulator, FRONT, PHONE, "after")


@pytest.mark.usefixtures("paired")
async def test_what_a_removed_clinic_has_left_can_be_erased(node: Node, service: Listener) -> None:
    await service.send(*FRONT, text("before"))
    await service.until("result", clinic="acme", id="before", status="sent")
    await node.request("DELETE", "/api/v1/clinics/acme")
    assert (node.data / "clinics" / "acme").exists()

    await erase(node, "acme")

    assert not (node.data / "clinics" / "acme").exists()


@pytest.mark.usefixtures("paired")
async def test_what_a_kill_interrupted_is_finished_at_the_next_start(node: Node, service: Listener) -> None:
    await service.send(*FRONT, text("before"))
    await service.until("result", clinic="acme", id="before", status="sent")
    await service.stop()
    await node.close_http()
    await asyncio.to_thread(node.kill)
    (node.data / "erasing").mkdir()
    (node.data / "erasing" / "acme").touch()

    await asyncio.to_thread(node.start)
    await node.open_http()

    with pytest.raises(NodeError, match=r"being erased|exists already"):
        await node.add("acme")
    await node.once("/api/v1/jobs", lambda found: any(job["state"] == "done" for job in found["items"]))
    assert not (node.data / "clinics" / "acme").exists()
    assert not (node.data / "erasing" / "acme").exists()
    await node.add("acme")
