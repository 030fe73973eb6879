from datetime import timedelta
from pathlib import Path

import pytest

from gateway.store import Bounds, SqliteStore
from gateway.store.ledger import SqliteLedger
from protocol.condemnation import Condemnation
from protocol.errors import StoreUnavailableError
from protocol.inbound import Claim
from protocol.ledger import NO_NUMBER, Accepted, Paired
from protocol.port_events import Undecryptable
from tests.integration.store.samples import (
    CHANNEL,
    JID,
    NOW,
    begun,
    claim,
    failed,
    keys_of,
    later,
    message,
    offer,
    published,
    receipt,
    sent,
    settled,
)

OTHER = "laboratorio"


async def spooled(ledger: SqliteLedger, channel: str = CHANNEL) -> list[str]:
    return [each.key for each in await ledger.spooled(channel, 0, 1000)]


async def test_what_comes_in_is_claimed_once(ledger: SqliteLedger) -> None:
    first, again, second = await ledger.claim(CHANNEL, [claim("a"), claim("a", "other"), claim("b")], NOW)
    assert first is not None
    assert second is not None
    assert (again, first < second) == (None, True)
    assert await ledger.claim(CHANNEL, [claim("b"), claim("c")], NOW) == [None, second + 1]
    assert await ledger.claimed(CHANNEL, ["a", "b", "x"]) == {"a", "b"}
    assert await ledger.claimed(OTHER, ["a"]) == frozenset()
    assert (await ledger.spooled(CHANNEL, 0, 10))[0].what == message("a")


async def test_everything_that_comes_in_comes_back_as_it_was(ledger: SqliteLedger) -> None:
    lost = Undecryptable(wa_id="W", chat=JID, sender=JID, at=NOW)
    given = [claim("a"), Claim(key="b", what=receipt("W1", "W2")), Claim(key="c", what=lost)]
    await ledger.claim(CHANNEL, given, later(1))
    found = await ledger.spooled(CHANNEL, 0, 10)
    assert [(each.key, each.what, each.at) for each in found] == [(each.key, each.what, later(1)) for each in given]


async def test_the_spool_is_read_page_by_page_until_nats_has_it(ledger: SqliteLedger) -> None:
    await ledger.claim(OTHER, [claim("a")], NOW)
    await ledger.claim(CHANNEL, [claim(f"k{n}") for n in range(5)], NOW)
    first = await ledger.spooled(CHANNEL, 0, 3)
    rest = await ledger.spooled(CHANNEL, first[-1].seq, 3)
    assert [each.key for each in (*first, *rest)] == ["k0", "k1", "k2", "k3", "k4"]
    await ledger.stored(CHANNEL, ["k0", "k3", "unknown", "a"])
    assert await spooled(ledger) == ["k1", "k2", "k4"]
    assert await spooled(ledger, OTHER) == ["a"]
    assert await ledger.claim(CHANNEL, [claim("k0")], NOW) == [None]
    assert (await ledger.counts()).spooled == {CHANNEL: 3, OTHER: 1}


async def test_a_full_spool_takes_no_part_of_a_batch_and_takes_it_when_there_is_room(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    store = SqliteStore(tmp_path_factory.mktemp("data"), keys_of, bounds=Bounds(spool_bytes=20_000))
    await store.start()
    ledger = await store.open_clinic("acme")
    await ledger.claim(CHANNEL, [claim("a", "x" * 15_000)], NOW)
    with pytest.raises(StoreUnavailableError, match=r"clinic acme: .*clinic\.db .*the spool is full \(20000 bytes\)"):
        await ledger.claim(OTHER, [claim("b", people=[JID]), claim("c", "x" * 15_000)], NOW)
    assert await ledger.claimed(OTHER, ["b", "c"]) == frozenset()
    assert await ledger.claim(CHANNEL, [claim("a", "x" * 15_000)], NOW) == [None]
    await ledger.stored(CHANNEL, ["a"])
    await ledger.claim(OTHER, [claim("b"), claim("c", "x" * 15_000)], NOW)
    await ledger.forget_channel(OTHER)
    await ledger.claim(CHANNEL, [claim("d", "x" * 15_000)], NOW)
    await store.stop(timeout=5)


async def test_a_batch_that_is_larger_than_the_spool_is_taken_when_that_is_empty(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path, keys_of, bounds=Bounds(spool_bytes=1024))
    await store.start()
    try:
        ledger = await store.open_clinic("acme")
        await ledger.claim(CHANNEL, [claim("first")], NOW)
        batch = [claim(f"k{number}") for number in range(50)]
        with pytest.raises(StoreUnavailableError, match="the spool is full"):
            await ledger.claim(CHANNEL, batch, NOW)
        await ledger.stored(CHANNEL, ["first"])
        assert None not in await ledger.claim(CHANNEL, batch, NOW)
        with pytest.raises(StoreUnavailableError, match="the spool is full"):
            await ledger.claim(CHANNEL, [claim("more")], NOW)
    finally:
        await store.stop(timeout=5)


async def test_who_wrote_is_known_under_all_their_names_at_their_latest(ledger: SqliteLedger) -> None:
    await ledger.claim(CHANNEL, [Claim(key="a", what=message("a", at=later(9)), people=[JID, "77@lid"])], NOW)
    await ledger.claim(CHANNEL, [Claim(key="b", what=message("b", at=later(5)), people=[JID], opted_out=True)], NOW)
    await ledger.claim(CHANNEL, [Claim(key="a", what=message("a", at=later(99)), people=[JID])], NOW)
    await ledger.claim(CHANNEL, [Claim(key="c", what=message("c", at=later(6)), people=[JID])], NOW)
    by_phone, by_lid = await ledger.accept(CHANNEL, [offer("1"), offer("2", to="77@lid")], NOW)
    assert isinstance(by_phone, Accepted)
    assert isinstance(by_lid, Accepted)
    assert (by_phone.contact.last_in, by_phone.contact.opted_out) == (later(9), True)
    assert (by_lid.contact.last_in, by_lid.contact.opted_out) == (later(9), False)
    await ledger.claim(CHANNEL, [Claim(key="d", what=message("d"), people=[JID], opted_out=False)], NOW)
    assert [each.contact.opted_out for each in await ledger.unfinished(CHANNEL)] == [False, False]


async def test_the_row_up_to_which_traces_are_accounted_for_is_kept(ledger: SqliteLedger) -> None:
    await ledger.accept(CHANNEL, [offer("a")], NOW)
    await ledger.record(CHANNEL, settled(sent("a")))
    assert await ledger.traced(CHANNEL) is None
    await ledger.trace(CHANNEL, 7)
    await ledger.trace(CHANNEL, 9)
    assert await ledger.traced(CHANNEL) == 9
    assert await ledger.traced(OTHER) is None
    assert (await ledger.sendings(CHANNEL, minute=NOW, day=NOW)).first == NOW


async def test_the_number_that_was_connected_last_is_kept(ledger: SqliteLedger) -> None:
    assert await ledger.paired(CHANNEL) is None
    await ledger.trace(CHANNEL, 7)
    assert await ledger.paired(CHANNEL) is None
    for paired in (
        Paired(phone="5511900000001"),
        Paired(phone="5511900000002", jid="2:7@s.whatsapp.net", changed_at=NOW),
        Paired(phone=NO_NUMBER, condemned=Condemnation(reason="outdated", since=NOW, client="1")),
        Paired(phone="5511900000002", condemned=Condemnation(reason="banned", since=NOW, until=NOW)),
        Paired(phone="5511900000002"),
    ):
        await ledger.pair(CHANNEL, paired)
        assert await ledger.paired(CHANNEL) == paired
    assert (await ledger.paired(OTHER), await ledger.traced(CHANNEL)) == (None, 7)


async def test_a_place_in_the_order_of_claims_never_comes_again(ledger: SqliteLedger) -> None:
    first = await ledger.claim(CHANNEL, [claim("a"), claim("b")], NOW)
    await ledger.stored(CHANNEL, ["a", "b"])
    assert await ledger.sweep(NOW + timedelta(days=400)) > 0
    assert await ledger.claimed(CHANNEL, ["a", "b"]) == frozenset()
    second = await ledger.claim(CHANNEL, [claim("c")], NOW)
    await ledger.forget_channel(CHANNEL)
    third = await ledger.claim(OTHER, [claim("d")], NOW)
    places = [place for place in (*first, *second, *third) if place is not None]
    assert places == sorted(set(places))
    assert len(places) == 4


async def test_nothing_is_left_of_a_forgotten_channel(ledger: SqliteLedger) -> None:
    for channel in (CHANNEL, OTHER):
        await ledger.accept(channel, [offer("a"), offer("b")], NOW)
        await ledger.record(channel, begun("a"))
        await ledger.record(channel, settled(failed("a"), sent("b")))
        await ledger.claim(channel, [claim("k", people=[JID])], NOW)
        await ledger.trace(channel, 7)
    await ledger.forget_channel(CHANNEL)
    assert await ledger.unpublished(CHANNEL) == []
    assert await ledger.traced(CHANNEL) is None
    assert await spooled(ledger) == []
    [verdict] = await ledger.accept(CHANNEL, [offer("a", "Tchau")], NOW)
    assert isinstance(verdict, Accepted)
    assert not verdict.contact.known
    assert len(await ledger.unpublished(OTHER)) == 2
    assert await ledger.claim(CHANNEL, [claim("k")], NOW) != [None]
    assert await ledger.claim(OTHER, [claim("k")], NOW) == [None]


async def test_what_is_over_and_published_is_forgotten_after_its_time(ledger: SqliteLedger) -> None:
    bounds = Bounds()
    await ledger.accept(CHANNEL, [offer(key, deliver_by=later(60) if key == "c" else None) for key in "abcd"], NOW)
    await ledger.record(CHANNEL, settled(sent("a"), sent("b"), sent("c")))
    await ledger.record(CHANNEL, published("a", "c"))
    await ledger.claim(CHANNEL, [claim("k"), claim("l")], NOW)
    await ledger.stored(CHANNEL, ["k"])
    assert await ledger.sweep(NOW + bounds.remember) == 0
    assert await ledger.sweep(NOW + bounds.remember + timedelta(seconds=1)) == 1
    assert await ledger.claimed(CHANNEL, ["k", "l"]) == {"l"}
    assert await ledger.sweep(NOW + bounds.keep) == 0
    assert await ledger.sweep(NOW + bounds.keep + timedelta(seconds=1)) == 1
    assert [view.id for view in (await ledger.commands(CHANNEL, state=None, before=None, limit=9)).items] == [
        "d",
        "c",
        "b",
    ]
    assert (await ledger.sendings(CHANNEL, minute=NOW, day=NOW)).first == NOW


async def test_a_sweep_deletes_no_more_than_some_at_once(ledger: SqliteLedger, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.store.ledger.SWEEP", 3)
    for channel in (CHANNEL, OTHER):
        ids = [f"{n}" for n in range(4)]
        await ledger.accept(channel, [offer(key) for key in ids], NOW)
        await ledger.record(channel, settled(*map(sent, ids)))
        await ledger.record(channel, published(*ids))
    swept = []
    while number := await ledger.sweep(NOW + timedelta(days=99)):
        swept.append(number)
    assert swept == [3, 3, 2]


async def test_what_there_is_of_channels_that_are_not_wanted_is_found(ledger: SqliteLedger) -> None:
    assert await ledger.register({CHANNEL: NOW, OTHER: NOW}) == frozenset()
    assert await ledger.register({CHANNEL: NOW}) == {OTHER}, "it was removed, and nobody forgot it"
    assert await ledger.register({CHANNEL: NOW, OTHER: later(1)}) == {OTHER}, "that is another one"
    await ledger.forget_channel(OTHER)
    assert await ledger.register({CHANNEL: NOW, OTHER: later(1)}) == frozenset()
    assert await ledger.register({OTHER: later(1)}) == {CHANNEL}


async def test_a_channel_from_before_times_were_kept_is_taken_for_the_present_one(ledger: SqliteLedger) -> None:
    await ledger.trace(CHANNEL, 7)
    assert await ledger.register({}) == {CHANNEL}
    assert await ledger.register({CHANNEL: NOW}) == frozenset()
    assert await ledger.traced(CHANNEL) == 7
