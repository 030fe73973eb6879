"""Fetching from durable consumers in the order of their importance, without polling."""

import asyncio
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from nats.errors import Error as NatsError
from nats.js.api import AckPolicy, ConsumerConfig, DeliverPolicy
from nats.js.errors import NotFoundError

from gateway.nats.link import Connection, Link
from gateway.nats.pull import LINGER, MAX_BYTES, Delivery, Pull, Request, Wake
from gateway.nats.translate import translating
from protocol.errors import BusUnavailableError

_BATCH: Final = 64
_MAX_ACK_PENDING: Final = 1024


@dataclass(frozen=True, slots=True)
class Source:
    """A durable consumer: its stream, its name, and the one subject of which it gives the messages."""

    stream: str
    name: str
    subject: str


class Queue:
    """What comes from ``sources``, those named first before the others. What is not settled within ``ack_wait`` seconds
    comes again. ``doing`` says in errors what it is for. On the loop's thread."""

    def __init__(
        self,
        link: Link,
        sources: Sequence[Source],
        *,
        doing: str,
        ack_wait: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._link = link
        self._doing = doing
        self._ack_wait = ack_wait
        self._wake = Wake()
        self._one_at_a_time = asyncio.Lock()
        self._bound: Connection | None = None
        self._released = False
        self._pulls = [(source, Pull(source.stream, source.name, self._wake, clock=clock)) for source in sources]

    async def fetch(self, limit: int) -> list[Delivery]:
        """At most ``limit`` messages, fewer if they are large, by importance. Waits for the first. Of two calls, the
        second waits for the first.

        Raises:
            BusUnavailableError: NATS is away.
        """
        async with self._one_at_a_time:
            while True:
                if self._released:
                    raise BusUnavailableError(f"{self._doing}: closed")
                connection = await self._link.connection()
                try:
                    with translating(self._doing):
                        self._wake.clear()
                        if self._bound is not connection:
                            await self._bind(connection)
                        if taken := await self._take(connection, limit):
                            return taken
                        await self._linger(connection)
                except BusUnavailableError:
                    if not connection.lost.done():
                        raise

    async def release(self) -> None:
        """Fetch no more, and have all that is held or taken and not settled come again at once."""
        self._released = True
        connection, self._bound = self._bound, None
        for source, pull in self._pulls:
            await pull.unbind()
            if connection is None or connection.lost.done() or not pull.unsettled:
                continue
            with suppress(NatsError):
                # Before it answers this the server drops requests to which nobody listens. What it tried to deliver to
                # one would be the last to come again instead of the first.
                await connection.js.consumer_info(source.stream, source.name)
                await pull.release()

    async def forget(self, connection: Connection) -> None:
        """Delete the consumers. Raises the client library's errors."""
        self._bound = None
        for source, pull in self._pulls:
            await pull.unbind()
            await _delete(connection, source)

    async def _bind(self, connection: Connection) -> None:
        """Begin anew. What an old consumer had delivered to a process or a connection that is gone would come again
        only after ``ack_wait``, and what is newer would overtake it."""
        for source, pull in self._pulls:
            await connection.during(_delete(connection, source), f"beginning the consumer {source.name} anew")
            config = ConsumerConfig(
                durable_name=source.name,
                name=source.name,
                filter_subject=source.subject,
                deliver_policy=DeliverPolicy.ALL,
                ack_policy=AckPolicy.EXPLICIT,
                ack_wait=self._ack_wait,
                max_ack_pending=_MAX_ACK_PENDING,
            )
            doing = f"creating the consumer {source.name}"
            await connection.during(connection.js.add_consumer(source.stream, config), doing)
            await pull.bind(connection)
        self._bound = connection

    async def _take(self, connection: Connection, limit: int) -> list[Delivery]:
        taken: list[Delivery] = []
        try:
            for _, pull in self._pulls:
                # Well before the server takes it for lost and gives it to us a second time.
                await pull.give_back(older_than=0.8 * self._ack_wait)
                while len(taken) < limit and sum(len(delivery.body) for delivery in taken) < MAX_BYTES:
                    found = pull.take(limit - len(taken))
                    taken += found
                    if not found and not await self._look(connection, pull, limit - len(taken)):
                        break
                if pull.failure is not None and taken:
                    break
                self._check(pull)
        except BaseException:
            for delivery in reversed(taken):
                delivery.pull.put_back([delivery])
            raise
        return taken

    async def _look(self, connection: Connection, pull: Pull, batch: int) -> bool:
        """Ask the server what it has, unless we know that it has nothing; True if something came in."""
        if pull.request is Request.NONE:
            await pull.probe(batch)
        while pull.request is Request.PROBE and not connection.lost.done():
            self._wake.clear()
            await self._wake.wait(connection.lost, timeout=1)
        if not pull.holds and pull.request is Request.NONE and pull.failure is None and not connection.lost.done():
            # So that the next fetch knows without asking.
            await pull.linger(_BATCH)
        return pull.holds

    def _check(self, pull: Pull) -> None:
        """Raise what the server refused. Most likely somebody deleted the consumer: the next fetch makes it again."""
        if pull.failure is not None:
            self._bound = None
            raise BusUnavailableError(f"consumer {pull.name}: {pull.failure}")

    async def _linger(self, connection: Connection) -> None:
        """Wait until something comes, with a standing request at each source."""
        for _, pull in self._pulls:
            if pull.request is Request.NONE and not connection.lost.done():
                await pull.linger(_BATCH)
        await self._wake.wait(connection.lost, timeout=LINGER)
        for _, pull in self._pulls:
            self._check(pull)


async def _delete(connection: Connection, source: Source) -> None:
    with suppress(NotFoundError):
        await connection.js.delete_consumer(source.stream, source.name)
