"""The name service, asked in threads of its own: one that hangs keeps nobody else's waiting."""

import asyncio
import socket
import threading
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Final

from gateway.thread import begin
from protocol.errors import UnavailableError

Lookup = Callable[[str, str], Awaitable[Sequence[str]]]
"""Of a clinic and a name: its IP addresses. Raises UnavailableError."""

AT_ONCE: Final = 8
"""Lookups under way of one clinic at most. They cannot be cut short: who waits no more leaves a thread behind, which
the system's resolver ends after some tens of seconds."""
MOST_ADDRESSES: Final = 8


class SystemLookup:
    """The system's resolver. Call it on the loop."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._under_way: Counter[str] = Counter()

    async def __call__(self, clinic: str, name: str) -> Sequence[str]:
        """The first addresses of ``name``.

        Raises:
            UnavailableError: there are none now, or too many lookups of this clinic are under way.
        """
        with self._lock:
            if self._under_way[clinic] >= AT_ONCE:
                raise UnavailableError("media.url: the name service does not answer")
            self._under_way[clinic] += 1
        try:
            asked = begin(partial(_ask, name), "lookup")
        except RuntimeError as error:
            self._ended(clinic)
            raise UnavailableError("media.url: the machine gives no thread") from error
        asked.add_done_callback(lambda _: self._ended(clinic))
        found = await asyncio.wrap_future(asked)
        if not found:
            raise UnavailableError("media.url: the name of its server is not known now")
        return found

    def _ended(self, clinic: str) -> None:
        """In the lookup's own thread."""
        with self._lock:
            self._under_way[clinic] -= 1
            if not self._under_way[clinic]:
                del self._under_way[clinic]


def _ask(name: str) -> Sequence[str]:
    """Blocking; empty if there is no answer."""
    try:
        found = socket.getaddrinfo(name, None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        return ()
    return [str(entry[4][0]) for entry in found][:MOST_ADDRESSES]
