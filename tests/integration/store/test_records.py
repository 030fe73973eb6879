"""What there is of people is handed over, erased, agreed to and forgotten."""

import sqlite3
from contextlib import closing
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from gateway.store.ledger import SqliteLedger
from protocol.errors import InvalidInputError
from protocol.inbound import Claim
from protocol.ledger import NO_NUMBER, STRANGER, Accepted, Contact, Paired, Receipt
from protocol.records import (
    CommandRecord,
    Consent,
    ConsentKind,
    ConsentSource,
    Erased,
    InboundRecord,
    NumberRecord,
    PersonRecord,
    Record,
)
from protocol.views import CommandState
from tests.fakes.memory_ledger import MemoryLedger
from tests.integration.store.samples import (
    CHANNEL,
    HEADERS,
    JID,
    NOW,
    begun,
    failed,
    later,
    message,
    offer,
    published,
    sent,
    settled,
)

LID = "77812345678901@lid"
ANA = frozenset({JID, LID})
BIA = "5511900000001@s.whatsapp.net"
GROUP = "5511-9@g.us"


def words(key: str, sender: str = LID, *, opted_out: bool | None = None, at_s: float = 0) -> Claim:
    """A person wrote."""
    what = message(key, "palavras", sender=sender, at=later(at_s))
    people = (LID, JID) if sender == LID else (sender,)
    return Claim(key=key, what=what, people=people, opted_out=opted_out)


async def fill(ledger: SqliteLedger | MemoryLedger) -> None:
    """Two people, written to and writing."""
    offers = [
        offer("sent", "para Ana", meta={"visit": 7}),
        offer("by-lid", to=LID),
        offer("failed"),
        offer("waiting"),
        offer("later", not_before=later(60)),
        offer("for-bia", to="5511900000001"),
    ]
    await ledger.accept(CHANNEL, offers, NOW)
    await ledger.record(CHANNEL, begun("sent", "by-lid", "failed", "for-bia"))
    await ledger.record(CHANNEL, settled(sent("sent", "W1"), sent("by-lid", "W2"), failed("failed"), sent("for-bia")))
    await ledger.record(CHANNEL, published("sent"))
    await ledger.receipted(CHANNEL, [Receipt(wa_id="W1", kind="read", at=NOW)])
    await ledger.claim(CHANNEL, [words("k1"), words("k2", BIA), words("k3", opted_out=True)], NOW)
    await ledger.pair(CHANNEL, Paired(phone="5511912345678", jid=None))
    await ledger.pair("unpaired", Paired(phone=NO_NUMBER))


async def all_records(ledger: SqliteLedger | MemoryLedger, people: frozenset[str] | None = None) -> list[Record]:
    return [record async for record in ledger.export(people)]


def short(records: list[Record]) -> list[object]:
    """What each is about."""
    return [
        {
            NumberRecord: lambda it: it.phone,
            CommandRecord: lambda it: it.view.id,
            InboundRecord: lambda it: it.what.wa_id,
            PersonRecord: lambda it: it.jid,
            Consent: lambda it: it.what.value,
        }[type(record)](record)
        for record in records
    ]


async def test_all_of_a_clinic_is_handed_over(ledger: SqliteLedger) -> None:
    await fill(ledger)
    records = await all_records(ledger)
    assert sorted(map(str, short(records))) == sorted(
        [
            *("5511912345678", "sent", "by-lid", "failed", "waiting", "later", "for-bia"),
            *("k1", "k2", "k3", JID, LID, BIA, "opted_out"),
        ]
    )
    commands = {record.view.id: record for record in records if isinstance(record, CommandRecord)}
    done, lost = commands["sent"], commands["failed"]
    assert (done.channel, done.view.meta, done.headers, done.body) == (CHANNEL, {"visit": 7}, HEADERS, None)
    assert (done.view.read_at, done.view.state, [each.wa_id for each in done.results]) == (NOW, "sent", ["W1"])
    assert lost.body == offer("failed").body
    assert len(lost.view.history) == len(lost.results) == 1
    [person] = [each for each in records if isinstance(each, PersonRecord) and each.jid == LID]
    assert person == PersonRecord(channel=CHANNEL, jid=LID, last_in=NOW, first_out=NOW, last_out=NOW, opted_out=True)
    assert await all_records(ledger, frozenset({"nobody@lid"})) == []


async def test_what_there_is_of_one_person_is_handed_over(ledger: SqliteLedger) -> None:
    await fill(ledger)
    assert sorted(map(str, short(await all_records(ledger, ANA)))) == sorted(
        ["sent", "by-lid", "failed", "waiting", "later", "k1", "k3", JID, LID, "opted_out"]
    )
    assert sorted(map(str, short(await all_records(ledger, frozenset({BIA}))))) == sorted(["for-bia", "k2", BIA])


async def test_more_than_a_page_is_handed_over_once_each(ledger: SqliteLedger) -> None:
    ids = [f"c{n:02d}" for n in range(50)]
    await ledger.accept(CHANNEL, [offer(key, to=f"55119{n:08d}") for n, key in enumerate(ids)], NOW)
    await ledger.claim(CHANNEL, [words(f"k{n:02d}", f"77{n}@lid") for n in range(50)], NOW)
    found = short(await all_records(ledger))
    assert found[:100] == [*ids, *(f"k{n:02d}" for n in range(50))]
    assert sorted(map(str, found[100:])) == sorted(f"77{n}@lid" for n in range(50))


async def test_a_person_is_erased_and_still_not_written_to(ledger: SqliteLedger) -> None:
    await fill(ledger)
    await ledger.record_consent(
        Consent(
            channel=CHANNEL,
            people=[JID],
            at=later(1),
            what=ConsentKind.WITHDRAWN,
            source=ConsentSource.OPERATOR,
            note="Ana telefonou",
        )
    )
    assert await ledger.erase_person(ANA) == Erased(commands=4, inbound=2, people=2, consents=1, under_way=1)
    left = await all_records(ledger, ANA)
    assert sorted(map(str, short(left))) == sorted(["waiting", JID, LID, "withdrawn"])
    assert {each.note for each in left if isinstance(each, Consent)} == {""}
    for person in left:
        if isinstance(person, PersonRecord):
            assert person.opted_out
            assert (person.last_in, person.first_out, person.last_out) == (None, None, None)
    assert sorted(map(str, short(await all_records(ledger, frozenset({BIA}))))) == sorted(["for-bia", "k2", BIA])
    [again] = await ledger.accept(CHANNEL, [offer("sent", "de novo")], NOW)
    assert isinstance(again, Accepted)
    assert again.contact == Contact(opted_out=True)


async def test_nothing_of_what_is_erased_stays_in_a_file_also_sealed(ledger: SqliteLedger, file: Path) -> None:
    await ledger.accept(CHANNEL, [offer("a", not_before=later(60))], NOW)
    await ledger.claim(CHANNEL, [words("k1")], NOW)
    with closing(sqlite3.connect(file)) as other:
        found = other.execute("SELECT private FROM commands UNION SELECT body FROM bodies UNION SELECT what FROM spool")
        sealed = [value for (value,) in found]
    await ledger.erase_person(ANA)
    files = [each.read_bytes() for each in file.parent.iterdir()]
    assert len(sealed) == 3
    assert not [value for value in sealed for content in files if value[:40] in content]


async def test_what_is_erased_is_gone_when_it_has_ended_as_well(ledger: SqliteLedger) -> None:
    await fill(ledger)
    await ledger.erase_person(ANA)
    await ledger.record(CHANNEL, begun("waiting"))
    await ledger.record(CHANNEL, settled(sent("waiting")))
    assert await ledger.erase_person(ANA) == Erased(commands=1, inbound=0, people=2, consents=0, under_way=0)
    assert await ledger.erase_person(frozenset({BIA})) == Erased(
        commands=1, inbound=1, people=1, consents=0, under_way=0
    )
    assert (await ledger.commands(CHANNEL, state=None, before=None, limit=10)).items == []
    assert (await ledger.counts()).spooled == {}
    assert await ledger.claimed(CHANNEL, ["k1", "k2", "k3"]) == {"k1", "k2", "k3"}
    [stranger] = await ledger.accept(CHANNEL, [offer("x", to="5511900000001")], NOW)
    assert isinstance(stranger, Accepted)
    assert stranger.contact == STRANGER


async def test_the_memory_ledger_answers_the_same(ledger: SqliteLedger) -> None:
    memory = MemoryLedger(clock=lambda: NOW)
    await fill(ledger)
    await fill(memory)
    for people in (None, ANA, frozenset({BIA})):
        ours, theirs = await all_records(ledger, people), await all_records(memory, people)
        assert sorted(map(str, short(ours))) == sorted(map(str, short(theirs)))
    assert await ledger.consents(CHANNEL) == await memory.consents(CHANNEL)
    assert await ledger.erase_person(ANA) == await memory.erase_person(ANA)
    assert sorted(map(str, short(await all_records(ledger)))) == sorted(map(str, short(await all_records(memory))))


async def test_words_enter_the_register_when_they_change_something(ledger: SqliteLedger) -> None:
    said = [True, True, None, False, False, True]
    claims = [words(f"k{n}", opted_out=each, at_s=n) for n, each in enumerate(said)]
    await ledger.claim(CHANNEL, claims[:3], NOW)
    await ledger.claim(CHANNEL, claims[3:], NOW)
    await ledger.claim(CHANNEL, claims, NOW)
    page = await ledger.consents(CHANNEL)
    assert [(each.what, each.at) for each in page.items] == [
        (ConsentKind.OPTED_OUT, later(5)),
        (ConsentKind.OPTED_IN, later(3)),
        (ConsentKind.OPTED_OUT, later(0)),
    ]
    assert {(each.source, tuple(each.people), each.note) for each in page.items} == {
        (ConsentSource.WORD, (LID, JID), "")
    }


async def test_the_register_is_read_by_pages_and_by_person(ledger: SqliteLedger) -> None:
    entries = [
        Consent(
            channel=CHANNEL,
            people=[LID if n % 2 else BIA],
            at=later(n),
            what=ConsentKind.GRANTED,
            source=ConsentSource.SERVICE,
            note=str(n),
        )
        for n in range(5)
    ]
    for entry in entries:
        await ledger.record_consent(entry)
    first = await ledger.consents(CHANNEL, limit=3)
    rest = await ledger.consents(CHANNEL, before=first.next, limit=3)
    assert [*first.items, *rest.items] == entries[::-1]
    assert rest.next is None
    assert (await ledger.consents(CHANNEL, ANA)).items == [entries[3], entries[1]]
    assert (await ledger.consents("other")).items == []


@pytest.mark.parametrize(
    ("what", "opted_out"),
    {
        ConsentKind.OPTED_OUT: True,
        ConsentKind.OPTED_IN: False,
        ConsentKind.GRANTED: False,
        ConsentKind.WITHDRAWN: True,
    }.items(),
)
async def test_who_opts_out_by_an_operator_is_as_one_who_wrote_the_word(
    ledger: SqliteLedger, what: ConsentKind, opted_out: bool
) -> None:
    consent = Consent(channel=CHANNEL, people=[JID], at=NOW, what=what, source=ConsentSource.OPERATOR)
    await ledger.record_consent(consent)
    [accepted] = await ledger.accept(CHANNEL, [offer("a")], NOW)
    assert isinstance(accepted, Accepted)
    assert accepted.contact == Contact(opted_out=opted_out)


async def test_an_entry_that_is_nobodys_or_says_too_much_is_refused(ledger: SqliteLedger) -> None:
    entry = Consent(
        channel=CHANNEL, people=[], at=NOW, what=ConsentKind.GRANTED, source=ConsentSource.OPERATOR, note="x" * 2000
    )
    with pytest.raises(InvalidInputError, match="people"):
        await ledger.record_consent(entry)
    with pytest.raises(InvalidInputError, match="note"):
        await ledger.record_consent(replace(entry, people=[JID], note="x" * 2001))


async def test_everything_personal_has_an_end_but_that_somebody_opted_out(ledger: SqliteLedger) -> None:
    await fill(ledger)
    await ledger.record_consent(
        Consent(channel=CHANNEL, people=[BIA], at=NOW, what=ConsentKind.GRANTED, source=ConsentSource.OPERATOR)
    )
    await ledger.record(CHANNEL, published("by-lid", "failed", "for-bia"))
    await ledger.stored(CHANNEL, ["k1", "k2", "k3"])
    await ledger.discard(CHANNEL, "failed")
    state = CommandState.SENT
    await sweep(ledger, 29)
    assert len((await ledger.commands(CHANNEL, state=state, before=None, limit=10)).items) == 3
    await sweep(ledger, 60)  # results are recorded by the clock of the machine
    assert sorted(map(str, short(await all_records(ledger)))) == sorted(
        ["5511912345678", "waiting", "later", JID, LID, BIA, "opted_out", "granted"]
    )
    assert await ledger.claimed(CHANNEL, ["k1", "k2", "k3"]) == frozenset()
    await sweep(ledger, 364)
    assert len(await all_records(ledger, frozenset({BIA}))) == 2
    await sweep(ledger, 366)
    assert await all_records(ledger, frozenset({BIA})) == []
    assert sorted(map(str, short(await all_records(ledger, ANA)))) == sorted(
        ["waiting", "later", JID, LID, "opted_out"]
    )


async def sweep(ledger: SqliteLedger, days: int) -> None:
    while await ledger.sweep(NOW + timedelta(days=days)):
        pass


async def test_nothing_of_a_forgotten_channel_is_left(ledger: SqliteLedger) -> None:
    await fill(ledger)
    await ledger.forget_channel(CHANNEL)
    assert await all_records(ledger) == []
