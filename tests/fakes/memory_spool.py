"""What a ledger in memory holds beside commands: what came in, and people."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from itertools import count

from protocol.errors import StoreUnavailableError
from protocol.inbound import Claim, Spooled
from protocol.ledger import Paired
from protocol.records import Consent, ConsentKind, ConsentSource
from tests.fakes.bell import Bell
from tests.fakes.memory_entries import Came, Channel, Person


class MemorySpool:
    """See ``MemoryLedger``."""

    def __init__(self, bell: Bell | None = None) -> None:
        self.bell = bell or Bell()
        self.failing = False
        self.full = False
        self.channels: dict[str, Channel] = {}
        self.calls: list[tuple[str, tuple[str, ...]]] = []
        self.register_of_consents: list[Consent] = []
        self._places = count(1)

    def channel(self, channel: str) -> Channel:
        return self.channels.setdefault(channel, Channel())

    def person(self, channel: str, jid: str) -> Person:
        return self.channel(channel).people.setdefault(jid, Person())

    def _call(self, name: str, *ids: str) -> None:
        if self.failing:
            raise StoreUnavailableError("disk full")
        self.calls.append((name, ids))
        self.bell.ring()

    async def claim(self, channel: str, claims: Sequence[Claim], now: datetime) -> Sequence[int | None]:
        if self.full:
            raise StoreUnavailableError("the spool is full")
        self._call("claim", *(claim.key for claim in claims))
        return [self._claim(channel, claim, now) for claim in claims]

    def _claim(self, channel: str, claim: Claim, now: datetime) -> int | None:
        claims = self.channel(channel).claims
        if claim.key in claims:
            return None
        claims[claim.key] = Came(next(self._places), now, claim.what)
        self._note_word(channel, claim)
        for jid in claim.people:
            person = self.person(channel, jid)
            last_in = max(claim.what.at, person.contact.last_in or claim.what.at)
            opted_out = person.contact.opted_out if claim.opted_out is None else claim.opted_out
            person.contact = replace(person.contact, last_in=last_in, opted_out=opted_out)
        return claims[claim.key].seq

    def _note_word(self, channel: str, claim: Claim) -> None:
        known = self.channel(channel).people
        before = all(jid in known and known[jid].contact.opted_out for jid in claim.people)
        if claim.people and claim.opted_out is not None and claim.opted_out != before:
            what = ConsentKind.OPTED_OUT if claim.opted_out else ConsentKind.OPTED_IN
            said = Consent(
                channel=channel, people=list(claim.people), at=claim.what.at, what=what, source=ConsentSource.WORD
            )
            self.register_of_consents.append(said)

    async def spooled(self, channel: str, after: int, limit: int) -> Sequence[Spooled]:
        self._call("spooled")
        left = [
            Spooled(seq=came.seq, key=key, what=came.what, at=came.at)
            for key, came in self.channel(channel).claims.items()
            if came.what is not None and came.seq > after
        ]
        return left[:limit]

    async def stored(self, channel: str, keys: Sequence[str]) -> None:
        self._call("stored", *keys)
        for key in keys:
            if came := self.channel(channel).claims.get(key):
                came.what = None

    async def claimed(self, channel: str, keys: Sequence[str]) -> frozenset[str]:
        self._call("claimed", *keys)
        return frozenset(keys) & self.channel(channel).claims.keys()

    async def traced(self, channel: str) -> int | None:
        self._call("traced")
        return self.channel(channel).traced

    async def trace(self, channel: str, row: int) -> None:
        self._call("trace")
        self.channel(channel).traced = row

    async def paired(self, channel: str) -> Paired | None:
        self._call("paired")
        return self.channel(channel).paired

    async def pair(self, channel: str, paired: Paired) -> None:
        self._call("pair", paired.phone)
        self.channel(channel).paired = paired
