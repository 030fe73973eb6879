"""Media that a command names by its address on the web."""

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True, kw_only=True)
class WebMedia:
    """What was at an address. ``mime``: its type, without parameters."""

    data: bytes
    mime: str


class MediaSource(Protocol):
    """The web, as far as commands may reach into it. On the loop."""

    async def fetch(self, clinic: str, url: str, *, kind: str, mime: str | None, limit: int) -> WebMedia:
        """What is at ``url``, at most ``limit`` bytes, fit to be sent as ``kind`` (``image``, ``document`` …).

        ``mime``: what the command says that it is. No error tells the address, which may hold a secret.

        Raises:
            InvalidInputError: it never can be had: a refused address, not there, too large, of another type.
            UnavailableError: its server, or the way to it, fails now.
        """
