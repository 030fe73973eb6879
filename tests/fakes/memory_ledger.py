"""A clinic's ledger in memory, which survives its channel and can fail."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from protocol.errors import ConflictError, StoreUnavailableError
from protocol.events import ResultEvent
from protocol.ledger import Accepted, Conflicted, Offer, Repeated, Sender, Verdict
from tests.fakes.bell import Bell

State = Literal["waiting", "in_flight", "final"]


@dataclass(slots=True)
class Entry:
    """A command as the ledger knows it."""

    accepted: Accepted
    state: State = "waiting"
    result: ResultEvent | None = None
    published: bool = False


class MemoryLedger:
    """``failing``: every call raises and changes nothing. ``calls``: what was asked, as (method, ids)."""

    def __init__(self, bell: Bell | None = None) -> None:
        self.bell = bell or Bell()
        self.failing = False
        self.entries: dict[tuple[str, str], Entry] = {}
        self.calls: list[tuple[str, tuple[str, ...]]] = []

    def entry(self, channel: str, id: str) -> Entry:
        return self.entries[channel, id]

    def _call(self, name: str, *ids: str) -> None:
        if self.failing:
            raise StoreUnavailableError("disk full")
        self.calls.append((name, ids))
        self.bell.ring()

    async def accept(self, channel: str, offers: Sequence[Offer]) -> Sequence[Verdict]:
        self._call("accept", *(offer.command.id for offer in offers))
        return [self._judge(channel, offer) for offer in offers]

    def _judge(self, channel: str, offer: Offer) -> Verdict:
        known = self.entries.get((channel, offer.command.id))
        if known is not None and known.accepted.command == offer.command:
            return Repeated(id=offer.command.id, result=known.result)
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
        self.entries[channel, offer.command.id] = Entry(accepted)
        return accepted

    async def unfinished(self, channel: str) -> Sequence[Accepted]:
        self._call("unfinished")
        return [
            replace(entry.accepted, uncertain=entry.state == "in_flight")
            for (of, _), entry in self.entries.items()
            if of == channel and entry.state != "final"
        ]

    async def begin(self, channel: str, ids: Sequence[str]) -> None:
        self._call("begin", *ids)
        entries = [self.entries[channel, key] for key in ids]
        if any(entry.state == "final" for entry in entries):
            raise ConflictError("a command is final")
        for entry in entries:
            entry.state = "in_flight"
            entry.accepted = replace(entry.accepted, attempts=entry.accepted.attempts + 1)

    async def retry(self, channel: str, id: str) -> None:
        self._call("retry", id)
        if self.entries[channel, id].state == "in_flight":
            self.entries[channel, id].state = "waiting"

    async def finish(self, channel: str, results: Sequence[ResultEvent]) -> None:
        self._call("finish", *(result.id for result in results))
        for result in results:
            entry = self.entries[channel, result.id]
            entry.state = "final"
            entry.result = entry.result or result

    async def unpublished(self, channel: str) -> Sequence[tuple[ResultEvent, Mapping[str, str]]]:
        self._call("unpublished")
        return [
            (entry.result, entry.accepted.headers)
            for (of, _), entry in self.entries.items()
            if of == channel and entry.result is not None and not entry.published
        ]

    async def published(self, channel: str, ids: Sequence[str]) -> None:
        self._call("published", *ids)
        for key in ids:
            self.entries[channel, key].published = True

    async def senders(self, channel: str, wa_ids: Sequence[str]) -> Mapping[str, Sender]:
        self._call("senders", *wa_ids)
        found = {}
        for (of, _), entry in self.entries.items():
            result, command = entry.result, entry.accepted.command
            if of == channel and result is not None and result.wa_id in wa_ids and result.wa_id is not None:
                headers = entry.accepted.headers
                found[result.wa_id] = Sender(id=command.id, to=command.to, meta=command.meta, headers=headers)
        return found
