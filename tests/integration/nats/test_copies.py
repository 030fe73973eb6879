"""Streams of a real server, copied and put back in the account they came from and in another server's."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from gateway.nats import copies
from gateway.nats.bus import NatsBus
from gateway.nats.server_config import ClinicQuota
from gateway.vault.keys import new_key
from protocol import subjects
from protocol.errors import BusUnavailableError, InvalidInputError
from protocol.subjects import Priority
from tests.broker import embedded
from tests.integration.nats.conftest import SMALL, serving


async def taken(bus: NatsBus, stream: str, *, consumers: bool = False) -> list[bytes]:
    async with bus.account("north") as connection:
        return [piece async for piece in copies.snapshot(connection, stream, consumers=consumers)]


async def pieces_of(pieces: list[bytes]) -> AsyncIterator[bytes]:
    for piece in pieces:
        yield piece


@pytest.fixture
async def other(tmp_path: Path) -> AsyncIterator[NatsBus]:
    """Another server, with its bus."""
    broker = embedded(tmp_path / "other", new_key(), quota=ClinicQuota(file_bytes=SMALL.clinic_bytes))
    await broker.start()
    bus = NatsBus(broker, retention=SMALL)
    await bus.start()
    yield bus
    await bus.stop(timeout=2)
    await broker.stop(timeout=5)


async def test_what_waited_in_a_queue_is_given_out_by_another_server(bus: NatsBus, other: NatsBus) -> None:
    clinic = await serving(bus, "north", "desk")
    for number in range(300):
        await clinic.enqueue("desk", Priority.NORMAL, f"{number} ".encode() + bytes(3000), {})
    before = await clinic.fetch("desk", 10)
    pieces = await taken(bus, "send")
    assert sum(map(len, pieces)) > 0

    async with other.account("north") as connection:
        await copies.put_back(connection, other.streams("north")["send"], pieces_of(pieces))
    restored = await serving(other, "north", "desk")
    bodies, times = list[bytes](), list[object]()
    async with asyncio.timeout(20):
        while len(bodies) < 300:
            fetched = await restored.fetch("desk", 100)
            bodies += [one.body for one in fetched]
            times += [one.queued_at for one in fetched]
            await restored.settle(fetched, taken=True)
    assert [int(body.split()[0]) for body in bodies] == list(range(300))
    assert times[:10] == [one.queued_at for one in before]


async def test_a_stream_is_put_back_in_the_place_of_the_one_that_is_there(bus: NatsBus) -> None:
    clinic = await serving(bus, "north", "desk")
    await clinic.enqueue("desk", Priority.NORMAL, b"before", {})
    pieces = await taken(bus, "send")
    await clinic.enqueue("desk", Priority.NORMAL, b"after", {})
    await bus.close_clinic("north", forget=False)
    async with bus.account("north") as connection:
        await copies.put_back(connection, bus.streams("north")["send"], pieces_of(pieces))
        await copies.put_back(connection, bus.streams("north")["send"], pieces_of(pieces))
    fetched = await (await serving(bus, "north", "desk")).fetch("desk", 10)
    assert [one.body for one in fetched] == [b"before"]


async def test_nothing_of_a_stream_that_was_deleted_is_in_the_one_that_is_put_back(bus: NatsBus) -> None:
    """One time in twenty, it was: the server had not done removing the one before."""
    clinic = await serving(bus, "north", "desk")
    empty = await taken(bus, "dead")
    await clinic.enqueue("desk", Priority.NORMAL, b"before", {})
    pieces = await taken(bus, "send")
    await bus.close_clinic("north", forget=False)
    wanted = bus.streams("north")
    async with bus.account("north") as connection:
        for _ in range(40):
            await copies.put_back(connection, wanted["send"], pieces_of(pieces))
            assert (await connection.js.stream_info("send")).state.last_seq == 1
        await copies.put_back(connection, wanted["dead"], pieces_of(empty))
        assert (await connection.js.stream_info("dead")).state.last_seq == 0


async def test_a_queue_that_was_put_back_takes_nothing_before_it_is_served(bus: NatsBus) -> None:
    clinic = await serving(bus, "north", "desk")
    await clinic.enqueue("desk", Priority.NORMAL, b"before", {})
    pieces = await taken(bus, "send")
    await bus.close_clinic("north", forget=False)
    async with bus.account("north") as connection:
        await copies.put_back(connection, bus.streams("north")["send"], pieces_of(pieces))
        info = await connection.js.stream_info("send")
        assert info.state.messages == 1
        assert subjects.send("north", "desk", Priority.NORMAL) not in (info.config.subjects or [])


async def test_media_is_put_back_whole(bus: NatsBus, other: NatsBus) -> None:
    media = bytes(range(256)) * 12000
    clinic = await bus.open_clinic("north")
    await clinic.put_media("x-ray", media, mime="image/png")
    pieces = await taken(bus, "OBJ_media")
    async with other.account("north") as connection:
        await copies.put_back(connection, other.streams("north")["OBJ_media"], pieces_of(pieces))
    assert await (await other.open_clinic("north")).get_media("x-ray", limit=1 << 24) == media


async def test_what_is_no_snapshot_is_refused(bus: NatsBus) -> None:
    async with bus.account("north") as connection:
        with pytest.raises(InvalidInputError):
            await copies.put_back(connection, bus.streams("north")["dead"], pieces_of([b"rubbish" * 1000]))


async def test_what_there_is_no_room_for_is_refused(bus: NatsBus) -> None:
    async with bus.account("north") as connection:
        large = bus.streams("north")["dead"].evolve(max_bytes=1 << 40)
        with pytest.raises(InvalidInputError, match="room"):
            await copies.put_back(connection, large, pieces_of([]))


async def test_a_snapshot_that_was_cut_off_is_refused(bus: NatsBus) -> None:
    clinic = await serving(bus, "north", "desk")
    for _ in range(100):
        await clinic.enqueue("desk", Priority.NORMAL, bytes(3000), {})
    pieces = await taken(bus, "send")
    async with bus.account("north") as connection:
        with pytest.raises((InvalidInputError, BusUnavailableError)):
            await copies.put_back(
                connection, bus.streams("north")["send"], pieces_of([pieces[0][: -len(pieces[0]) // 2]])
            )


async def test_a_stream_that_is_not_there_cannot_be_copied(bus: NatsBus) -> None:
    with pytest.raises((InvalidInputError, BusUnavailableError)):
        await taken(bus, "send")
