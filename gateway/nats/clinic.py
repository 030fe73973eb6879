"""The bus of one clinic: what can be done on its account."""

import asyncio
from collections import deque
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Final

import structlog
from nats.js.api import PubAck

from gateway.nats import media
from gateway.nats.headers import passed_on
from gateway.nats.link import Broker, Connection, Link
from gateway.nats.queue import ChannelQueue
from gateway.nats.rpc import ClinicRpc
from gateway.nats.streams import Retention, clinic_streams, ensure_stream, send_stream
from gateway.nats.translate import translating
from protocol import subjects
from protocol.bus import Fetched, Publication
from protocol.codec import Encoding, encode
from protocol.ids import check_name
from protocol.operations import Operations
from protocol.subjects import Priority

log = structlog.get_logger(__name__)

PUBLISH_TIMEOUT: Final = 30.0
MEDIA_TIMEOUT: Final = 60.0
_WINDOW_MESSAGES: Final = 256
_WINDOW_BYTES: Final = 4 << 20


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
        operations: Operations | None,
    ) -> None:
        self._clinic = clinic
        self._encoding = encoding
        self._retention = retention
        self._ack_wait = ack_wait
        self._rpc = ClinicRpc(clinic, operations) if operations is not None else None
        self._queues: dict[str, ChannelQueue] = {}
        self._served: frozenset[str] | None = None
        self._leftover: set[str] = set()
        self._changing = asyncio.Lock()
        self.link: Final = Link(broker, subjects.account(clinic), self._set_up)

    def open(self) -> None:
        """Begin to connect. Whatever happens to the link, only this clinic suffers, and the link begins anew."""
        self.link.open_mending(self._link_broke)

    async def fetch(self, channel: str, limit: int) -> Sequence[Fetched]:
        """See ``ClinicBus``. Of two calls for one channel, the second waits for the first."""
        if channel not in self._queues:
            self._queues[channel] = ChannelQueue(self.link, self._clinic, channel, ack_wait=self._ack_wait)
        return await self._queues[channel].fetch(limit)

    async def publish(self, batch: Sequence[Publication]) -> None:
        """See ``ClinicBus``. Several are under way at once, in order; the first that fails stops those after it."""
        connection = await self.link.connection()
        await connection.during(self._publish(connection, batch), "publishing events", timeout=PUBLISH_TIMEOUT)

    async def enqueue(self, channel: str, priority: Priority, body: bytes, headers: Mapping[str, str]) -> None:
        """See ``ClinicBus``. The message carries no ``Nats-Msg-Id``: a repeated id must reach the ledger."""
        connection = await self.link.connection()
        subject = subjects.send(self._clinic, check_name("channel", channel), priority)
        work = connection.js.publish(subject, body, headers=passed_on(headers) or None)
        await connection.during(work, "queueing a command")

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
        queue = self._queues.pop(check_name("channel", channel), None)
        queue = queue or ChannelQueue(self.link, self._clinic, channel, ack_wait=self._ack_wait)
        async with self._changing:
            connection = await self.link.connection()
            await connection.during(self._forget(connection, channel, queue), f"forgetting channel {channel}")

    async def close(self) -> None:
        """Stop answering rpc and disconnect."""
        await self.link.close()
        if self._rpc is not None:
            await self._rpc.stop()

    def _link_broke(self, error: BaseException) -> None:
        log.error("nats_clinic_link_broke", clinic=self._clinic, exc_info=error)

    async def _set_up(self, connection: Connection) -> None:
        with translating(f"preparing the NATS account of clinic {self._clinic}"):
            for config in clinic_streams(self._clinic, self._retention, self._served or ()):
                # Before we are told which channels there are, those that the account knows stay served.
                untold = config.name == subjects.STREAM_SEND and self._served is None
                await ensure_stream(connection.js, config, keep=("subjects",) if untold else ())
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

    async def _forget(self, connection: Connection, channel: str, queue: ChannelQueue) -> None:
        await self._serve(connection)
        await queue.forget(connection)
        if channel in (self._served or ()):
            # It still takes commands, and none of those may be lost should it stay: purged once it is served no longer.
            self._leftover.add(channel)
        else:
            await self._purge(connection, channel)

    async def _purge(self, connection: Connection, channel: str) -> None:
        of_channel = f"{subjects.channel_root(self._clinic, channel)}.>"
        await connection.js.purge_stream(subjects.STREAM_SEND, subject=of_channel)

    async def _publish(self, connection: Connection, batch: Sequence[Publication]) -> None:
        waiting: deque[tuple[asyncio.Future[PubAck], int]] = deque()
        held = 0
        try:
            for publication in batch:
                subject, body, headers = self._message(publication)
                while waiting and (len(waiting) >= _WINDOW_MESSAGES or held + len(body) > _WINDOW_BYTES):
                    await waiting[0][0]
                    held -= waiting.popleft()[1]
                waiting.append((await connection.js.publish_async(subject, body, headers=headers), len(body)))
                held += len(body)
            for future, _ in waiting:
                await future
        finally:
            for future, _ in waiting:
                if not future.cancel() and not future.cancelled():
                    future.exception()

    def _message(self, publication: Publication) -> tuple[str, bytes, dict[str, str]]:
        channel, kind = publication.channel, publication.kind
        subject = subjects.dead(self._clinic, channel) if kind is None else subjects.event(self._clinic, channel, kind)
        encoding = self._encoding(self._clinic)
        headers = passed_on(publication.headers) | {
            # The clinic is in it because one stream of `platform` holds the events of all clinics.
            subjects.HEADER_MESSAGE_ID: f"{self._clinic}.{publication.message_id}",
            subjects.HEADER_CONTENT_TYPE: encoding.content_type,
        }
        return subject, encode(publication.event, encoding), headers
