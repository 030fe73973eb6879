"""A clinic's NATS account in memory, which can be away or hang."""

import asyncio
from collections import deque
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from protocol.bus import Due, Fetched, Later, Publication
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
    """``away``: every call raises; ``hanging``: publishing never returns; ``breaking``: the next publishing stores that
    many and then raises; ``max_bytes``: a larger event can never be published; ``media_full``: the
    Object Store takes nothing. All may be changed at any time.

    ``published`` holds what was stored. A ``Nats-Msg-Id`` in it is stored again unless its publication has ``since`` or
    ``remembering`` is set, as within the server's dedup window: who relies on that has a mistake. ``looked_up`` has the
    ids that were published with ``since``. ``acked``: the bodies that were taken; ``given_back``: those that were not.
    ``scheduled``: by channel and id, what waits for its time, which passes only by ``pass_time`` and ``fire``;
    ``woken``: what came of it and was taken.
    """

    def __init__(self, bell: Bell | None = None) -> None:
        self.bell = bell or Bell()
        self.away = False
        self.hanging = False
        self.breaking: int | None = None
        self.remembering = False
        self.max_bytes: int | None = None
        self.media_full = False
        self.published: list[Publication] = []
        self.publish_calls = 0
        self.looked_up: list[str] = []
        self.acked: list[bytes] = []
        self.given_back: list[bytes] = []
        self.scheduled: dict[tuple[str, str], Later] = {}
        self.woken: list[Due] = []
        self.media: dict[str, bytes] = {}
        self.forgotten: list[str] = []
        self.served: list[frozenset[str]] = []
        self._now = datetime.min.replace(tzinfo=UTC)
        self._queues: dict[str, deque[Fetched]] = {}
        self._dues: dict[str, deque[Due]] = {}
        self._given: dict[str, list[Fetched | Due]] = {}
        self._news: set[Callable[[], None]] = set()
        self._count = 0
        self.epoch = _EPOCH
        """What is put was queued a second after this, the next two, and so on."""

    # -- for tests --

    def put(self, channel: str, body: bytes, priority: Priority = Priority.NORMAL, **headers: str) -> None:
        """A service publishes a send command."""
        self._count += 1
        queued_at = self.epoch + timedelta(seconds=self._count)
        fetched = Fetched(
            body=body, priority=priority, queued_at=queued_at, headers=headers, token=(channel, self._count)
        )
        self._queues.setdefault(channel, deque()).append(fetched)
        self._wake()

    def redeliver(self, channel: str) -> None:
        """What was not settled comes again, as it does after the server's ``ack_wait``."""
        given, self._given[channel] = self._given.get(channel, []), []
        for item in reversed(given):
            self._return(channel, item)
        self._wake()

    def given(self, channel: str) -> list[Fetched]:
        """What was fetched and is not settled."""
        return [item for item in self._given.get(channel, []) if isinstance(item, Fetched)]

    def pass_time(self, until: datetime) -> None:
        """What is scheduled up to ``until`` is due; from then on, what is scheduled before it is so at once."""
        self._now = until
        for (channel, name), later in sorted(self.scheduled.items(), key=lambda item: item[1].at):
            if later.at <= until:
                self.fire(channel, name)

    def fire(self, channel: str, id: str) -> None:
        """The time of this schedule has come."""
        later = self.scheduled.pop((channel, id))
        self.put_due(channel, id, later.run)

    def put_due(self, channel: str, id: str, run: int) -> None:
        """``due`` gives this out, whether it was scheduled or not."""
        self._count += 1
        self._dues.setdefault(channel, deque()).append(Due(id=id, run=run, token=(channel, self._count)))
        self._wake()

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
        await self._until(lambda: bool(self._queues.get(channel)))
        queue = self._queues[channel]
        taken = sorted(queue, key=lambda fetched: _ORDER.index(fetched.priority))[:limit]
        for fetched in taken:
            queue.remove(fetched)
        self._given.setdefault(channel, []).extend(taken)
        self.bell.ring()
        return taken

    async def due(self, channel: str, limit: int) -> Sequence[Due]:
        assert limit > 0
        await self._until(lambda: bool(self._dues.get(channel)))
        queue = self._dues[channel]
        taken = [queue.popleft() for _ in range(min(limit, len(queue)))]
        self._given.setdefault(channel, []).extend(taken)
        self.bell.ring()
        return taken

    async def settle(self, items: Sequence[Fetched | Due], *, taken: bool) -> None:
        self._check()
        for item in reversed(items) if not taken else items:
            channel, number = item.token
            given = self._given.get(channel, [])
            if not any(one.token[1] == number for one in given):
                continue
            self._given[channel] = [one for one in given if one.token[1] != number]
            if not taken:
                self._return(channel, item)
                if isinstance(item, Fetched):
                    self.given_back.append(item.body)
            elif isinstance(item, Fetched):
                self.acked.append(item.body)
            else:
                self.woken.append(item)
        self._wake()

    async def schedule(self, channel: str, later: Sequence[Later]) -> None:
        self._check()
        for one in later:
            self.scheduled[channel, one.id] = one
            if one.at <= self._now:
                self.fire(channel, one.id)
        self.bell.ring()

    async def unschedule(self, channel: str, ids: Sequence[str]) -> None:
        self._check()
        for name in ids:
            self.scheduled.pop((channel, name), None)
        self.bell.ring()

    async def publish(self, batch: Sequence[Publication]) -> None:
        self.publish_calls += 1
        self._check()
        if self.hanging:
            await asyncio.Event().wait()
        left, self.breaking = self.breaking, None
        self.looked_up += [publication.message_id for publication in batch if publication.since is not None]
        known = {publication.message_id for publication in self.published}
        try:
            for publication in batch:
                if left == 0:
                    raise BusUnavailableError("the connection broke")
                left = None if left is None else left - 1
                self._publish(publication, known)
        finally:
            self.bell.ring()

    async def enqueue(self, channel: str, priority: Priority, body: bytes, headers: Mapping[str, str]) -> None:
        self._check()
        self.put(channel, body, priority, **headers)

    async def put_media(self, name: str, data: bytes, *, mime: str) -> None:
        self._check()
        if self.media_full:
            raise InvalidInputError("media", "room in the clinic's media store, which is full")
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
        for key in [key for key in self.scheduled if key[0] == channel]:
            del self.scheduled[key]
        self._dues.pop(channel, None)
        self.bell.ring()

    def _publish(self, publication: Publication, known: set[str]) -> None:
        assert isinstance(publication.event, Event)
        looked_up = publication.since is not None or self.remembering
        if looked_up and publication.message_id in known:
            return
        if self.max_bytes is not None and len(encode(publication.event)) > self.max_bytes:
            raise InvalidInputError(publication.message_id, f"at most {self.max_bytes} bytes")
        known.add(publication.message_id)
        self.published.append(publication)

    async def _until(self, ready: Callable[[], bool]) -> None:
        loop, news = asyncio.get_running_loop(), asyncio.Event()

        def wake() -> None:
            loop.call_soon_threadsafe(news.set)

        self._news.add(wake)
        try:
            self._check()
            while not ready():
                await news.wait()
                news.clear()
                self._check()
        finally:
            self._news.discard(wake)

    def _return(self, channel: str, item: Fetched | Due) -> None:
        if isinstance(item, Fetched):
            self._queues.setdefault(channel, deque()).appendleft(item)
        else:
            self._dues.setdefault(channel, deque()).appendleft(item)

    def _check(self) -> None:
        if self.away:
            raise BusUnavailableError("NATS is away")

    def _wake(self) -> None:
        self.bell.ring()
        for wake in list(self._news):
            wake()
