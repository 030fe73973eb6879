"""One durable pull consumer: a request at a time, what came in but was not taken yet, and what was taken.

Two kinds of request: a *probe* brings what is there now and ends at once; a *linger* waits on the server for what
comes. While a linger stands, the server holds nothing that we don't: that is how priorities are kept without polling.
"""

import asyncio
import json
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from enum import Enum
from typing import Final

from nats.aio.subscription import Subscription
from nats.errors import Error as NatsError

from gateway.nats import wire
from gateway.nats.link import Connection

LINGER: Final = 30.0
"""Seconds after which a linger ends by itself: what was caught by it while nobody fetched is bounded by its batch."""
_GRACE: Final = 5.0
_ENDS: Final = ("404", "408", "409 Message Size Exceeds MaxBytes", "409 Batch Completed")
"""The server's answers at the orderly end of a request: nothing there, time over, all the bytes or messages asked."""
_HEARTBEAT: Final = "100"
MAX_BYTES: Final = 4 << 20
"""What one request may bring, in bytes: more than the largest command, so that each can be had."""


class Wake:
    """Something has changed; one at a time waits for that. On the loop's thread."""

    def __init__(self) -> None:
        self._is_set = False
        self._waiter: asyncio.Future[None] | None = None

    def set(self) -> None:
        """Wake whoever waits, or will."""
        self._is_set = True
        self._rouse()

    def clear(self) -> None:
        """What has changed so far is seen."""
        self._is_set = False

    async def wait(self, lost: asyncio.Future[None], *, timeout: float) -> None:
        """Until it is set, ``lost`` is done, or ``timeout`` seconds are over. Needs no task, as ``asyncio.wait`` does:
        the loop turns six times less for each command that comes by itself."""
        if self._is_set or lost.done():
            return
        loop = asyncio.get_running_loop()
        waiter = self._waiter = loop.create_future()
        clock = loop.call_later(timeout, self._rouse)
        lost.add_done_callback(self._rouse)
        try:
            await waiter
        finally:
            clock.cancel()
            lost.remove_done_callback(self._rouse)

    def _rouse(self, _: object = None) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)


class Request(Enum):
    """What the server was asked last and has not finished answering."""

    NONE = "none"
    PROBE = "probe"
    LINGER = "linger"


@dataclass(slots=True, eq=False)
class Delivery:
    """A message that came in at ``at`` (monotonic seconds); ``reply`` is where it is acknowledged."""

    pull: "Pull"
    sequence: int
    reply: bytes
    body: bytes
    block: bytes | None
    at: float


class Pull:
    """The consumer ``name`` of ``stream``; ``wake`` is set whenever something changed. On the loop's thread."""

    def __init__(self, stream: str, name: str, wake: Wake, *, clock: Callable[[], float] = time.monotonic) -> None:
        self.name: Final = name
        self._subject = f"$JS.API.CONSUMER.MSG.NEXT.{stream}.{name}"
        self._wake = wake
        self._clock = clock
        self._connection: Connection | None = None
        self._subscription: Subscription | None = None
        self._inbox = ""
        self._number = 0
        self._request = Request.NONE
        self._due = 0
        self._deadline = 0.0
        self._held: dict[int, Delivery] = {}
        """By sequence in the stream."""
        self._taken: dict[int, Delivery] = {}
        """What was taken and is not settled."""
        self.failure: str | None = None

    @property
    def request(self) -> Request:
        """The request that stands; one whose answer is overdue no longer does."""
        if self._request is not Request.NONE and self._clock() > self._deadline:
            self._request = Request.NONE
        return self._request

    async def bind(self, connection: Connection) -> None:
        """Listen on ``connection``, on which the consumer begins anew: what is not settled comes again, in order, so
        what is held is let go, and requests made before are void."""
        await self.unbind()
        self._connection = connection
        self._held = {}
        self._request = Request.NONE
        self.failure = None
        self._inbox = connection.nc.new_inbox()

        def receive(subject: bytes, reply: bytes, body: bytes, block: bytes | None) -> None:
            if self._connection is connection:
                self._receive(subject, reply, body, block)

        self._subscription = await connection.nc.listen(f"{self._inbox}.*", receive)

    async def unbind(self) -> None:
        """Listen no longer; what was under way has come in when this returns, if the connection still lives."""
        subscription, self._subscription = self._subscription, None
        if subscription is not None and self._connection is not None:
            with suppress(NatsError, TimeoutError, OSError):
                await self._connection.nc.unlisten(subscription)

    async def probe(self, batch: int) -> None:
        """Ask for at most ``batch`` messages that are there now."""
        await self._ask(Request.PROBE, batch, _GRACE, {"no_wait": True})

    async def linger(self, batch: int) -> None:
        """Ask for the next ``batch`` messages as they come."""
        await self._ask(Request.LINGER, batch, LINGER + _GRACE, {"expires": int(LINGER * 1e9)})

    @property
    def holds(self) -> bool:
        """True if something came in that was not taken."""
        return bool(self._held)

    @property
    def unsettled(self) -> bool:
        """True if something is held, or was taken and is not settled."""
        return bool(self._held or self._taken)

    def take(self, limit: int) -> list[Delivery]:
        """At most ``limit`` of what came in, oldest first."""
        taken = [self._held.pop(sequence) for sequence in sorted(self._held)[:limit]]
        for delivery in taken:
            self._taken[delivery.sequence] = delivery
        return taken

    def put_back(self, taken: Sequence[Delivery]) -> None:
        """Hold again what was taken, before what is newer; does nothing for what is settled."""
        unsettled = [self._taken.pop(one.sequence) for one in taken if self._taken.get(one.sequence) is one]
        if unsettled:
            self._held = {one.sequence: one for one in unsettled} | self._held
            self._wake.set()

    def settled(self, delivery: Delivery) -> None:
        """What was taken is acknowledged, and with it whatever came of the same message since."""
        self._taken.pop(delivery.sequence, None)
        self._held.pop(delivery.sequence, None)

    async def give_back(self, older_than: float) -> None:
        """If something has been held for more than ``older_than`` seconds, have the server deliver all that is held
        again: it is about to, and what is newer must not overtake it. Raises the client library's errors."""
        oldest = min((delivery.at for delivery in self._held.values()), default=None)
        if oldest is None or self._clock() - oldest <= older_than:
            return
        held, self._held = self._held, {}
        await self._refuse(list(held.values()))

    async def release(self) -> None:
        """Have the server deliver again all that is held, and all that was taken and not settled. Raises the client
        library's errors."""
        deliveries = [delivery for _, delivery in sorted((self._taken | self._held).items())]
        self._taken, self._held = {}, {}
        if deliveries:
            await self._refuse(deliveries)

    async def _ask(self, request: Request, batch: int, patience: float, body: dict[str, object]) -> None:
        assert self._connection is not None
        self._number += 1
        self._request, self._due = request, batch
        self._deadline = self._clock() + patience
        asked = json.dumps({"batch": batch, "max_bytes": MAX_BYTES, **body}).encode()
        await self._connection.nc.publish(self._subject, asked, f"{self._inbox}.{self._number}")

    async def _refuse(self, deliveries: Sequence[Delivery]) -> None:
        """Returns once the server knows of all: it takes refusals in order, but a request at the same time as they."""
        assert self._connection is not None
        nc, last = self._connection.nc, deliveries[-1]
        nc.write([wire.answer(delivery.reply, wire.NAK) for delivery in deliveries[:-1]])
        await nc.request(last.reply.decode(), wire.NAK, timeout=_GRACE)

    def _receive(self, subject: bytes, reply: bytes, body: bytes, block: bytes | None) -> None:
        status = "" if body or reply else wire.status_of(block)
        if not status:
            # Delivered again, it takes the place of what we hold of it: whoever takes both would have it twice, and
            # whoever gives both back would get both again.
            sequence = wire.sequence_of(reply)
            self._held.pop(sequence, None)
            self._held[sequence] = Delivery(self, sequence, reply, body, block, self._clock())
            self._due -= 1
            if self._due <= 0:
                self._request = Request.NONE
        elif status.startswith(_HEARTBEAT) or not subject.endswith(b".%d" % self._number):
            return
        else:
            self._request = Request.NONE
            if not status.startswith(_ENDS):
                self.failure = status
        self._wake.set()
