"""A clinic whose database cannot be used says so and takes nothing on; its neighbour goes on; when it can be used
again, the clinic is back by itself, and what was sent and received meanwhile is neither lost nor doubled."""

import shutil
import sqlite3
import subprocess
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.acceptance.node import Listener, Node
from tests.acceptance.phones import Phones
from tests.emulator.client import EmulatorProcess

PHONE, OTHER_PHONE = "5511900000001", "5511900000002"
ANA, BIA = "5511888000001", "5511888000002"
AT_ONCE_S = 10.0
"""Far more than a message takes when nothing is in its way."""
HEADER, PAGE = 100, 4096


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """Where ``acme`` has its database: a file system of its own, of 2 MiB."""
    place = tmp_path / "node" / "data" / "clinics" / "acme"
    place.mkdir(parents=True)
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", place], check=False, capture_output=True
    )
    if mounted.returncode:
        pytest.skip("needs to mount a file system")
    yield place
    subprocess.run(["umount", place], check=True)


class Two:
    """``acme``, which is in trouble and to which Ana writes, and its neighbour ``bela``, to which Bia writes."""

    def __init__(self, node: Node, emulator: EmulatorProcess, service: Listener) -> None:
        self.node = node
        self.service = service
        self._emulator = emulator

    @property
    def database(self) -> Path:
        """Of the clinic in trouble."""
        return self.node.data / "clinics" / "acme" / "clinic.db"

    async def write(self, text: str) -> None:
        """Ana writes to ``acme``."""
        await self._emulator.send_text(ANA, PHONE, text)

    async def ask(self, id: str) -> None:
        """``acme`` is to write to Ana."""
        await self.service.send("acme", "reception", {"v": 1, "id": id, "to": ANA, "type": "text", "text": id})

    async def serves(self, id: str) -> None:
        """``acme`` sends and receives."""
        await self.ask(id)
        await self.service.until("result", clinic="acme", id=id, status="sent")
        await self.write(id)
        await self.service.until("message", clinic="acme", text=id)

    async def neighbour_serves(self, id: str) -> None:
        """``bela`` sends and receives, at once."""
        await self.service.send("bela", "reception", {"v": 1, "id": id, "to": BIA, "type": "text", "text": id})
        await self.service.until("result", clinic="bela", id=id, status="sent", timeout=AT_ONCE_S)
        await self._emulator.send_text(BIA, OTHER_PHONE, id)
        await self.service.until("message", clinic="bela", text=id, timeout=AT_ONCE_S)

    async def fails(self, why: str, *, after: int) -> None:
        """The channel and its clinic say why, and WhatsApp sees the connection end (later than its event ``after``)."""
        down = await self.service.until("state", clinic="acme", state="error")
        assert down["reason"].startswith(f"cannot store: clinic acme: {self.database} ")
        assert why in down["reason"]
        assert (await self.node.clinic_in("acme", "error"))["reason"] == down["reason"]
        await self._emulator.wait_for("offline", PHONE, after=after)

    async def clinic_error(self) -> str:
        """The reason of the one clinic that is in error; for a node that may not know its clinics yet."""
        found = await self.node.once(
            "/api/v1/clinics", lambda found: "error" in [clinic["state"] for clinic in found["items"]]
        )
        [clinic] = [clinic for clinic in found["items"] if clinic["state"] == "error"]
        return str(clinic["reason"])

    async def comes_back(self, *, sent: list[str], received: list[str]) -> None:
        """By itself, with what was sent and received before and meanwhile, each once and in order."""
        count = len(self.service.seen("state", clinic="acme", state="error")) + 1
        await self.service.until("state", clinic="acme", state="connected", count=count)
        await self.node.clinic_in("acme", "running")
        for each in sent:
            await self.service.until("result", clinic="acme", id=each, status="sent")
        for text in received:
            await self.service.until("message", clinic="acme", text=text)
        await self.serves("last")
        sent, received = [*sent, "last"], [*received, "last"]
        assert [event["id"] for event in self.service.seen("result", clinic="acme")] == sent
        assert [item.text for item in await self._emulator.inbox(ANA)] == sent
        assert [event["text"] for event in self.service.seen("message", clinic="acme")] == received
        assert len(self.service.seen("state", clinic="bela", state="connected")) == 1


@pytest.fixture
async def two(node: Node, emulator: EmulatorProcess, service: Listener, phones: Phones) -> Two:
    """Both connected, and known to serve."""
    await phones.pair("acme", ("reception", PHONE))
    await phones.pair("bela", ("reception", OTHER_PHONE))
    both = Two(node, emulator, service)
    await both.serves("first")
    await both.neighbour_serves("before")
    return both


def fill(disk: Path) -> Path:
    """Leave no byte on it."""
    ballast = disk / "ballast"
    with ballast.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(bytes(PAGE))
        except OSError:
            return ballast


async def test_a_full_disk_is_its_own_clinics_matter(disk: Path, two: Two, emulator: EmulatorProcess) -> None:
    after = await emulator.last_event()
    ballast = fill(disk)
    await two.write("taken, not stored")
    await two.fails("cannot grow: the disk, the quota or the file's size limit is full", after=after)
    await two.write("waits at WhatsApp")
    await two.ask("queued")
    await two.neighbour_serves("meanwhile")
    assert len(two.service.seen("message", clinic="acme")) == 1

    ballast.unlink()
    await two.comes_back(sent=["first", "queued"], received=["first", "taken, not stored", "waits at WhatsApp"])


async def test_a_disk_that_is_full_at_the_start_is_waited_for(disk: Path, two: Two, emulator: EmulatorProcess) -> None:
    node = two.node
    await node.close_http()
    await two.service.stop()
    assert node.stop() == 0
    ballast = fill(disk)
    await two.write("waits at WhatsApp")
    async with node, await node.listen() as service:
        two.service = service
        await two.ask("queued")
        assert "free some space" in await two.clinic_error()
        await service.until("state", clinic="bela", state="connected", count=2)
        await two.neighbour_serves("meanwhile")
        ballast.unlink()
        await service.until("result", clinic="acme", id="queued", status="sent", timeout=60.0)
        await service.until("message", clinic="acme", text="waits at WhatsApp")
        await two.serves("last")
        assert [item.text for item in await emulator.inbox(ANA)] == ["first", "queued", "last"]
        assert [event["text"] for event in service.seen("message", clinic="acme")] == [
            "first",
            "waits at WhatsApp",
            "last",
        ]


async def test_a_locked_database_is_its_own_clinics_matter(two: Two, emulator: EmulatorProcess) -> None:
    after = await emulator.last_event()
    with closing(sqlite3.connect(two.database, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        await two.ask("queued")
        await two.write("taken, not stored")
        await two.fails("is locked by another connection", after=after)
        await two.write("waits at WhatsApp")
        await two.neighbour_serves("meanwhile")
        other.execute("ROLLBACK")
    await two.comes_back(sent=["first", "queued"], received=["first", "taken, not stored", "waits at WhatsApp"])


@pytest.mark.parametrize(("damaged", "why"), [(HEADER, "is not an SQLite database"), (None, "is damaged")])
async def test_a_damaged_database_is_its_own_clinics_matter(
    two: Two, emulator: EmulatorProcess, damaged: int | None, why: str
) -> None:
    """Its header, or all that comes after the first page; a good copy in its place mends it."""
    node, database = two.node, two.database
    await node.close_http()
    await two.service.stop()
    assert node.stop() == 0
    good = shutil.copy(database, database.with_name("good"))
    with database.open("r+b") as file:
        size = file.seek(0, 2)
        file.seek(0 if damaged else PAGE)
        file.write(b"\xa5" * (damaged or size - PAGE))
    async with node, await node.listen() as service:
        two.service = service
        await two.write("waits at WhatsApp")
        await two.ask("queued")
        reason = await two.clinic_error()
        assert reason.startswith(f"clinic acme: {database} {why}")
        assert "put a good copy of the clinic's directory in its place" in reason
        await service.until("state", clinic="bela", state="connected", count=2)
        await two.neighbour_serves("meanwhile")
        assert len(service.seen("message", clinic="acme")) == 1
        assert not [session for session in await emulator.sessions() if session.phone == PHONE and session.connected]
        await node.close_http()
        await service.stop()
        assert node.stop() == 0
        shutil.move(good, database)
    async with node, await node.listen() as service:
        await service.until("result", clinic="acme", id="queued", status="sent")
        await service.until("message", clinic="acme", text="waits at WhatsApp")
        assert [item.text for item in await emulator.inbox(ANA)] == ["first", "queued"]
        assert [event["text"] for event in service.seen("message", clinic="acme")] == ["first", "waits at WhatsApp"]
