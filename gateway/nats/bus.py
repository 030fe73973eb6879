"""The bus: a link to every clinic's account, and what can be done on each."""

import asyncio
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import Final

import structlog
from nats.js.api import PubAck

from gateway.nats import media
from gateway.nats.headers import passed_on
from gateway.nats.link import Broker, Connection, Link
from gateway.nats.queue import ChannelQueue
from gateway.nats.rpc import ClinicRpc
from gateway.nats.streams import Retention, clinic_streams, ensure_stream, node_streams, platform_streams
from gateway.nats.translate import translating
from protocol import subjects
from protocol.codec import Encoding, encode
from protocol.errors import BusUnavailableError
from protocol.ids import check_name
from protocol.interfaces import ClinicBus, Fetched, Operations, Publication
from protocol.subjects import Priority

log = structlog.get_logger(__name__)

ACK_WAIT: Final = 30.0
PUBLISH_TIMEOUT: Final = 30.0
MEDIA_TIMEOUT: Final = 60.0
_OPEN_TIMEOUT: Final = 15.0
_WINDOW_MESSAGES: Final = 256
_WINDOW_BYTES: Final = 4 << 20


def always_msgpack(clinic: str) -> Encoding:
    """The encoding of events where no clinic has a setting of its own."""
    del clinic
    return Encoding.MSGPACK


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
        self.link: Final = Link(broker, subjects.account(clinic), self._set_up)

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

    async def forget_channel(self, channel: str) -> None:
        """See ``ClinicBus``. Raises BusUnavailableError. To end a fetch that still waits is the caller's business."""
        queue = self._queues.pop(channel, None)
        queue = queue or ChannelQueue(self.link, self._clinic, channel, ack_wait=self._ack_wait)
        connection = await self.link.connection()
        await connection.during(queue.forget(connection), f"deleting the consumers of channel {channel}")

    async def close(self) -> None:
        """Stop answering rpc and disconnect."""
        await self.link.close()
        if self._rpc is not None:
            await self._rpc.stop()

    async def _set_up(self, connection: Connection) -> None:
        with translating(f"preparing the NATS account of clinic {self._clinic}"):
            for config in clinic_streams(self._clinic, self._retention):
                await ensure_stream(connection.js, config)
            if self._rpc is not None:
                await self._rpc.start(connection.nc)

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


class NatsBus:
    """All accounts that this node serves (implements ``Service`` and ``Bus``).

    ``encoding`` is asked for each event of a clinic. ``ack_wait``: seconds after which a fetched command that nobody
    acknowledged comes again. All methods belong to the loop's thread.
    """

    def __init__(
        self,
        broker: Broker,
        *,
        encoding: Callable[[str], Encoding] = always_msgpack,
        retention: Retention | None = None,
        ack_wait: float = ACK_WAIT,
    ) -> None:
        self._broker = broker
        self._encoding = encoding
        self._retention = retention or Retention()
        self._ack_wait = ack_wait
        self._operations: Operations | None = None
        self._node: Link | None = None
        self._clinics: dict[str, NatsClinicBus] = {}
        self._opening: dict[str, asyncio.Lock] = {}
        self._failed: asyncio.Future[str] | None = None

    def serve(self, operations: Operations) -> None:
        """Answer rpc of the clinics that are opened from now on by ``operations``."""
        self._operations = operations

    @property
    def connected(self) -> bool:
        """True while the node's own account is connected; for readiness."""
        return self._node is not None and self._node.connected

    def clinic_connected(self, clinic: str) -> bool:
        """True while the clinic's account is open and connected."""
        return clinic in self._clinics and self._clinics[clinic].link.connected

    # -- Service --

    async def start(self) -> None:
        """Connect the accounts ``plantao`` and ``platform`` and bring their streams up to date.

        Raises:
            BusUnavailableError: they could not be reached in time.
        """
        await self.stop(timeout=1)
        self._failed = asyncio.get_running_loop().create_future()
        platform = Link(self._broker, subjects.ACCOUNT_PLATFORM, self._set_up_platform)
        self._node = Link(self._broker, subjects.ACCOUNT_NODE, self._set_up_node)
        try:
            for link in (self._node, platform):
                link.open(self._link_ended)
            for link in (self._node, platform):
                await link.connection(timeout=_OPEN_TIMEOUT)
        except BaseException:
            await self.stop(timeout=1)
            raise
        finally:
            await platform.close()

    async def wait(self) -> str:
        """Links reconnect for ever: returns only if one of them broke by a mistake of ours."""
        if self._failed is None:
            return "the bus is not running"
        return await asyncio.shield(self._failed)

    async def stop(self, *, timeout: float) -> None:
        """Disconnect everything; what was published is flushed if the server takes it within ``timeout`` seconds."""
        node, self._node = self._node, None
        clinics, self._clinics = list(self._clinics.values()), {}
        closing = [asyncio.ensure_future(clinic.close()) for clinic in clinics]
        if node is not None:
            closing.append(asyncio.ensure_future(node.close()))
        if closing:
            _, late = await asyncio.wait(closing, timeout=timeout)
            for task in late:
                task.cancel()

    # -- Bus --

    async def open_clinic(self, clinic: str) -> ClinicBus:
        """See ``Bus``.

        Raises:
            BusUnavailableError: the account could not be connected or prepared in time.
            NotFoundError: an external server's accounts file does not have it.
        """
        async with self._opening.setdefault(clinic, asyncio.Lock()):
            if found := self._clinics.get(clinic):
                return found
            await self._broker.ensure_account(clinic)
            opened = NatsClinicBus(
                self._broker,
                clinic,
                encoding=self._encoding,
                retention=self._retention,
                ack_wait=self._ack_wait,
                operations=self._operations,
            )
            opened.link.open(self._link_ended)
            try:
                await opened.link.connection(timeout=_OPEN_TIMEOUT)
            except BaseException:
                await opened.close()
                raise
            self._clinics[clinic] = opened
            return opened

    async def close_clinic(self, clinic: str, *, forget: bool) -> None:
        """See ``Bus``. Raises BusUnavailableError if it was to be forgotten and could not."""
        async with self._opening.setdefault(clinic, asyncio.Lock()):
            if opened := self._clinics.pop(clinic, None):
                await opened.close()
            if forget:
                await self._broker.remove_account(clinic)

    # -- for the registry --

    async def node_connection(self) -> Connection:
        """The connection to the account ``plantao``. Raises BusUnavailableError."""
        if self._node is None:
            raise BusUnavailableError("the bus is not running")
        return await self._node.connection()

    async def _set_up_node(self, connection: Connection) -> None:
        with translating("preparing the NATS account plantao"):
            for config in node_streams():
                await ensure_stream(connection.js, config)

    async def _set_up_platform(self, connection: Connection) -> None:
        with translating("preparing the NATS account platform"):
            for config in platform_streams(self._retention):
                await ensure_stream(connection.js, config)

    def _link_ended(self, task: asyncio.Task[None]) -> None:
        if task.cancelled():
            return
        error = task.exception()
        log.error("nats_link_broke", task=task.get_name(), exc_info=error)
        if self._failed is not None and not self._failed.done():
            self._failed.set_result(f"{task.get_name()} broke: {error!r}")
