"""What a ledger in memory hands over and erases of people, and what they agreed to."""

from collections.abc import AsyncIterator, Collection
from dataclasses import replace
from datetime import UTC, datetime

from msgspec import structs

from protocol.commands import SendCommand
from protocol.ledger import NO_NUMBER, Contact
from protocol.records import (
    CommandRecord,
    Consent,
    ConsentKind,
    ConsentPage,
    Erased,
    InboundRecord,
    NumberRecord,
    PersonRecord,
    Record,
)
from protocol.views import CommandState
from tests.fakes.memory_entries import Channel, Entry, Person, view
from tests.fakes.memory_spool import MemorySpool

OPTED_OUT = {ConsentKind.OPTED_OUT: True, ConsentKind.OPTED_IN: False}
LONG_AGO = datetime(1970, 1, 1, tzinfo=UTC)
UNDER_WAY = (CommandState.WAITING, CommandState.IN_FLIGHT)


class MemoryRecords(MemorySpool):
    """See ``MemoryLedger``."""

    entries: dict[tuple[str, str], Entry]

    def _to(self, people: Collection[str] | None) -> list[tuple[str, Entry]]:
        return [
            (channel, entry)
            for (channel, _), entry in self.entries.items()
            if people is None or _chat(entry.accepted.command) in people
        ]

    async def export(self, people: Collection[str] | None = None) -> AsyncIterator[Record]:
        self._call("export", *(people or ()))
        for name, channel in self.channels.items():
            if people is None and channel.paired is not None and channel.paired.phone != NO_NUMBER:
                yield NumberRecord(channel=name, phone=channel.paired.phone, jid=channel.paired.jid)
        for name, entry in sorted(self._to(people), key=lambda pair: pair[1].seq):
            yield CommandRecord(
                channel=name,
                view=structs.replace(view(entry), history=list(entry.history)),
                played_at=None,
                headers=entry.accepted.headers,
                body=None if entry.state is CommandState.SENT else entry.body,
                results=[outcome.result for outcome in entry.outcomes.values()],
            )
        for name, channel in self.channels.items():
            for came in channel.claims.values():
                if came.what is not None and (people is None or {came.what.chat, came.what.sender} & set(people)):
                    yield InboundRecord(channel=name, what=came.what, at=came.at)
        for name, channel in self.channels.items():
            for jid, person in channel.people.items():
                if people is None or jid in people:
                    yield _record(name, jid, person)
        for consent in reversed(self.register_of_consents):
            if people is None or set(consent.people) & set(people):
                yield consent

    async def erase_person(self, people: Collection[str]) -> Erased:
        self._call("erase_person", *people)
        theirs = self._to(people)
        ended = [(channel, entry.id) for channel, entry in theirs if entry.state not in UNDER_WAY]
        for key in ended:
            del self.entries[key]
        inbound = 0
        for channel in self.channels.values():
            for came in channel.claims.values():
                if came.what is not None and {came.what.chat, came.what.sender} & set(people):
                    came.what = None
                    inbound += 1
        kept = self._kept(people)
        mine = [each for each in self.register_of_consents if set(each.people) & set(people)]
        self.register_of_consents = [
            replace(each, note="") if each in kept else each
            for each in self.register_of_consents
            if each not in mine or each in kept
        ]
        return Erased(
            commands=len(ended),
            inbound=inbound,
            people=self._forget(people),
            consents=len(mine) - len(kept),
            under_way=len(theirs) - len(ended),
        )

    def _kept(self, people: Collection[str]) -> list[Consent]:
        last: dict[str, Consent] = {}
        for each in self.register_of_consents:
            known = self.channel(each.channel).people
            theirs = [known[jid] for jid in set(each.people) & set(people) if jid in known]
            if any(one.contact.opted_out for one in theirs) and each.what in (
                ConsentKind.OPTED_OUT,
                ConsentKind.WITHDRAWN,
            ):
                last[each.channel] = each
        return list(last.values())

    def _forget(self, people: Collection[str]) -> int:
        gone = 0
        for channel in self.channels.values():
            for jid in set(people) & channel.people.keys():
                person = channel.people.pop(jid)
                gone += 1
                if person.contact.opted_out:
                    channel.people[jid] = Person(contact=Contact(opted_out=True))
        return gone

    def _sweep_people(self, channel: Channel, before: datetime) -> int:
        gone = [
            jid
            for jid, one in channel.people.items()
            if not one.contact.opted_out
            and max((at for at in (one.contact.last_in, one.first_out, one.last_out) if at), default=LONG_AGO) < before
        ]
        for jid in gone:
            del channel.people[jid]
        return len(gone)

    def _sweep_consents(self, before: datetime) -> int:
        gone = [
            each
            for each in self.register_of_consents
            if each.at < before and not set(each.people) & self.channel(each.channel).people.keys()
        ]
        self.register_of_consents = [each for each in self.register_of_consents if each not in gone]
        return len(gone)

    async def record_consent(self, consent: Consent) -> None:
        self._call("record_consent", *consent.people)
        self.register_of_consents.append(consent)
        if (opted_out := OPTED_OUT.get(consent.what)) is not None:
            for jid in consent.people:
                person = self.person(consent.channel, jid)
                person.contact = replace(person.contact, opted_out=opted_out)

    async def consents(
        self, channel: str, people: Collection[str] | None = None, *, before: int | None = None, limit: int = 100
    ) -> ConsentPage:
        self._call("consents")
        found = [
            (place, each)
            for place, each in enumerate(self.register_of_consents, start=1)
            if each.channel == channel
            and (people is None or set(each.people) & set(people))
            and (before is None or place < before)
        ]
        found.reverse()
        more = len(found) > limit
        return ConsentPage(items=[each for _, each in found[:limit]], next=found[limit - 1][0] if more else None)


def _chat(command: SendCommand) -> str:
    return str(command.address)


def _record(channel: str, jid: str, person: Person) -> PersonRecord:
    return PersonRecord(
        channel=channel,
        jid=jid,
        last_in=person.contact.last_in,
        first_out=person.first_out,
        last_out=person.last_out,
        opted_out=person.contact.opted_out,
    )
