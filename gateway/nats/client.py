"""The client library's client, put right where it does not fit: closing, asking JetStream, and what is done so often
that its way of doing it costs too much (see ``wire``).

A server that reloads its configuration takes back ``$JS.API.>`` of *every* account and gives it again some milliseconds
later (``configureAccounts`` in its ``server.go`` drops all service imports, and JetStream's API is one). A request in
between meets nobody. Streams and consumers themselves are not touched: what is published to them arrives.
"""

import asyncio
from collections.abc import Callable, Sequence
from typing import Any, Final

import structlog
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription
from nats.errors import ConnectionClosedError, NoRespondersError

Receive = Callable[[bytes, bytes, bytes, bytes | None], None]
"""Gets subject, reply subject, body and header block of a message; must not raise."""

log = structlog.get_logger(__name__)

UNSERVED: Final = 5.0
"""Seconds for which JetStream may be away, as it is during a reload, before whoever asks is told."""
_FIRST_PAUSE: Final = 0.01
_PAUSE_CAP: Final = 0.2
_API: Final = "$JS.API."
_BY_STREAMS: Final = f"{_API}DIRECT."
"""Answered by the streams themselves: nobody there means that there is no such stream."""


class PatientClient(Client):
    """A client that outlasts a reload of its server's configuration, and gives access to the bare connection."""

    def __init__(self) -> None:
        super().__init__()
        self._receivers: dict[int, Receive] = {}
        self._timers: dict[float, asyncio.TimerHandle] = {}

    def write(self, frames: Sequence[bytes]) -> None:
        """Send these words of the protocol now, after all that was published before; how much may be under way at once
        is the caller's business. Raises ConnectionClosedError."""
        if not self.is_connected or self._transport is None:
            raise ConnectionClosedError
        waiting, self._pending, self._pending_data_size = self._pending, [], 0
        if waiting or frames:
            self._transport.write(b"".join([*waiting, *frames]))

    def write_within(self, delay: float, frames: Sequence[bytes]) -> None:
        """The same with whatever else is sent meanwhile, ``delay`` seconds from now at the latest (0: with all that is
        sent in this turn of the loop). Sending costs more than most of what is sent. Raises ConnectionClosedError."""
        if not self.is_connected:
            raise ConnectionClosedError
        self._pending += frames
        self._pending_data_size += sum(map(len, frames))
        if delay not in self._timers:
            self._timers[delay] = asyncio.get_running_loop().call_later(delay, self._write_pending, delay)

    def _write_pending(self, delay: float) -> None:
        del self._timers[delay]
        if self.is_connected:
            self.write(())

    async def listen(self, subject: str, receive: Receive) -> Subscription:
        """Have ``receive`` called with each message to ``subject`` as it is read, until ``unlisten``. Raises the
        library's errors."""
        # With a future the library keeps no queue and no task for it; the future is not used.
        subscription = await self.subscribe(subject, future=asyncio.get_running_loop().create_future())
        self._receivers[subscription._id] = receive
        return subscription

    async def flush(self, timeout: int = 10) -> None:
        """Wait until the server has taken all that was sent before, and said what it thinks of it; the library asks it
        for that ahead of what waits to be written. Raises the library's errors."""
        self.write(())
        await super().flush(timeout)

    async def unlisten(self, subscription: Subscription) -> None:
        """Receive no more; what the server sent before is still received. Raises the library's errors."""
        try:
            if self.is_connected:
                self.write([f"UNSUB {subscription._id}\r\n".encode()])
                await self.flush()
        finally:
            self._receivers.pop(subscription._id, None)
            self._remove_sub(subscription._id)

    async def _process_msg(self, sid: int, subject: bytes, reply: bytes, data: bytes, headers: bytes) -> None:
        receive = self._receivers.get(sid)
        if receive is None:
            await super()._process_msg(sid, subject, reply, data, headers)
            return
        try:
            receive(subject, reply, data, headers)
        except Exception:
            # The library would read nothing more, and say nothing of it.
            log.exception("nats_receiver_broke", subject=subject[:128])

    async def request(
        self,
        subject: str,
        payload: bytes = b"",
        timeout: float = 0.5,
        old_style: bool = False,
        headers: dict[str, Any] | None = None,
    ) -> Msg:
        """As the library's; ``timeout`` seconds in all. What JetStream's API certainly did not get is asked again: that
        does no harm, whatever it is. Raises the library's errors."""
        if not subject.startswith(_API) or subject.startswith(_BY_STREAMS):
            return await super().request(subject, payload, timeout, old_style, headers)
        clock = asyncio.get_running_loop().time
        began, pause = clock(), _FIRST_PAUSE
        while True:
            try:
                return await super().request(subject, payload, began + timeout - clock(), old_style, headers)
            except NoRespondersError:
                if clock() + pause >= began + min(timeout, UNSERVED):
                    raise
                await asyncio.sleep(pause)
                pause = min(2 * pause, _PAUSE_CAP)

    async def _close(self, status: int, do_cbs: bool = True) -> None:
        """The library writes what is pending into a socket that may be gone: that raises, leaves its tasks behind and
        skips ``closed_cb``. What must not be lost is flushed before closing."""
        for timer in self._timers.values():
            timer.cancel()
        self._timers.clear()
        self._pending.clear()
        self._pending_data_size = 0
        await super()._close(status, do_cbs)
