"""Settings read again while the node runs."""

from typing import Protocol

from msgspec import Struct


class Reloaded(Struct, frozen=True, kw_only=True):
    """What came of it. ``changed``: settings (``section.key``) that are others from now on; ``restart``: those that
    would be, and take a restart of the node. No values: some are secrets."""

    changed: list[str]
    restart: list[str]


class Reloading(Protocol):
    """Whoever can read the node's settings again."""

    async def reload(self) -> Reloaded:
        """Read them, and go by all that can change at run time.

        Raises:
            InvalidInputError: a file cannot be read, or a setting is not what it should be; nothing has changed.
        """
