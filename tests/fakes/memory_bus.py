"""A clinic's NATS account in memory, which can be away or hang."""

import asyncio
from collections import deque
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from protocol.bus import Fetched, Publication
from protocol.codec import Encoding, encode
from protocol.errors import BusUnavailableError, InvalidInputError, NotFoundError
from protocol.events import DeadLetter, Event, ResultEvent
from protocol.subjects import EventKind, Priority
from tests.fakes.bell import Bell

_EPOCH = datetime(2026, 1, 1, tzinfo=UTC)
_ORDER = list(Priority)


def body_of(**fields: Any) -> bytes:
    """A send command's body; a text to one number unless said otherwise."""
    command = {"v": 1, "to": "5511988887777", "type": "text", "text": "Olá"} | fields
    return encode({key: value for key, value in command.items() if value is not None}, Encoding.JSON)


class MemoryClinicBus:
    """``away``: every call raises; ``hanging``: publishing never returns; both may be changed at any time.

    ``published`` holds what was stored, each ``Nats-Msg-Id`` once; ``acked`` the bodies that were acknowledged.
    """

    def __init__(self, bell: Bell | None = None) -> None:
        self.bell = bell or Bell()
        self.away = False
        self.hanging = False
        self.published: list[Publication] = []
        self.publish_calls = 0
        self.acked: list[bytes] = []
        self.media: dict[str, bytes] = {}
        self.forgotten: list[str] = []
        self.served: list[frozenset[str]] = []
        self._queues: dict[str, deque[Fetched]] = {}
        self._given: dict[str, list[Fetched]] = {}
        self._news: set[Callable[[], None]] = set()
        self._count = 0

    # -- for tests --

    def put(self, channel: str, body: bytes, priority: Priority = Priority.NORMAL, **headers: str) -> None:
        """A service publishes a send command."""
        self._count += 1

        async def ack() -> None:
            self._check()
            self.acked.append(body)
            self._given[channel] = [given for given in self._given[channel] if given is not fetched]
            self.bell.ring()

        async def nak() -> None:
            self._check()
            self._given[channel] = [given for given in self._given[channel] if given is not fetched]
            self._queues[channel].appendleft(fetched)
            self._wake()

        queued_at = _EPOCH + timedelta(seconds=self._count)
        fetched = Fetched(body=body, priority=priority, queued_at=queued_at, headers=headers, ack=ack, nak=nak)
        self._queues.setdefault(channel, deque()).append(fetched)
        self._wake()

    def redeliver(self, channel: str) -> None:
        """What was not acknowledged comes again, as it does after the server's ``ack_wait``."""
        given, self._given[channel] = self._given.get(channel, []), []
        self._queues.setdefault(channel, deque()).extendleft(reversed(given))
        self._wake()

    def given(self, channel: str) -> list[Fetched]:
        """What was fetched and is not acknowledged."""
        return self._given.get(channel, [])

    def come_back(self) -> None:
        self.away = False
        self._wake()

    def events(self, kind: EventKind | None) -> list[Any]:
        """The bodies published of one kind (None: dead letters), in order."""
        return [publication.event for publication in list(self.published) if publication.kind is kind]

    def results(self) -> list[ResultEvent]:
        return self.events(EventKind.RESULT)

    def dead(self) -> list[DeadLetter]:
        return self.events(None)

    def states(self) -> list[str]:
        return [str(event.state) for event in self.events(EventKind.STATE)]

    def wait_result(self, id: str) -> ResultEvent:
        """The first result of the command ``id``."""
        return self.bell.wait(lambda: next((r for r in self.results() if r.id == id), None), f"the result of {id}")

    # -- ClinicBus --

    async def fetch(self, channel: str, limit: int) -> Sequence[Fetched]:
        assert limit > 0
        loop, news = asyncio.get_running_loop(), asyncio.Event()

        def wake() -> None:
            loop.call_soon_threadsafe(news.set)

        self._news.add(wake)
        try:
            while True:
                self._check()
                if queue := self._queues.get(channel):
                    break
                await news.wait()
                news.clear()
        finally:
            self._news.discard(wake)
        taken = sorted(queue, key=lambda fetched: _ORDER.index(fetched.priority))[:limit]
        for fetched in taken:
            queue.remove(fetched)
        self._given.setdefault(channel, []).extend(taken)
        self.bell.ring()
        return taken

    async def publish(self, batch: Sequence[Publication]) -> None:
        self.publish_calls += 1
        self._check()
        if self.hanging:
            await asyncio.Event().wait()
        known = {publication.message_id for publication in self.published}
        for publication in batch:
            assert isinstance(publication.event, Event)
            if publication.message_id not in known:
                known.add(publication.message_id)
                self.published.append(publication)
        self.bell.ring()

    async def enqueue(self, channel: str, priority: Priority, body: bytes, headers: Mapping[str, str]) -> None:
        self._check()
        self.put(channel, body, priority, **headers)

    async def put_media(self, name: str, data: bytes, *, mime: str) -> None:
        self._check()
        self.media[name] = data

    async def get_media(self, name: str, *, limit: int) -> bytes:
        self._check()
        if name not in self.media:
            raise NotFoundError(f"object {name}")
        if len(self.media[name]) > limit:
            raise InvalidInputError("media", f"at most {limit} bytes")
        return self.media[name]

    async def serve_channels(self, channels: Collection[str]) -> None:
        self._check()
        self.served.append(frozenset(channels))
        self.bell.ring()

    async def forget_channel(self, channel: str) -> None:
        self._check()
        self.forgotten.append(channel)
        self.bell.ring()

    def _check(self) -> None:
        if self.away:
            raise BusUnavailableError("NATS is away")

    def _wake(self) -> None:
        for wake in list(self._news):
            wake()
