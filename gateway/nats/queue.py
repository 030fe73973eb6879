"""A channel's work queue: three durable consumers, one per priority, and fetching from them in that order."""

import asyncio
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from typing import Final

from nats.aio.msg import Msg
from nats.js.api import AckPolicy, ConsumerConfig, DeliverPolicy
from nats.js.errors import NotFoundError

from gateway.nats.headers import passed_on
from gateway.nats.link import Connection, Link
from gateway.nats.pull import LINGER, MAX_BYTES, Held, Pull, Request
from gateway.nats.translate import translating
from protocol import subjects
from protocol.bus import Fetched
from protocol.errors import BusUnavailableError
from protocol.subjects import Priority

_BATCH: Final = 64
_MAX_ACK_PENDING: Final = 1024
_ORDER: Final = (Priority.HIGH, Priority.NORMAL, Priority.BULK)


def consumer_name(channel: str, priority: Priority) -> str:
    """The last token is the priority, so that no two channels' names run together."""
    return f"{subjects.STREAM_SEND}-{channel}-{priority}"


class ChannelQueue:
    """The send commands of one channel. A command that is not acknowledged within ``ack_wait`` seconds comes again."""

    def __init__(
        self, link: Link, clinic: str, channel: str, *, ack_wait: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._link = link
        self._clinic = clinic
        self._channel = channel
        self._ack_wait = ack_wait
        self._wake = asyncio.Event()
        self._one_at_a_time = asyncio.Lock()
        self._bound: Connection | None = None
        self._pulls = {
            priority: Pull(subjects.STREAM_SEND, consumer_name(channel, priority), self._wake, clock=clock)
            for priority in _ORDER
        }

    async def fetch(self, limit: int) -> list[Fetched]:
        """At most ``limit`` commands, fewer if they are large; high before normal before bulk. Waits for the first.

        Raises:
            BusUnavailableError: NATS is away.
        """
        async with self._one_at_a_time:
            while True:
                connection = await self._link.connection()
                try:
                    with translating(f"fetching for channel {self._channel}"):
                        self._wake.clear()
                        if self._bound is not connection:
                            await self._bind(connection)
                        if taken := await self._take(connection, limit):
                            return taken
                        await self._linger(connection)
                except BusUnavailableError:
                    if not connection.lost.done():
                        raise

    async def forget(self, connection: Connection) -> None:
        """Delete the consumers. Raises the client library's errors."""
        self._bound = None
        for pull in self._pulls.values():
            await pull.unbind()
            with suppress(NotFoundError):
                await connection.js.delete_consumer(subjects.STREAM_SEND, pull.name)

    async def _bind(self, connection: Connection) -> None:
        for priority, pull in self._pulls.items():
            config = ConsumerConfig(
                durable_name=pull.name,
                name=pull.name,
                filter_subject=subjects.send(self._clinic, self._channel, priority),
                deliver_policy=DeliverPolicy.ALL,
                ack_policy=AckPolicy.EXPLICIT,
                ack_wait=self._ack_wait,
                max_ack_pending=_MAX_ACK_PENDING,
            )
            doing = f"creating the consumer {pull.name}"
            await connection.during(connection.js.add_consumer(subjects.STREAM_SEND, config), doing)
            await pull.bind(connection)
        self._bound = connection

    async def _take(self, connection: Connection, limit: int) -> list[Fetched]:
        taken: list[tuple[Priority, Held]] = []
        try:
            for priority, pull in self._pulls.items():
                # Well before the server takes it for lost and gives it to us a second time.
                await pull.give_back(older_than=0.8 * self._ack_wait)
                while len(taken) < limit and sum(len(held.msg.data) for _, held in taken) < MAX_BYTES:
                    found = pull.take(limit - len(taken))
                    taken += [(priority, held) for held in found]
                    if not found and not await self._look(connection, pull, limit - len(taken)):
                        break
                if pull.failure is not None and taken:
                    break
                self._check(pull)
        except BaseException:
            for priority, held in reversed(taken):
                self._pulls[priority].put_back([held])
            raise
        return [self._fetched(held.msg, priority) for priority, held in taken]

    async def _look(self, connection: Connection, pull: Pull, batch: int) -> bool:
        """Ask the server what it has, unless we know that it has nothing; True if something came in."""
        if pull.request is Request.NONE:
            await pull.probe(batch)
        while pull.request is Request.PROBE and not connection.lost.done():
            self._wake.clear()
            await self._until_woken(connection, timeout=1)
        return pull.holds

    def _check(self, pull: Pull) -> None:
        """Raise what the server refused. Most likely somebody deleted the consumer: the next fetch makes it again."""
        if pull.failure is not None:
            self._bound = None
            raise BusUnavailableError(f"consumer {pull.name}: {pull.failure}")

    async def _linger(self, connection: Connection) -> None:
        """Wait until something comes, with a standing request at each priority."""
        for pull in self._pulls.values():
            if pull.request is Request.NONE and not connection.lost.done():
                await pull.linger(_BATCH)
        await self._until_woken(connection, timeout=LINGER)
        for pull in self._pulls.values():
            self._check(pull)

    async def _until_woken(self, connection: Connection, *, timeout: float) -> None:
        woken = asyncio.ensure_future(self._wake.wait())
        try:
            await asyncio.wait((woken, connection.lost), timeout=timeout, return_when=asyncio.FIRST_COMPLETED)
        finally:
            woken.cancel()

    def _fetched(self, msg: Msg, priority: Priority) -> Fetched:
        reply = msg.reply

        async def answer(word: bytes) -> None:
            # Not waited for: if it is lost, the command comes again and the ledger knows it.
            connection = await self._link.connection()
            with translating(f"acknowledging for channel {self._channel}"):
                await connection.nc.publish(reply, word)

        return Fetched(
            body=msg.data,
            priority=priority,
            queued_at=msg.metadata.timestamp or datetime.now(UTC),
            headers=passed_on(msg.headers),
            ack=lambda: answer(b"+ACK"),
            nak=lambda: answer(b"-NAK"),
        )
