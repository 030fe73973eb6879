"""The client library's client, put right where it does not fit: closing, and asking JetStream.

A server that reloads its configuration takes back ``$JS.API.>`` of *every* account and gives it again some milliseconds
later (``configureAccounts`` in its ``server.go`` drops all service imports, and JetStream's API is one). A request in
between meets nobody, or its answer finds no way back. Streams and consumers themselves are not touched: what is
published to them arrives.
"""

import asyncio
from typing import Any, Final

from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.errors import NoRespondersError
from nats.errors import TimeoutError as NatsTimeoutError

UNSERVED: Final = 5.0
"""Seconds for which JetStream may be away, as it is during a reload, before whoever asks is told."""
_FIRST_PAUSE: Final = 0.01
_PAUSE_CAP: Final = 0.2
_FIRST_TIMEOUT: Final = 1.0
_API: Final = "$JS.API."
_BY_STREAMS: Final = f"{_API}DIRECT."
"""Answered by the streams themselves: nobody there means that there is no such stream."""
_REPEATABLE: Final = tuple(
    f"{_API}{call}"
    for call in (
        "INFO",
        "STREAM.NAMES",
        "STREAM.LIST",
        "STREAM.INFO.",
        "STREAM.MSG.GET.",
        "STREAM.CREATE.",
        "STREAM.UPDATE.",
        "CONSUMER.NAMES.",
        "CONSUMER.LIST.",
        "CONSUMER.INFO.",
        "CONSUMER.DURABLE.CREATE.",
    )
)
"""What may be done twice: it reads, or the server answers a repeat with what is there already."""


def repeatable(subject: str) -> bool:
    """True if a request to ``subject`` whose answer may have been lost can be made again."""
    if subject.startswith(f"{_API}CONSUMER.CREATE."):
        # With a name it is idempotent; without, each is a consumer more.
        return len(subject.split(".")) > len(f"{_API}CONSUMER.CREATE.stream".split("."))
    return subject.startswith(_REPEATABLE)


class PatientClient(Client):
    """A client that outlasts a reload of its server's configuration."""

    async def request(
        self,
        subject: str,
        payload: bytes = b"",
        timeout: float = 0.5,
        old_style: bool = False,
        headers: dict[str, Any] | None = None,
    ) -> Msg:
        """As the library's; ``timeout`` seconds in all. What JetStream's API certainly did not get is asked again, and
        so is what it may have got, if that does no harm. Raises the library's errors."""
        if not subject.startswith(_API) or subject.startswith(_BY_STREAMS):
            return await super().request(subject, payload, timeout, old_style, headers)
        clock = asyncio.get_running_loop().time
        deadline = clock() + timeout
        unserved = min(deadline, clock() + UNSERVED)
        patience = _FIRST_TIMEOUT if repeatable(subject) else timeout
        pause = _FIRST_PAUSE
        while True:
            try:
                return await super().request(subject, payload, min(patience, deadline - clock()), old_style, headers)
            except NoRespondersError:
                if clock() + pause >= unserved:
                    raise
                await asyncio.sleep(pause)
                pause = min(2 * pause, _PAUSE_CAP)
            except NatsTimeoutError:
                if not repeatable(subject) or clock() >= deadline:
                    raise
                patience *= 2

    async def _close(self, status: int, do_cbs: bool = True) -> None:
        """The library writes what is pending into a socket that may be gone: that raises, leaves its tasks behind and
        skips ``closed_cb``. What must not be lost is flushed before closing."""
        self._pending.clear()
        self._pending_data_size = 0
        await super()._close(status, do_cbs)
