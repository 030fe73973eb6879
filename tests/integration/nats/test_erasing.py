"""What NATS holds of a clinic, or of a person, is gone: from the streams, and from the disk."""

import json
from base64 import urlsafe_b64encode
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from gateway.nats import scanning
from gateway.nats.broker import EmbeddedBroker
from gateway.nats.bus import NatsBus
from gateway.nats.erasing import Account, PlatformEvents
from gateway.nats.exporting import NatsAccounts
from gateway.nats.people import PeopleInStreams
from gateway.nats.streams import MEDIA_STREAM
from protocol import subjects
from protocol.codec import Encoding, encode
from protocol.events import DeadLetter, ErrorBody
from protocol.subjects import Priority
from tests.integration.nats.conftest import serving

NOW = datetime(2026, 11, 28, tzinfo=UTC)
ANA, BIA = "5511988880001", "5511988880002"
JIDS = frozenset({f"{ANA}@s.whatsapp.net", "775511988880001@lid"})


def untold(step: str, done: int = 0, total: int | None = None) -> None:
    """Nobody waits."""


async def publish(bus: NatsBus, clinic: str, subject: str, body: Any) -> None:
    """As Plantão does: into the clinic's account, from which the platform imports it."""
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    async with bus.account(clinic) as connection:
        await connection.js.publish(f"clinic.{clinic}.channel.desk.{subject}", content)


def message(person: str, **more: Any) -> dict[str, Any]:
    return {"v": 1, "from_phone": person, "chat": f"{person}@s.whatsapp.net", "text": f"words of {person}", **more}


async def left(bus: NatsBus, clinic: str, stream: str) -> list[Any]:
    async with NatsAccounts(bus).reading(clinic) as account:
        return [told.body async for told in account.told(stream, None)]


async def on_platform(bus: NatsBus, subject: str) -> int:
    async with bus.platform() as connection:
        return await scanning.count(connection, subjects.STREAM_EVENTS, subject)


async def test_what_is_about_a_person_goes_from_all_streams(bus: NatsBus) -> None:
    await serving(bus, "acme", "desk")
    for person in (ANA, BIA):
        await publish(bus, "acme", "event.message", message(person))
        await publish(bus, "acme", "event.result", {"id": "x", "to": person})
        await publish(bus, "acme", "dead", {"id": "x", "error": {"message": "no"}, "body": {"to": person}})
        await bus.clinic("acme").enqueue("desk", Priority.NORMAL, json.dumps({"id": "q", "to": person}).encode(), {})
    await publish(bus, "acme", "event.message", {"from": "775511988880001@lid", "text": "by LID"})

    result = await PeopleInStreams(bus).erase_person("acme", JIDS, untold)

    assert result == {"events": 3, "dead_letters": 1, "queued": 1, "media": 0, "platform_events": 4}
    for stream, count in ((subjects.STREAM_EVENTS, 2), (subjects.STREAM_DEAD, 1), (subjects.STREAM_SEND, 1)):
        assert len(await left(bus, "acme", stream)) == count


async def test_what_cannot_be_read_goes_if_their_digits_are_in_it(bus: NatsBus) -> None:
    await serving(bus, "acme", "desk")
    await publish(bus, "acme", "dead", b"\xc1 not msgpack " + ANA.encode())
    await publish(bus, "acme", "dead", b"\xc1 not msgpack " + BIA.encode())
    assert (await PeopleInStreams(bus).erase_person("acme", JIDS, untold))["dead_letters"] == 1


@pytest.mark.parametrize("encoding", list(Encoding))
@pytest.mark.parametrize("command", [json.dumps({"to": ANA}).encode(), b"\xc1 to " + ANA.encode()])
async def test_a_dead_letter_goes_by_the_command_in_it(bus: NatsBus, encoding: Encoding, command: bytes) -> None:
    await serving(bus, "acme", "desk")
    error = ErrorBody(code="invalid", message="no", permanent=True)
    letter = DeadLetter(clinic="acme", channel="desk", id=None, error=error, attempts=0, at=NOW, body=command)
    await publish(bus, "acme", "dead", encode(letter, encoding))
    assert (await PeopleInStreams(bus).erase_person("acme", JIDS, untold))["dead_letters"] == 1


async def test_media_go_with_the_message_that_names_them(bus: NatsBus) -> None:
    clinic = await serving(bus, "acme", "desk")
    for name, person in (("of-ana", ANA), ("of-bia", BIA)):
        await clinic.put_media(name, f"picture {name} ".encode() * 30_000, mime="image/png")
        await publish(bus, "acme", "event.message", message(person, media={"object": name}))

    assert (await PeopleInStreams(bus).erase_person("acme", JIDS, untold))["media"] == 1

    async with NatsAccounts(bus).reading("acme") as account:
        assert [found.name async for found in account.objects(None)] == ["of-bia"]
    assert len(await clinic.get_media("of-bia", limit=1 << 20)) == 15 * 30_000


@pytest.mark.parametrize("name", ["", ".", "*", ">", "a b", "é\r\n", "x" * 100_000, "\ud800"])
async def test_whatever_a_message_calls_its_media_it_goes(bus: NatsBus, name: str) -> None:
    await serving(bus, "acme", "desk")
    await publish(bus, "acme", "event.message", message(ANA, media={"object": name}))
    result = await PeopleInStreams(bus).erase_person("acme", JIDS, untold)
    assert (result["events"], result["media"]) == (1, 0)


async def test_media_whose_description_nobody_can_read_goes(bus: NatsBus) -> None:
    clinic = await serving(bus, "acme", "desk")
    await clinic.put_media("of-ana", b"picture", mime="image/png")
    await publish(bus, "acme", "event.message", message(ANA, media={"object": "of-ana"}))
    described = f"$O.{subjects.MEDIA_BUCKET}.M." + urlsafe_b64encode(b"of-ana").decode()
    async with bus.account("acme") as connection:
        await connection.js.publish(described, b"no description")
        result = await PeopleInStreams(bus).erase_person("acme", JIDS, untold)
        assert (result["events"], result["media"]) == (1, 1)
        assert await scanning.count(connection, MEDIA_STREAM, described) == 0


async def test_it_can_be_asked_for_again(bus: NatsBus) -> None:
    await serving(bus, "acme", "desk")
    await publish(bus, "acme", "event.message", message(ANA, media={"object": "was never there"}))
    await PeopleInStreams(bus).erase_person("acme", JIDS, untold)
    assert set((await PeopleInStreams(bus).erase_person("acme", JIDS, untold)).values()) == {0}


async def test_a_clinic_goes_from_the_platforms_stream(bus: NatsBus) -> None:
    for clinic in ("acme", "bela"):
        await serving(bus, clinic, "desk")
        for number in range(5):
            await publish(bus, clinic, "event.message", message(ANA, text=f"said to {clinic} {number}"))

    result = await PlatformEvents(bus).erase("acme", untold)

    assert result == {"platform_events": 5}
    assert await on_platform(bus, "clinic.acme.>") == 0
    assert await on_platform(bus, "clinic.bela.>") == 5
    assert len(await left(bus, "acme", subjects.STREAM_EVENTS)) == 5, "only its own account has it still"


async def test_its_account_goes_with_all_it_holds(bus: NatsBus, broker: EmbeddedBroker, tmp_path: Path) -> None:
    await serving(bus, "acme", "desk")
    await publish(bus, "acme", "event.message", message(ANA))
    account = Account(bus, broker)
    assert await account.holds("acme")

    result = await account.erase("acme", untold)

    assert result["nats_account"] == "removed"
    assert int(result["streams"]) >= 5
    assert not await account.holds("acme")
    assert not (tmp_path / "nats" / "jetstream" / "clinic-acme").exists()
    assert (await account.erase("acme", untold))["streams"] == 0


async def test_a_clinic_of_its_name_begins_empty(bus: NatsBus, broker: EmbeddedBroker) -> None:
    await serving(bus, "acme", "desk")
    await publish(bus, "acme", "event.message", message(ANA))
    await Account(bus, broker).erase("acme", untold)
    await serving(bus, "acme", "desk")
    assert await left(bus, "acme", subjects.STREAM_EVENTS) == []


@pytest.mark.parametrize("subject", ["clinic.none.>", "clinic.acme.>"])
async def test_a_stream_that_has_nothing_is_looked_through(bus: NatsBus, subject: str) -> None:
    async with bus.platform() as connection:
        assert [found async for found in scanning.scan(connection, subjects.STREAM_EVENTS, subject)] == []
        assert [found async for found in scanning.scan(connection, "nowhere", subject)] == []
        await scanning.erase(connection, subjects.STREAM_EVENTS, 77)
