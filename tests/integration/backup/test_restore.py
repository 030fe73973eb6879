"""A clinic of two is backed up while messages flow, lost, and put back: here, and on a node with another master key."""

import asyncio
import shutil
from pathlib import Path

from protocol.bus import Publication
from protocol.channel import Breaker, ChannelState
from protocol.commands import parse, utc_now
from protocol.events import StateEvent, message_id
from protocol.jobs import JobState
from protocol.ledger import Accepted, Attempt, Changes, Paired, Repeated
from protocol.subjects import EventKind, Priority
from tests.integration.backup.bed import CREATED, OTHER_MASTER, PHONE, Bed, clinics_left, running
from tests.integration.store.samples import ended, offer
from tests.integration.vault import session_stores

SECRET = "correct horse battery staple"
MEDIA = bytes(range(256)) * 3000


async def fill(bed: Bed, clinic: str = "north") -> None:
    """A command that was sent, one that waits, one in the queue; a session, an event, and media."""
    bus, ledger = bed.opened[clinic].bus, bed.ledger(clinic)
    await bed.pair(clinic, "desk")
    await ledger.pair("desk", Paired(phone=PHONE, jid=None))
    await ledger.accept("desk", [offer("sent"), offer("waits")], CREATED)
    await ledger.record("desk", Changes(begun=[Attempt(id="sent", run=1, secret=bytes(32))]))
    await ledger.record("desk", Changes(results=[ended("sent", "sent")]))
    await bus.enqueue("desk", Priority.HIGH, b"in the queue", {})
    await bus.put_media("x-ray", MEDIA, mime="image/png")
    await bus.publish([publication(clinic)])


def publication(clinic: str) -> Publication:
    event = StateEvent(
        clinic=clinic,
        channel="desk",
        state=ChannelState.CONNECTED,
        previous=ChannelState.INITIALIZING,
        reason="",
        since=CREATED,
        attempt=0,
        next_retry_at=None,
        breaker=Breaker.CLOSED,
    )
    return Publication(
        channel="desk", kind=EventKind.STATE, event=event, message_id=message_id("desk", "one"), headers={}
    )


async def is_back(bed: Bed, clinic: str = "north") -> None:
    """All that ``fill`` made is there."""
    opened, ledger = await bed.running(clinic, "desk", "lab"), bed.ledger(clinic)
    wanted = bed.board.wanted()
    assert wanted is not None
    assert wanted.clinics[clinic].name == f"Clinic {clinic}"
    assert wanted.channels[clinic, "desk"].config == {"pacing": {"per_minute": 10}}
    assert wanted.channels[clinic, "desk"].created_at == CREATED
    [verdict] = await ledger.accept("desk", [offer("sent", after_s=100)], utc_now())
    assert isinstance(verdict, Repeated)
    assert verdict.result is not None
    assert [one.command.id for one in await ledger.unfinished("desk")] == ["waits"]
    async with asyncio.timeout(10):
        fetched = await opened.bus.fetch("desk", 10)
    assert [one.body for one in fetched] == [b"in the queue"]
    assert await opened.bus.get_media("x-ray", limit=1 << 24) == MEDIA
    async with bed.bus.account(clinic) as connection:
        info = await connection.js.stream_info("events")
        assert info.state.messages == 1
    store = bed.session(clinic, "desk")
    await bed.vaults.clinic(clinic).restore("desk", str(store))
    assert await asyncio.to_thread(session_stores.is_whole, store)
    assert await asyncio.to_thread(session_stores.counter_of, store) is None
    assert clinics_left(bed.data) == []


async def forget(bed: Bed, clinic: str) -> None:
    """The clinic is removed, and all that there is of it."""
    await bed.registry.delete_clinic(clinic)
    async with asyncio.timeout(20):
        while bed.board.clinic(clinic) is not None:  # noqa: ASYNC110 - not an event
            await asyncio.sleep(0.02)
    await bed.bus.close_clinic(clinic, forget=True)
    await bed.vaults.let_go(clinic)
    await asyncio.to_thread(shutil.rmtree, bed.data / "clinics" / clinic)
    await asyncio.to_thread(shutil.rmtree, bed.runtime / "clinics" / clinic, ignore_errors=True)


async def test_a_clinic_that_was_lost_is_put_back_where_it_was(bed: Bed, tmp_path: Path) -> None:
    await fill(bed)
    await bed.backup("north", tmp_path / "archive")
    await forget(bed, "north")
    view = await bed.restore(tmp_path / "archive")
    assert view.state is JobState.DONE, view.error
    assert bed.board.channels("north"), "its channels can be asked at once"
    await is_back(bed)


async def test_a_clinic_moves_to_a_node_with_another_master_key(bed: Bed, tmp_path: Path) -> None:
    await fill(bed)
    await bed.backup("north", tmp_path / "archive", passphrase=SECRET)
    async with running(tmp_path / "elsewhere", OTHER_MASTER) as other:
        view = await other.restore(tmp_path / "archive")
        assert view.state is JobState.FAILED
        assert "its passphrase" in (view.error or "")
        view = await other.restore(tmp_path / "archive", passphrase=SECRET)
        assert view.state is JobState.DONE, view.error
        await is_back(other)
    async with running(tmp_path / "elsewhere", OTHER_MASTER) as again:
        await is_back_after_a_start(again)


async def is_back_after_a_start(bed: Bed) -> None:
    await bed.running("north", "desk", "lab")
    assert [one.command.id for one in await bed.ledger("north").unfinished("desk")] == ["waits"]


async def test_what_waited_is_held_unless_it_is_said_that_nothing_was_sent_since(bed: Bed, tmp_path: Path) -> None:
    await fill(bed)
    await bed.backup("north", tmp_path / "archive")
    before = utc_now()
    await bed.restore(tmp_path / "archive", replace=True)
    await bed.running("north", "desk", "lab")
    paired = await bed.ledger("north").paired("desk")
    assert paired is not None
    assert (paired.phone, before <= (paired.restored_at or CREATED) <= utc_now()) == (PHONE, True)
    never = await bed.ledger("north").paired("lab")
    assert never is not None
    assert (never.phone, never.restored_at) == ("", paired.restored_at)
    await bed.restore(tmp_path / "archive", replace=True, resume=True)
    await bed.running("north", "desk", "lab")
    assert await bed.ledger("north").paired("desk") == Paired(phone=PHONE, jid=None)
    assert await bed.ledger("north").paired("lab") is None


async def test_what_is_there_is_replaced_only_if_that_is_wanted(bed: Bed, tmp_path: Path) -> None:
    await fill(bed)
    await bed.backup("north", tmp_path / "archive")
    await bed.ledger("north").accept("desk", [offer("since")], utc_now())
    view = await bed.restore(tmp_path / "archive")
    assert (view.state, "there already" in (view.error or "")) == (JobState.FAILED, True)
    assert len(await bed.ledger("north").unfinished("desk")) == 2
    view = await bed.restore(tmp_path / "archive", replace=True)
    assert view.state is JobState.DONE, view.error
    await is_back(bed)
    assert not (bed.data / "incoming").exists()


async def test_one_that_is_being_erased_is_refused_before_anything_is_touched(bed: Bed, tmp_path: Path) -> None:
    await fill(bed)
    await bed.backup("north", tmp_path / "archive")
    bed.restoring._is_erased = lambda clinic: clinic == "north"
    view = await bed.restore(tmp_path / "archive", "north", replace=True)
    assert (view.state, "being erased" in (view.error or "")) == (JobState.FAILED, True)
    assert not (bed.data / "incoming").exists()
    assert bed.board.clinic("north") is not None


async def test_other_clinics_notice_nothing(bed: Bed, tmp_path: Path) -> None:
    await fill(bed)
    south = bed.opened["south"]
    await bed.backup("north", tmp_path / "archive")
    await bed.restore(tmp_path / "archive", replace=True)
    assert bed.opened["south"].bus is south.bus
    await south.bus.enqueue("desk", Priority.NORMAL, b"hello", {})
    assert [one.body for one in await south.bus.fetch("desk", 1)] == [b"hello"]


async def test_a_node_is_put_back_as_a_whole_or_a_clinic_of_it(bed: Bed, tmp_path: Path) -> None:
    await fill(bed)
    view = await bed.backup(None, tmp_path / "archive", passphrase=SECRET)
    assert view.result["clinics"] == 2
    async with running(tmp_path / "third", OTHER_MASTER) as third:
        view = await third.restore(tmp_path / "archive", "east", passphrase=SECRET)
        assert "north, south" in (view.error or "")
        view = await third.restore(tmp_path / "archive", "north", passphrase=SECRET)
        assert view.state is JobState.DONE, view.error
        await is_back(third)
        assert third.board.clinic("south") is None
        view = await third.restore(tmp_path / "archive", replace=True, passphrase=SECRET)
        assert view.state is JobState.DONE, view.error
        await third.running("south", "desk")
        await is_back(third)


async def test_nothing_is_lost_or_double_while_messages_flow(bed: Bed, tmp_path: Path) -> None:
    bus, ledger = bed.opened["north"].bus, bed.ledger("north")
    published, taken = list[str](), list[str]()

    async def publish() -> None:
        while True:
            name = f"m{len(published)}"
            await bus.enqueue("desk", Priority.NORMAL, offer(name).body, {})
            published.append(name)

    async def take() -> None:
        while True:
            fetched = await bus.fetch("desk", 5)
            offers = [offer(id_in(one.body)) for one in fetched]
            await ledger.accept("desk", offers, utc_now())
            await bus.settle(fetched, taken=True)
            taken.extend(one.command.id for one in offers)

    flowing = [asyncio.create_task(publish()), asyncio.create_task(take())]
    async with asyncio.timeout(20):
        while len(taken) < 50:  # noqa: ASYNC110 - not an event
            await asyncio.sleep(0.01)
    before = list(published)
    await bed.backup("north", tmp_path / "archive")
    assert len(published) > len(before)
    for task in flowing:
        task.cancel()
        await asyncio.wait([task])
    view = await bed.restore(tmp_path / "archive", replace=True)
    assert view.state is JobState.DONE, view.error
    opened, ledger = await bed.running("north", "desk", "lab"), bed.ledger("north")
    owned = [one.command.id for one in await ledger.unfinished("desk")]
    assert len(set(owned)) == len(owned)
    queued = list[str]()
    waiting = await in_queue(bed)
    while len(queued) < waiting:
        fetched = await opened.bus.fetch("desk", 100)
        await opened.bus.settle(fetched, taken=True)
        queued += [id_in(one.body) for one in fetched]
    assert set(before) <= {*owned, *queued}
    for verdict in await ledger.accept("desk", [offer(one) for one in queued if one in owned], utc_now()):
        assert isinstance(verdict, Repeated)
    for verdict in await ledger.accept("desk", [offer(one) for one in set(queued) - set(owned)], utc_now()):
        assert isinstance(verdict, Accepted)


def id_in(body: bytes) -> str:
    return parse(body).id


async def in_queue(bed: Bed) -> int:
    async with bed.bus.account("north") as connection:
        return int((await connection.js.stream_info("send")).state.messages)


async def test_a_clean_session_stays_clean_where_it_is_and_is_stale_where_it_is_put_back(
    bed: Bed, tmp_path: Path
) -> None:
    await fill(bed)
    store = bed.session("north", "desk")
    await bed.vaults.clinic("north").snapshot("desk", str(store), clean=True)
    await bed.backup("north", tmp_path / "archive")
    sealed = bed.data / "clinics" / "north" / "channels" / "desk"
    assert len(list(sealed.glob("*.clean"))) == 1
    await bed.restore(tmp_path / "archive", replace=True)
    await bed.running("north", "desk", "lab")
    assert not list(sealed.glob("*.clean"))
    assert len(list(sealed.glob("*.vault"))) == 2
