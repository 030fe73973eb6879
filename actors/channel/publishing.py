"""The part of a channel that publishes: results (once the ledger has them), their dead letters, states and codes.

One flush is out at a time and takes what waits, so order holds and a busy channel publishes in batches. What is
published again after a failure says since when it may be there already.
"""

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

from actors.channel.bookkeeping import Bookkeeping, Outcome, Recorded
from actors.channel.context import Context
from actors.channel.fitting import publish_fitting, tried
from actors.channel.retry import Retry
from protocol.bus import Publication
from protocol.codes import ErrorCode
from protocol.errors import NotFoundError
from protocol.events import DeadLetter, Event, ResultEvent, message_id
from protocol.interfaces import Failure
from protocol.ledger import Unpublished
from protocol.subjects import EventKind

FLUSH_TIMEOUT_S: Final = 60.0
MOST_AT_ONCE: Final = 500
"""Events in one flush."""
MOST_WAITING: Final = 1000
"""Events that may wait while NATS is away; beyond that the oldest go, but no result."""


@dataclass(frozen=True, slots=True)
class Flushed:
    """A flush ended; ``failure`` is None if it succeeded."""

    failure: Failure | None


@dataclass(frozen=True, slots=True)
class FlushDue:
    """The wait after a failed flush is over."""


@dataclass(slots=True, eq=False)
class _Item:
    """Something to publish. ``result``: it is a final one, and the ledger is told when NATS has it; ``letter``: the
    dead letter that goes before it, looked up if it should have one."""

    publication: Publication
    result: ResultEvent | None = None
    letter: Publication | None = None


class Publishing:
    """Belongs to one channel's actor. ``books``: where results are recorded first."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self.books = Bookkeeping(context, self._committed)
        self._waiting: deque[_Item] = deque()
        self._events = 0
        self._out: list[_Item] = []
        self._out_since: datetime | None = None
        self._retry = Retry(context, "not published yet", "flush", FlushDue())
        self._pausing = False

    @property
    def idle(self) -> bool:
        """Nothing waits, nothing is out, nothing is to be recorded."""
        return not self._waiting and not self._out and self.books.idle

    @property
    def stuck(self) -> bool:
        """The last flush, or the last transaction, failed; what waits is known again after a restart, or uncertain."""
        return self.books.trouble is not None or (self._retry.failing and self.books.idle)

    # -- what is to be published --

    def event(
        self, kind: EventKind | None, event: Event, *parts: str, headers: Mapping[str, str] | None = None
    ) -> None:
        """Publish ``event``; ``parts`` tell it apart from all others of this channel."""
        if self._events >= MOST_WAITING:
            oldest = next((item for item in self._waiting if item.result is None), None)
            if oldest is not None:
                self._context.log.error("event dropped: too many wait for NATS", waiting=len(self._waiting))
                self._waiting.remove(oldest)
                self._events -= 1
        self._events += 1
        self._waiting.append(_Item(self._publication(kind, event, kind or "dead", *parts, headers=headers or {})))
        self.flush()

    def _committed(self, outcomes: Sequence[Outcome]) -> None:
        self._waiting.extend(_Item(self._of(each.result, each.headers), each.result) for each in outcomes)
        self.flush()

    def recovered(self, left: Sequence[Unpublished]) -> None:
        """Publish what an earlier life recorded and may not have published."""
        for each in left:
            letter = None
            if each.letter is not None:
                letter = replace(self._letter(each.letter, each.headers), since=each.at)
            publication = replace(self._of(each.result, each.headers), since=each.at)
            self._waiting.append(_Item(publication, each.result, letter))
        self.flush()

    def _of(self, result: ResultEvent, headers: Mapping[str, str]) -> Publication:
        parts = (EventKind.RESULT, result.id, str(result.run), result.status)
        return self._publication(EventKind.RESULT, result, *parts, headers=headers)

    def _letter(self, letter: DeadLetter, headers: Mapping[str, str]) -> Publication:
        return self._publication(None, letter, "dead", letter.id or "", str(letter.run), headers=headers)

    def _publication(
        self, kind: EventKind | None, event: Event, *parts: str, headers: Mapping[str, str]
    ) -> Publication:
        channel = self._context.channel
        name = message_id(channel, *parts)
        return Publication(channel=channel, kind=kind, event=event, message_id=name, headers=headers)

    # -- flushing --

    def flush(self) -> None:
        """Send off what waits, unless a flush is out or pausing."""
        if self._out or self._pausing or not self._waiting:
            return
        self._out = [self._waiting.popleft() for _ in range(min(len(self._waiting), MOST_AT_ONCE))]
        self._events -= sum(item.result is None for item in self._out)
        self._out_since = self._context.now().wall
        self._context.errand(
            self._flush(self._out), lambda outcome: Flushed(Failure.of(outcome)), timeout=FLUSH_TIMEOUT_S
        )

    async def _flush(self, items: Sequence[_Item]) -> None:
        """On the loop. May be repeated."""
        publications: list[Publication] = []
        for item in items:
            if item.letter is None and item.result is not None and _buried(item.result):
                item.letter = await self._look_up(item, item.result)
            if item.letter is not None:
                publications.append(item.letter)
            publications.append(item.publication)
        await publish_fitting(self._context, publications)

    async def _look_up(self, item: _Item, result: ResultEvent) -> Publication | None:
        ledger, channel = self._context.ledger, self._context.channel
        try:
            letter = await ledger.letter(channel, result.id, result.run)
        except NotFoundError:
            log = self._context.log_of(result.id, item.publication.headers)
            log.error("no dead letter in the ledger", run=result.run)
            return None
        return replace(self._letter(letter, item.publication.headers), since=item.publication.since)

    def flushed(self, outcome: Flushed) -> None:
        """A flush ended."""
        if outcome.failure is None:
            self._retry.succeeded()
            runs = [(item.result.id, item.result.run) for item in self._out if item.result is not None]
            self._out = []
            if runs:
                self.books.publish(runs)
                self.books.flush()
            self.flush()
            return
        self._pausing = True
        for item in self._out:
            item.publication = tried(item.publication, self._out_since)
            item.letter = tried(item.letter, self._out_since) if item.letter is not None else None
        self._events += sum(item.result is None for item in self._out)
        self._waiting.extendleft(reversed(self._out))
        self._out = []
        self._retry.failed(outcome.failure.error)

    def due(self) -> None:
        """The pause is over."""
        self._pausing = False
        self.flush()

    def recorded(self, message: Recorded) -> None:
        """The ledger has answered."""
        self.books.recorded(message)


def _buried(result: ResultEvent) -> bool:
    """Whether a dead letter goes with it: not with what a person cancelled."""
    cancelled = result.error is not None and result.error.code == ErrorCode.CANCELLED.value
    return result.status == "failed" and not cancelled
