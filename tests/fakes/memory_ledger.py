"""A clinic's ledger in memory, which survives its channel and can fail. It answers as ``SqliteLedger`` does."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from msgspec import structs

from protocol.bus import Later
from protocol.commands import utc_now
from protocol.errors import ConflictError, NotFoundError, StoreUnavailableError
from protocol.events import DeadLetter, ResultEvent
from protocol.ledger import (
    Accepted,
    Attempt,
    Changes,
    ClinicCounts,
    Conflicted,
    Offer,
    Page,
    Receipt,
    Repeated,
    Scheduled,
    Sender,
    Sendings,
    Setback,
    Unpublished,
    Verdict,
)
from protocol.views import CommandState, CommandView
from tests.fakes.bell import Bell
from tests.fakes.memory_entries import (
    PUT_AWAY,
    Entry,
    Outcome,
    buried,
    due_later,
    letter,
    note,
    noted,
    view,
    was_sent,
)
from tests.fakes.memory_records import MemoryRecords

STRAYS_KEPT = timedelta(days=1)

__all__ = ["Entry", "MemoryLedger"]


class MemoryLedger(MemoryRecords):
    """``failing``: every call raises and changes nothing. ``full``: so does every claim. ``calls``: what was asked, as
    (method, ids); ``record`` is said as its parts: setback, result, published, begun."""

    def __init__(
        self,
        bell: Bell | None = None,
        *,
        clock: Callable[[], datetime] = utc_now,
        keep: timedelta = timedelta(days=30),
        remember: timedelta = timedelta(days=14),
        people: timedelta = timedelta(days=365),
    ) -> None:
        super().__init__(bell)
        self.clock = clock
        self.keep = keep
        self.remember = remember
        self.people_kept = people
        self.entries: dict[tuple[str, str], Entry] = {}
        self.registered: dict[str, datetime] = {}
        self.strays: dict[tuple[str, str, str], tuple[datetime, datetime]] = {}

    def entry(self, channel: str, id: str) -> Entry:
        return self.entries[channel, id]

    # -- commands --

    async def accept(self, channel: str, offers: Sequence[Offer], now: datetime) -> Sequence[Verdict]:
        self._call("accept", *(offer.command.id for offer in offers))
        return [self._judge(channel, offer, now) for offer in offers]

    def _judge(self, channel: str, offer: Offer, now: datetime) -> Verdict:
        known = self.entries.get((channel, offer.command.id))
        if known is not None and known.accepted.command == offer.command:
            again = known.accepted.queued_at != offer.queued_at
            return Repeated(id=offer.command.id, result=known.result if again else None)
        if known is not None:
            return Conflicted(id=offer.command.id)
        accepted = Accepted(
            channel=channel,
            command=offer.command,
            run=1,
            priority=offer.priority,
            attempts=0,
            uncertain=False,
            queued_at=offer.queued_at,
            headers=offer.headers,
        )
        later = due_later(offer.command, now)
        entry = Entry(accepted, CommandState.SCHEDULED if later else CommandState.WAITING, body=offer.body)
        entry.seq = entry.turn = next(self._places)
        self.entries[channel, offer.command.id] = entry
        given = self._given(entry)
        return Scheduled(accepted=given) if later else given

    def _given(self, entry: Entry) -> Accepted:
        people = self.channel(entry.accepted.channel).people
        person = people.get(str(entry.accepted.command.address))
        contact = entry.accepted.contact if person is None else person.contact
        return structs.replace(entry.accepted, uncertain=entry.state is CommandState.IN_FLIGHT, contact=contact)

    def _of(self, channel: str, *states: CommandState) -> list[Entry]:
        return [
            entry
            for (of, _), entry in sorted(self.entries.items(), key=lambda item: item[1].turn)
            if of == channel and entry.state in states
        ]

    async def unfinished(self, channel: str) -> Sequence[Accepted]:
        self._call("unfinished")
        return [self._given(entry) for entry in self._of(channel, CommandState.WAITING, CommandState.IN_FLIGHT)]

    async def scheduled(self, channel: str) -> Sequence[Later]:
        self._call("scheduled")
        return [
            Later(id=entry.id, run=entry.run, at=entry.accepted.command.not_before)
            for entry in sorted(self._of(channel, CommandState.SCHEDULED), key=lambda entry: entry.seq)
            if entry.accepted.command.not_before is not None
        ]

    async def asleep(self, channel: str, id: str) -> Accepted | None:
        self._call("asleep", id)
        entry = self.entries.get((channel, id))
        return self._given(entry) if entry is not None and entry.state is CommandState.SCHEDULED else None

    async def wake(self, channel: str, items: Sequence[tuple[str, int]]) -> Sequence[Accepted]:
        self._call("wake", *(item[0] for item in items))
        woken = [entry for entry in self._of(channel, CommandState.SCHEDULED) if (entry.id, entry.run) in items]
        for entry in woken:
            entry.state, entry.turn = CommandState.WAITING, next(self._places)
        return [self._given(entry) for entry in woken]

    async def record(self, channel: str, changes: Changes) -> None:
        if self.failing:
            raise StoreUnavailableError("disk full")
        self._check(channel, changes)
        for setback in changes.setbacks:
            self._call("setback", setback.id)
            self._set_back(self.entry(channel, setback.id), setback)
        for result in changes.results:
            self._call("result", result.id)
            self._finish(self.entry(channel, result.id), result)
        for key, run in changes.published:
            self._call("published", key)
            if (channel, key) in self.entries and run in self.entry(channel, key).outcomes:
                self.entry(channel, key).outcomes[run].published = True
        for attempt in changes.begun:
            self._call("begun", attempt.id)
            self._begin(self.entry(channel, attempt.id), attempt)

    def _check(self, channel: str, changes: Changes) -> None:
        """Raise ConflictError before anything is changed."""
        for each in (*changes.setbacks, *changes.results, *changes.begun):
            assert isinstance(each, Setback | ResultEvent | Attempt)
            if (channel, each.id) not in self.entries or each.run > self.entry(channel, each.id).run:
                raise ConflictError(f"{each.id}: no such command or run")
        ended = {(result.id, result.run) for result in changes.results}
        for attempt in changes.begun:
            entry = self.entry(channel, attempt.id)
            asleep = entry.state is CommandState.SCHEDULED
            if asleep or entry.final or attempt.run < entry.run or (attempt.id, attempt.run) in ended:
                raise ConflictError(f"{attempt.id} is final or scheduled")

    def _set_back(self, entry: Entry, setback: Setback) -> None:
        if entry.state is not CommandState.IN_FLIGHT or entry.run != setback.run:
            return
        if setback.error is not None:
            entry.failed(setback.error, setback.at)
        accepted = entry.accepted
        if not setback.spent:
            accepted = structs.replace(accepted, attempts=max(0, accepted.attempts - 1))
        if setback.uncertain:
            entry.accepted = structs.replace(accepted, wa_id=setback.wa_id or accepted.wa_id)
            self._claim_strays(entry, setback.wa_id)
        else:
            entry.accepted = structs.replace(accepted, wa_id=None, secret=None)
            entry.state = CommandState.WAITING

    def _finish(self, entry: Entry, result: ResultEvent) -> None:
        if entry.run != result.run or entry.final:
            return
        now = self.clock()
        if entry.state is CommandState.IN_FLIGHT and result.error is not None and result.status in ("failed", "held"):
            entry.failed(result.error, now)
        entry.state = CommandState(result.status)
        entry.accepted = structs.replace(entry.accepted, wa_id=None, secret=None)
        entry.outcomes[result.run] = Outcome(result, now, next(self._places))
        entry.ended_at = result.sent_at or now
        if result.status == "sent":
            if entry.delivered_at is None:
                entry.deadline = entry.accepted.command.deliver_by
            self._wrote(entry.accepted.channel, entry.accepted.command.address.server, entry, entry.ended_at)
            self._claim_strays(entry, result.wa_id)

    def _claim_strays(self, entry: Entry, wa_id: str | None) -> None:
        for key in [key for key in self.strays if key[:2] == (entry.accepted.channel, wa_id)]:
            at, _ = self.strays.pop(key)
            note(entry, Receipt(wa_id=key[1], kind=key[2], at=at))

    def _wrote(self, channel: str, server: str, entry: Entry, at: datetime) -> None:
        person = self.person(channel, str(entry.accepted.command.address))
        person.last_out = max(at, person.last_out or at)
        if person.first_out is None:
            person.first_out = at
            person.cold = person.contact.last_in is None and server != "g.us"
        person.contact = replace(person.contact, written=True)
        kept = self.channel(channel)
        kept.first_sent = kept.first_sent or at

    def _begin(self, entry: Entry, attempt: Attempt) -> None:
        entry.state = CommandState.IN_FLIGHT
        accepted = entry.accepted
        entry.accepted = structs.replace(accepted, attempts=accepted.attempts + 1, secret=attempt.secret, wa_id=None)

    async def unpublished(self, channel: str) -> Sequence[Unpublished]:
        self._call("unpublished")
        left = [
            (outcome, entry)
            for (of, _), entry in self.entries.items()
            for outcome in entry.outcomes.values()
            if of == channel and not outcome.published
        ]
        return [
            Unpublished(
                result=outcome.result,
                headers=entry.accepted.headers,
                at=outcome.at,
                letter=letter(entry, outcome) if buried(outcome.result) else None,
            )
            for outcome, entry in sorted(left, key=lambda pair: pair[0].place)
        ]

    async def letter(self, channel: str, id: str, run: int) -> DeadLetter:
        self._call("letter", id)
        entry = self._known(channel, id)
        if run not in entry.outcomes or not buried(entry.outcomes[run].result):
            raise NotFoundError(f"dead letter of {id}")
        return letter(entry, entry.outcomes[run])

    def _known(self, channel: str, id: str) -> Entry:
        if (channel, id) not in self.entries:
            raise NotFoundError(f"command {id}")
        return self.entry(channel, id)

    async def again(self, channel: str, id: str, state: CommandState, now: datetime) -> Accepted | Scheduled:
        self._call("again", id)
        entry = self._known(channel, id)
        if entry.state is not state or state not in PUT_AWAY:
            raise ConflictError(f"{id} is {entry.state}")
        entry.accepted = structs.replace(entry.accepted, run=entry.run + 1, attempts=0, queued_at=now)
        entry.state, entry.turn = CommandState.WAITING, next(self._places)
        entry.ended_at = entry.delivered_at = entry.read_at = entry.played_at = None
        if due_later(entry.accepted.command, now):
            entry.state = CommandState.SCHEDULED
            return Scheduled(accepted=self._given(entry))
        return self._given(entry)

    async def discard(self, channel: str, id: str) -> None:
        self._call("discard", id)
        entry = self._known(channel, id)
        if entry.state not in PUT_AWAY:
            raise ConflictError(f"{id} is {entry.state}")
        entry.state = CommandState.DISCARDED

    async def command(self, channel: str, id: str) -> CommandView:
        self._call("command", id)
        entry = self._known(channel, id)
        return structs.replace(view(entry), history=list(entry.history))

    async def commands(self, channel: str, *, state: CommandState | None, before: int | None, limit: int) -> Page:
        self._call("commands")
        found = [
            entry
            for (of, _), entry in self.entries.items()
            if of == channel and state in (None, entry.state) and (before is None or entry.seq < before)
        ]
        found.sort(key=lambda entry: -entry.seq)
        items = found[:limit]
        return Page(items=[view(entry) for entry in items], next=items[-1].seq if len(found) > limit else None)

    async def receipted(self, channel: str, receipts: Sequence[Receipt]) -> Mapping[str, Sender]:
        self._call("receipted", *(receipt.wa_id for receipt in receipts))
        found: dict[str, Sender] = {}
        for receipt in receipts:
            if not self._senders(channel, receipt.wa_id) and self._of(channel, CommandState.IN_FLIGHT):
                self.strays.setdefault((channel, receipt.wa_id, receipt.kind), (receipt.at, self.clock()))
            for run, entry, unsettled in self._senders(channel, receipt.wa_id):
                command = entry.accepted.command
                found[receipt.wa_id] = Sender(
                    id=command.id,
                    run=run,
                    to=command.to,
                    meta=command.meta,
                    headers=entry.accepted.headers,
                    unsettled=unsettled,
                    noted=noted(entry, run),
                    sent_at=entry.ended_at if was_sent(entry, run) else None,
                )
        for receipt in receipts:
            for run, entry, _ in self._senders(channel, receipt.wa_id):
                if run == entry.run:
                    note(entry, receipt)
        return found

    async def proven(self, channel: str, wa_ids: Sequence[str]) -> frozenset[str]:
        self._call("proven", *wa_ids)
        return frozenset(
            wa_id
            for wa_id in wa_ids
            for _, entry, unsettled in self._senders(channel, wa_id)
            if unsettled and entry.delivered_at is not None
        )

    async def ours(self, channel: str, wa_ids: Sequence[str]) -> frozenset[str]:
        self._call("ours", *wa_ids)
        return frozenset(wa_id for wa_id in wa_ids if self._senders(channel, wa_id))

    def _senders(self, channel: str, wa_id: str) -> list[tuple[int, Entry, bool]]:
        """Runs that sent it, the one to be told last."""
        mine = [entry for (of, _), entry in self.entries.items() if of == channel]
        ended = [(outcome, entry) for entry in mine for outcome in entry.outcomes.values()]
        ended.sort(key=lambda pair: (pair[0].at, pair[1].seq, pair[0].result.run))
        settled = [(outcome.result.run, entry, False) for outcome, entry in ended if outcome.result.wa_id == wa_id]
        return settled + [
            (entry.run, entry, True)
            for entry in sorted(mine, key=lambda entry: entry.seq)
            if entry.state is CommandState.IN_FLIGHT and entry.accepted.wa_id == wa_id
        ]

    async def overdue(self, channel: str, now: datetime) -> Sequence[Unpublished]:
        self._call("overdue")
        late = [
            (entry.deadline, entry.seq, entry)
            for (of, _), entry in self.entries.items()
            if of == channel and entry.deadline is not None and entry.deadline <= now
        ]
        return [
            Unpublished(
                result=structs.replace(entry.result, status="late"),
                headers=entry.accepted.headers,
                at=deadline,
                letter=None,
            )
            for deadline, _, entry in sorted(late, key=lambda found: found[:2])
            if entry.result is not None
        ]

    async def lateness(self, channel: str, items: Sequence[tuple[str, int]]) -> None:
        self._call("lateness", *(item[0] for item in items))
        for key, run in items:
            if (entry := self.entries.get((channel, key))) and entry.run == run:
                entry.deadline = None

    async def next_deadline(self, channel: str) -> datetime | None:
        self._call("next_deadline")
        return min((e.deadline for (of, _), e in self.entries.items() if of == channel and e.deadline), default=None)

    async def sendings(self, channel: str, *, minute: datetime, day: datetime) -> Sendings:
        self._call("sendings")
        sent = [entry.ended_at for entry in self._of(channel, CommandState.SENT) if entry.ended_at]
        people = self.channel(channel).people.values()
        return Sendings(
            last_minute=sum(at >= minute for at in sent),
            today=sum(at >= day for at in sent),
            new_today=sum(p.cold and p.first_out is not None and p.first_out >= day for p in people),
            first=self.channel(channel).first_sent,
        )

    # -- the whole --

    async def counts(self) -> ClinicCounts:
        self._call("counts")
        commands: dict[str, dict[CommandState, int]] = {}
        for (channel, _), entry in self.entries.items():
            states = commands.setdefault(channel, {})
            states[entry.state] = states.get(entry.state, 0) + 1
        waiting = {
            name: sum(came.what is not None for came in channel.claims.values())
            for name, channel in self.channels.items()
        }
        return ClinicCounts(commands=commands, spooled={name: number for name, number in waiting.items() if number})

    async def register(self, channels: Mapping[str, datetime]) -> frozenset[str]:
        self._call("register", *channels)
        self.registered = {**channels, **self.registered}
        return frozenset(channel for channel, at in self.registered.items() if channels.get(channel) != at)

    async def forget_channel(self, channel: str) -> None:
        self._call("forget_channel")
        self.registered.pop(channel, None)
        self.entries = {key: entry for key, entry in self.entries.items() if key[0] != channel}
        self.channels.pop(channel, None)
        self.register_of_consents = [each for each in self.register_of_consents if each.channel != channel]
        self.strays = {key: times for key, times in self.strays.items() if key[0] != channel}

    async def reseal(self) -> None:
        self._call("reseal")

    async def sweep(self, now: datetime) -> int:
        self._call("sweep")
        old = [key for key, entry in self.entries.items() if self._forgettable(entry, now - self.keep)]
        for key in old:
            del self.entries[key]
        stale = [key for key, (_, noted) in self.strays.items() if noted < now - STRAYS_KEPT]
        for stray in stale:
            del self.strays[stray]
        swept = len(old) + len(stale)
        for channel in self.channels.values():
            gone = [k for k, came in channel.claims.items() if came.what is None and came.at < now - self.remember]
            for name in gone:
                del channel.claims[name]
            swept += len(gone)
            swept += self._sweep_people(channel, now - self.people_kept)
        return swept + self._sweep_consents(now - self.people_kept)

    def _forgettable(self, entry: Entry, before: datetime) -> bool:
        if entry.ended_at is None or entry.deadline is not None:
            return False
        return entry.ended_at < before and all(outcome.published for outcome in entry.outcomes.values())
