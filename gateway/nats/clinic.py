"""The bus of one clinic: what can be done on its account."""

import asyncio
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import timedelta
from typing import Final

import structlog

from gateway.nats import later as schedules
from gateway.nats import lookup, media, sending, wire
from gateway.nats.headers import passed_on
from gateway.nats.link import Broker, Connection, Link
from gateway.nats.publisher import Outgoing, Publisher
from gateway.nats.pull import Delivery
from gateway.nats.queue import Queue, Source
from gateway.nats.rate import Bucket
from gateway.nats.rpc import ClinicRpc
from gateway.nats.streams import Retention, clinic_streams, ensure_stream, room_for_schedules, send_stream
from gateway.nats.translate import translating
from protocol import subjects
from protocol.audit import Audit
from protocol.bus import Due, Fetched, Later, Publication
from protocol.codec import Encoding, encode
from protocol.errors import BusUnavailableError
from protocol.ids import check_name
from protocol.operations import Operations
from protocol.subjects import Priority

log = structlog.get_logger(__name__)

PUBLISH_TIMEOUT: Final = 30.0
LOOKUP_TIMEOUT: Final = 60.0
MEDIA_TIMEOUT: Final = 60.0
_MARGIN: Final = timedelta(seconds=15)
"""By how much the server's clock may be behind ours."""
_PURGES: Final = 32
_SETTLED_WITHIN: Final = 0.005
"""Seconds after which the server is told at the latest."""
_RELEASE_TIMEOUT: Final = 2.0


class NatsClinicBus:
    """One clinic's account (implements ``ClinicBus``)."""

    def __init__(
        self,
        broker: Broker,
        clinic: str,
        *,
        encoding: Callable[[str], Encoding],
        retention: Retention,
        ack_wait: float,
        served: tuple[Operations, Audit] | None,
        rate: Callable[[str], float],
        schedules_key: bytes,
    ) -> None:
        self._clinic = clinic
        self._key = schedules_key
        self._encoding = encoding
        self._retention = retention
        self._ack_wait = ack_wait
        self._rpc = None if served is None else ClinicRpc(clinic, *served)
        self._rate = rate
        self._bucket = Bucket()
        self._publisher: Publisher | None = None
        self._queues: dict[str, Queue] = {}
        self._dues: dict[str, Queue] = {}
        self._served: frozenset[str] | None = None
        self._leftover: set[str] = set()
        self._changing = asyncio.Lock()
        self.link: Final = Link(broker, subjects.account(clinic), self._set_up)

    def open(self) -> None:
        """Begin to connect. Whatever happens to the link, only this clinic suffers, and the link begins anew."""
        self.link.open_mending(self._link_broke)

    async def fetch(self, channel: str, limit: int) -> Sequence[Fetched]:
        """See ``ClinicBus``. Of two calls for one channel, the second waits for the first. All channels together get no
        more than the clinic's rate allows."""
        queue = self._queue(channel)
        while not (allowed := self._bucket.left(self._rate(self._clinic), limit)):  # noqa: ASYNC110 - time is the event
            await asyncio.sleep(self._bucket.pause(self._rate(self._clinic)))
        deliveries = await queue.fetch(allowed)
        self._bucket.take(len(deliveries))
        return [sending.fetched(delivery) for delivery in deliveries]

    async def settle(self, items: Sequence[Fetched | Due], *, taken: bool) -> None:
        """See ``ClinicBus``. Waits for nothing. What is not taken stays here, and is given out before what is newer."""
        deliveries: list[Delivery] = [item.token for item in items]
        if not taken:
            for pull in {delivery.pull for delivery in deliveries}:
                pull.put_back([delivery for delivery in deliveries if delivery.pull is pull])
            return
        connection = await self.link.connection()
        with translating("settling"):
            connection.nc.write_within(_SETTLED_WITHIN, [wire.answer(one.reply, wire.ACK) for one in deliveries])
        for delivery in deliveries:
            delivery.pull.settled(delivery)

    async def schedule(self, channel: str, later: Sequence[Later]) -> None:
        """See ``ClinicBus``."""
        check_name("channel", channel)
        connection = await self.link.connection()
        info = await connection.during(connection.js.stream_info(subjects.STREAM_LATER), "scheduling")
        if not room_for_schedules(info):
            raise BusUnavailableError(f"scheduling: clinic {self._clinic} has as many schedules as its quota allows")
        await self._store([schedules.schedule(self._clinic, channel, one, self._key) for one in later], "scheduling")

    async def unschedule(self, channel: str, ids: Sequence[str]) -> None:
        """See ``ClinicBus``."""
        check_name("channel", channel)
        connection = await self.link.connection()
        for first in range(0, len(ids), _PURGES):
            some = ids[first : first + _PURGES]
            part = [schedules.subject(self._clinic, channel, one, self._key) for one in some]
            await connection.during(self._purge_schedules(connection, part), "taking back schedules")

    async def due(self, channel: str, limit: int) -> Sequence[Due]:
        """See ``ClinicBus``. Of two calls for one channel, the second waits for the first."""
        while True:
            deliveries = await self._due(channel).fetch(limit)
            found = [(delivery, schedules.due(delivery)) for delivery in deliveries]
            for delivery in [delivery for delivery, one in found if one is None]:
                (await self.link.connection()).nc.write([wire.answer(delivery.reply, wire.ACK)])
                delivery.pull.settled(delivery)
            if readable := [one for _, one in found if one is not None]:
                return readable

    async def publish(self, batch: Sequence[Publication]) -> None:
        """See ``ClinicBus``. Many are under way at once, in order; the first that fails stops those after it."""
        if any(publication.since is not None for publication in batch):
            stored = await self._stored(batch)
            batch = [one for one in batch if (one.kind is None, one.message_id) not in stored]
        await self._store(self._messages(batch), "publishing events")

    async def enqueue(self, channel: str, priority: Priority, body: bytes, headers: Mapping[str, str]) -> None:
        """See ``ClinicBus``. The message carries no ``Nats-Msg-Id``: a repeated id must reach the ledger."""
        subject = subjects.send(self._clinic, check_name("channel", channel), priority)
        message = Outgoing(subject, wire.header_block(passed_on(headers)), body, "body")
        await self._store([message], "queueing a command")

    async def put_media(self, name: str, data: bytes, *, mime: str) -> None:
        """See ``ClinicBus``."""
        connection = await self.link.connection()
        await connection.during(media.put(connection.js, name, data, mime), "storing media", timeout=MEDIA_TIMEOUT)

    async def get_media(self, name: str, *, limit: int) -> bytes:
        """See ``ClinicBus``."""
        connection = await self.link.connection()
        return await connection.during(media.get(connection.js, name, limit), "reading media", timeout=MEDIA_TIMEOUT)

    async def serve_channels(self, channels: Collection[str]) -> None:
        """See ``ClinicBus``. What was asked last also holds for every new connection, even if this call failed.

        Raises:
            BusUnavailableError: it may not have come into effect.
            InvalidIdError: one is not a valid identifier; nothing was changed.
        """
        self._served = frozenset(check_name("channel", channel) for channel in channels)
        async with self._changing:
            connection = await self.link.connection()
            await connection.during(self._serve(connection), f"serving the channels of clinic {self._clinic}")

    async def forget_channel(self, channel: str) -> None:
        """See ``ClinicBus``. To end a fetch that still waits is the caller's business."""
        check_name("channel", channel)
        queues = [self._queue(channel), self._due(channel)]
        del self._queues[channel], self._dues[channel]
        async with self._changing:
            connection = await self.link.connection()
            await connection.during(self._forget(connection, channel, queues), f"forgetting channel {channel}")

    async def close(self) -> None:
        """Stop answering rpc, give back what was fetched and is not settled, and disconnect."""
        if self.link.connected:
            with suppress(TimeoutError):
                async with asyncio.timeout(_RELEASE_TIMEOUT):
                    await asyncio.gather(*(queue.release() for queue in self._all_queues()))
        await self.link.close()
        if self._rpc is not None:
            await self._rpc.stop()

    # -- within --

    def _queue(self, channel: str) -> Queue:
        if channel not in self._queues:
            sources = sending.sources(self._clinic, channel)
            self._queues[channel] = self._new_queue(sources, f"fetching for channel {channel}")
        return self._queues[channel]

    def _due(self, channel: str) -> Queue:
        if channel not in self._dues:
            source = schedules.source(self._clinic, channel)
            self._dues[channel] = self._new_queue([source], f"waiting for the schedules of channel {channel}")
        return self._dues[channel]

    def _new_queue(self, sources: Sequence[Source], doing: str) -> Queue:
        return Queue(self.link, sources, doing=doing, ack_wait=self._ack_wait)

    def _all_queues(self) -> list[Queue]:
        return [*self._queues.values(), *self._dues.values()]

    def _link_broke(self, error: BaseException) -> None:
        log.error("nats_clinic_link_broke", clinic=self._clinic, exc_info=error)

    async def _set_up(self, connection: Connection) -> None:
        with translating(f"preparing the NATS account of clinic {self._clinic}"):
            for config in clinic_streams(self._clinic, self._retention, self._served or ()):
                # Before we are told which channels there are, those that the account knows stay served.
                untold = config.name == subjects.STREAM_SEND and self._served is None
                await ensure_stream(connection.js, config, keep=("subjects",) if untold else ())
            publisher = Publisher(connection)
            await publisher.start()
            self._publisher = publisher
            if self._rpc is not None:
                await self._rpc.start(connection.nc)

    async def _serve(self, connection: Connection) -> None:
        """Bring what was asked last into effect. Raises the client library's errors."""
        if self._served is None:
            return
        await ensure_stream(connection.js, send_stream(self._clinic, self._retention, self._served))
        for channel in self._leftover - self._served:
            await self._purge(connection, channel)
            self._leftover.discard(channel)

    async def _forget(self, connection: Connection, channel: str, queues: Sequence[Queue]) -> None:
        await self._serve(connection)
        for queue in queues:
            await queue.forget(connection)
        if channel in (self._served or ()):
            # It still takes commands, and none of those may be lost should it stay: purged once it is served no longer.
            self._leftover.add(channel)
        else:
            await self._purge(connection, channel)

    async def _purge(self, connection: Connection, channel: str) -> None:
        of_channel = f"{subjects.channel_root(self._clinic, channel)}.>"
        for stream in (subjects.STREAM_SEND, subjects.STREAM_LATER):
            await connection.js.purge_stream(stream, subject=of_channel)

    async def _purge_schedules(self, connection: Connection, part: Sequence[str]) -> None:
        await asyncio.gather(*(connection.js.purge_stream(subjects.STREAM_LATER, subject=one) for one in part))

    async def _store(self, messages: Iterable[Outgoing], doing: str) -> None:
        connection = await self.link.connection()
        publisher = self._publisher
        if publisher is None or publisher.connection is not connection:
            raise BusUnavailableError(f"{doing}: connection lost")
        await publisher.publish(messages, doing, timeout=PUBLISH_TIMEOUT)

    async def _stored(self, batch: Sequence[Publication]) -> frozenset[tuple[bool, str]]:
        """Of those that have ``since``, which are stored already: whether it is a dead letter, and its id."""
        connection = await self.link.connection()
        stored: set[tuple[bool, str]] = set()
        for stream, dead in ((subjects.STREAM_DEAD, True), (subjects.STREAM_EVENTS, False)):
            tried = [one for one in batch if one.since is not None and (one.kind is None) is dead]
            if not tried:
                continue
            ids = {self._full_id(one): one.message_id for one in tried}
            since = min(one.since for one in tried if one.since is not None) - _MARGIN
            work = lookup.stored(connection, stream, {self._subject(one) for one in tried}, ids, since)
            found = await connection.during(work, f"looking into the stream {stream}", timeout=LOOKUP_TIMEOUT)
            stored |= {(dead, ids[one]) for one in found}
        return frozenset(stored)

    def _messages(self, batch: Iterable[Publication]) -> Iterator[Outgoing]:
        encoding = self._encoding(self._clinic)
        for publication in batch:
            headers = passed_on(publication.headers) | {
                subjects.HEADER_MESSAGE_ID: self._full_id(publication),
                subjects.HEADER_CONTENT_TYPE: encoding.content_type,
            }
            body = encode(publication.event, encoding)
            yield Outgoing(self._subject(publication), wire.header_block(headers), body, publication.message_id)

    def _subject(self, publication: Publication) -> str:
        channel, kind = publication.channel, publication.kind
        return subjects.dead(self._clinic, channel) if kind is None else subjects.event(self._clinic, channel, kind)

    def _full_id(self, publication: Publication) -> str:
        # The clinic is in it because one stream of `platform` holds the events of all clinics.
        return f"{self._clinic}.{publication.message_id}"
