"""A person is erased: nothing of them is left anywhere, and the clinic goes on talking with everybody else."""

import asyncio
import json
import sqlite3
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from gateway.vault import Vaults, master
from gateway.vault.snapshots import Snapshots
from protocol.codec import decode_raw
from tests.acceptance.node import Listener, Node
from tests.acceptance.phones import Phones
from tests.emulator.client import EmulatorProcess

PHONE = "5511999990001"
ANA, BIA = "5511988880001", "5511988880002"
FRONT = ("acme", "reception")
MESSAGES = "/api/v1/clinics/acme/channels/reception/messages"
WORDS = "MRI at nine"
PICTURE = b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 600


@pytest.fixture
def tables() -> dict[str, Any]:
    """What goes in or out is kept at once."""
    return {"vault": {"interval": 0.2}}


@pytest.fixture
async def talked(phones: Phones, service: Listener, emulator: EmulatorProcess) -> None:
    """``acme/reception`` has written to two people, and they have written to it, one with a picture."""
    await phones.pair("acme", ("reception", PHONE))
    for person in (ANA, BIA):
        await talk(service, emulator, person, "before")
    await emulator.send_image(ANA, PHONE, PICTURE, caption=f"{WORDS} picture")
    await service.until("message", type="image")


async def talk(service: Listener, emulator: EmulatorProcess, person: str, when: str) -> None:
    """A message to them and one back."""
    text = f"{WORDS} {when} {person}"
    await service.send(*FRONT, {"v": 1, "id": f"{when}-{person[-1]}", "to": person, "type": "text", "text": text})
    await service.until("result", id=f"{when}-{person[-1]}", status="sent")
    await emulator.send_text(person, PHONE, f"back {text}")
    await service.until("message", text=f"back {text}")


async def plantao(node: Node, *arguments: str, code: int = 0) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(await node.cli(*arguments, "--json", "--data", str(node.data), code=code))
    return found


def names(person: str) -> tuple[bytes, bytes]:
    """By number and by LID (the emulator's begin with 77)."""
    return person.encode(), f"77{person}".encode()


def rows_of(database: sqlite3.Connection, person: str) -> list[str]:
    """The tables of a session store in which something of them stands."""
    found = []
    for (table,) in database.execute("SELECT name FROM sqlite_schema WHERE type = 'table'").fetchall():
        for row in database.execute(f"SELECT * FROM {table}").fetchall():
            if any(isinstance(cell, str) and person in cell for cell in row):
                found.append(table)
    return found


def in_session(store: Path, person: str) -> list[str]:
    with sqlite3.connect(f"file:{store}?mode=ro", uri=True) as database:
        return rows_of(database, person)


def in_snapshots(data: Path, person: str) -> list[list[str]]:
    """What each snapshot that is left holds of them."""
    key, _ = master.from_data(data)
    vaults, snapshots = Vaults(data, key), Snapshots(data, *FRONT)
    keys = {key.id: key.derive("snapshots") for key in vaults.data_keys("acme")}
    found = []
    for snapshot in snapshots.found():
        with sqlite3.connect(":memory:") as database:
            database.deserialize(snapshots.read(snapshot, keys))
            found.append(rows_of(database, person))
    return found


def holding(root: Path, person: str) -> list[str]:
    """The files below ``root`` in which they stand, by number or LID, but for the database, in which that is sealed."""
    files = [path for path in root.rglob("*") if path.is_file() and path.suffix != ".log"]
    return [str(path) for path in files if any(name in path.read_bytes() for name in names(person))]


async def stream_bodies(node: Node, account: str, stream: str) -> list[bytes]:
    """All messages of a stream, as its account sees them."""
    import nats

    client = await nats.connect(node.own_url(account), inbox_prefix=b"_INBOX_plantao")
    try:
        js, found = client.jetstream(), []
        state = (await js.stream_info(stream)).state
        for sequence in range(max(1, state.first_seq), state.last_seq + 1):
            try:
                found.append((await js.get_msg(stream, sequence)).data or b"")
            except nats.js.errors.NotFoundError:
                continue
        return found
    finally:
        await client.close()


@pytest.mark.usefixtures("talked")
async def test_nothing_of_an_erased_person_is_left_and_others_go_on(
    node: Node, service: Listener, emulator: EmulatorProcess
) -> None:
    store = node.runtime / "clinics" / "acme" / "reception.db"
    assert await asyncio.to_thread(in_session, store, ANA) != []

    result = (await plantao(node, "erase", "--clinic", "acme", "--contact", ANA, "--yes"))["result"]

    assert result["commands"] == 1
    assert result["media"] == 1
    assert result["events"] == result["platform_events"] > 0
    assert result["session_rows"] > 0
    assert await asyncio.to_thread(in_session, store, ANA) == []
    assert await asyncio.to_thread(in_session, store, BIA) != []
    assert all(found == [] for found in await asyncio.to_thread(in_snapshots, node.data, ANA))
    for account, stream in (
        ("clinic-acme", "events"),
        ("clinic-acme", "dead"),
        ("platform", "events"),
    ):
        bodies = await stream_bodies(node, account, stream)
        assert not [decode_raw(body) for body in bodies if any(name in body for name in names(ANA))]
    assert await stream_bodies(node, "clinic-acme", "OBJ_media") == []
    assert await asyncio.to_thread(holding, node.data, ANA) == []
    assert await asyncio.to_thread(holding, node.runtime, ANA) == []
    listed = (await node.request("GET", MESSAGES))["items"]
    assert {command["to"] for command in listed} == {BIA}

    await service.until("state", clinic="acme", state="connected")
    await talk(service, emulator, BIA, "after")


@pytest.mark.usefixtures("talked")
async def test_an_erased_person_is_not_written_to_until_they_ask_for_it(
    node: Node, service: Listener, emulator: EmulatorProcess
) -> None:
    await plantao(node, "erase", "--clinic", "acme", "--contact", ANA, "--yes")

    await service.send(*FRONT, {"v": 1, "id": "again", "to": ANA, "type": "text", "text": WORDS})
    failed = await service.until("result", id="again")
    assert (failed["status"], failed["error"]["code"]) == ("failed", "opted_out")
    await emulator.send_text(ANA, PHONE, "voltar")
    await service.until("message", text="voltar")
    await talk(service, emulator, ANA, "after")


@pytest.mark.usefixtures("talked")
async def test_what_waits_for_an_erased_person_is_not_sent(
    node: Node, service: Listener, emulator: EmulatorProcess
) -> None:
    later = (datetime.now(UTC) + timedelta(hours=1)).isoformat()
    reminder = {"v": 1, "to": ANA, "type": "text", "text": WORDS, "not_before": later}
    await service.send(*FRONT, {**reminder, "id": "scheduled"})
    await node.once(f"{MESSAGES}?state=scheduled", lambda found: bool(found["items"]))
    await node.act(*FRONT, "disconnect")
    await service.send(*FRONT, {"v": 1, "id": "queued", "to": ANA, "type": "text", "text": WORDS})
    before = len(await emulator.inbox(ANA))

    await plantao(node, "erase", "--clinic", "acme", "--contact", ANA, "--yes")

    assert (await node.channel(*FRONT))["state"] == "disconnected"
    assert await stream_bodies(node, "clinic-acme", "later") == []
    assert await stream_bodies(node, "clinic-acme", "send") == []
    await node.act(*FRONT, "connect")
    await talk(service, emulator, BIA, "after")
    assert len(await emulator.inbox(ANA)) == before
    assert ANA not in json.dumps(await node.request("GET", MESSAGES))
