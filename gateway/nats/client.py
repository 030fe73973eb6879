"""The client library's client, put right where it does not fit: closing, and asking JetStream.

A server that reloads its configuration takes back ``$JS.API.>`` of *every* account and gives it again some milliseconds
later (``configureAccounts`` in its ``server.go`` drops all service imports, and JetStream's API is one). A request in
between meets nobody. Streams and consumers themselves are not touched: what is published to them arrives.
"""

import asyncio
from typing import Any, Final

from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.errors import NoRespondersError

UNSERVED: Final = 5.0
"""Seconds for which JetStream may be away, as it is during a reload, before whoever asks is told."""
_FIRST_PAUSE: Final = 0.01
_PAUSE_CAP: Final = 0.2
_API: Final = "$JS.API."
_BY_STREAMS: Final = f"{_API}DIRECT."
"""Answered by the streams themselves: nobody there means that there is no such stream."""


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
        self._pending.clear()
        self._pending_data_size = 0
        await super()._close(status, do_cbs)
