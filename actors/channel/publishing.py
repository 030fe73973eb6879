"""The part of a channel that publishes: results (recorded in the ledger first), states, codes and dead letters.

One flush is out at a time and takes all that waits, so order holds and a busy channel publishes in batches. What has to
wait for NATS is recorded meanwhile: a result that only memory knows would be a second message after a restart.
"""

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from actors.channel.context import Context
from protocol.bus import Publication
from protocol.events import Event, ResultEvent, message_id
from protocol.interfaces import Failure
from protocol.subjects import EventKind
from supervisor.backoff import Backoff

FLUSH_TIMEOUT_S: Final = 30.0
MOST_WAITING: Final = 1000
"""Events that may wait while NATS is away; beyond that the oldest go, but no result."""

_BACKOFF: Final = Backoff(base_s=0.2, cap_s=10.0)


@dataclass(frozen=True, slots=True)
class Flushed:
    """A flush ended; ``failure`` is None if it succeeded."""

    failure: Failure | None


@dataclass(frozen=True, slots=True)
class FlushDue:
    """The wait after a failed flush is over."""


@dataclass(slots=True, eq=False)
class _Result:
    """A final result to be recorded and published."""

    event: ResultEvent
    headers: Mapping[str, str]
    recorded: bool = False


@dataclass(frozen=True, slots=True)
class Recorded:
    """The ledger knows the results that wait for NATS, or not yet."""

    results: list[_Result]
    failure: Failure | None


class Publishing:
    """Belongs to one channel's actor."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._waiting: deque[Publication | _Result] = deque()
        self._out: list[Publication | _Result] = []
        self._failures = 0
        self._pausing = False
        self._recording = False

    @property
    def idle(self) -> bool:
        """Nothing waits and nothing is out."""
        return not self._waiting and not self._out

    @property
    def stuck(self) -> bool:
        """The last flush failed; what waits would be known again after a restart."""
        return self._failures > 0 and not self._unrecorded()

    def event(
        self, kind: EventKind | None, event: Event, *parts: str, headers: Mapping[str, str] | None = None
    ) -> None:
        """Publish ``event``; ``parts`` tell it apart from all others of this channel."""
        self._add(
            Publication(
                channel=self._context.channel,
                kind=kind,
                event=event,
                message_id=message_id(self._context.channel, kind or "dead", *parts),
                headers=headers or {},
            )
        )

    def result(self, result: ResultEvent, headers: Mapping[str, str]) -> None:
        """Record a final result in the ledger, then publish it."""
        self._add(_Result(result, headers))

    def _add(self, item: Publication | _Result) -> None:
        if len(self._waiting) >= MOST_WAITING:
            oldest = next((waiting for waiting in self._waiting if isinstance(waiting, Publication)), None)
            if oldest is not None:
                self._context.log.error("event dropped: too many wait for NATS", waiting=len(self._waiting))
                self._waiting.remove(oldest)
        self._waiting.append(item)
        self.flush()

    def flush(self) -> None:
        """Send off what waits, unless a flush is out or pausing."""
        if self._out or self._pausing:
            self._record()
            return
        if not self._waiting:
            return
        self._out = list(self._waiting)
        self._waiting.clear()
        self._context.errand(
            _flush(self._context, self._out),
            lambda outcome: Flushed(Failure.of(outcome)),
            timeout=FLUSH_TIMEOUT_S,
        )

    def flushed(self, outcome: Flushed) -> None:
        """A flush ended."""
        if outcome.failure is None:
            self._failures = 0
            self._out = []
            self.flush()
            return
        self._failures += 1
        self._pausing = True
        self._waiting.extendleft(reversed(self._out))
        self._out = []
        delay = _BACKOFF.delay(self._failures, self._context.random)
        self._context.log.warning("not published yet", error=str(outcome.failure.error), retry_in_s=round(delay, 2))
        self._context.timer("flush", delay, FlushDue())

    def due(self) -> None:
        """The pause is over."""
        self._pausing = False
        self.flush()

    def _unrecorded(self) -> list[_Result]:
        return [item for item in self._waiting if isinstance(item, _Result) and not item.recorded]

    def _record(self) -> None:
        """Have the ledger know the results that wait."""
        results = self._unrecorded()
        if self._recording or not results:
            return
        self._recording = True
        work = self._context.ledger.finish(self._context.channel, [result.event for result in results])
        self._context.errand(
            work,
            lambda outcome: Recorded(results, Failure.of(outcome)),
            timeout=FLUSH_TIMEOUT_S,
        )

    def recorded(self, outcome: Recorded) -> None:
        """The ledger has answered. If it failed, the next flush tries again."""
        self._recording = False
        if outcome.failure is not None:
            self._context.log.warning("results not recorded yet", error=str(outcome.failure.error))
            return
        for result in outcome.results:
            result.recorded = True
        if self._out or self._pausing:
            self._record()


async def _flush(context: Context, items: Sequence[Publication | _Result]) -> None:
    """On the loop. Every step may be repeated: recording is idempotent, and NATS drops what it has by its id."""
    channel = context.channel
    results = [item for item in items if isinstance(item, _Result)]
    if results:
        unrecorded = [result for result in results if not result.recorded]
        if unrecorded:
            await context.ledger.finish(channel, [result.event for result in unrecorded])
        for result in unrecorded:
            result.recorded = True
    await context.bus.publish(
        [item if isinstance(item, Publication) else _publication(channel, item) for item in items]
    )
    if results:
        await context.ledger.published(channel, [result.event.id for result in results])


def _publication(channel: str, result: _Result) -> Publication:
    event = result.event
    return Publication(
        channel=channel,
        kind=EventKind.RESULT,
        event=event,
        message_id=message_id(channel, EventKind.RESULT, event.id, str(event.run), event.status),
        headers=result.headers,
    )
