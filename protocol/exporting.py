"""What a clinic hands over, as who puts it together sees it. On the loop's thread; the work is done in threads."""

from collections.abc import AsyncIterator, Collection
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """A message that a stream still has; ``body`` as builtins, None if it cannot be read."""

    subject: str
    body: Any


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredObject:
    """Media in the clinic's Object Store. ``name`` is whatever its author chose. ``nuid`` names its content."""

    name: str
    mime: str
    size: int
    nuid: str


class AccountReader(Protocol):
    """A clinic's account, read one message at a time. All may raise BusUnavailableError."""

    def told(self, stream: str, jids: frozenset[str] | None) -> AsyncIterator[Told]:
        """What ``stream`` has, in order; of some people alone, if these are given."""

    def objects(self, names: Collection[str] | None) -> AsyncIterator[StoredObject]:
        """What the Object Store has: all, or of these names."""

    def content(self, found: StoredObject) -> AsyncIterator[bytes]:
        """What it holds, in pieces."""


class Accounts(Protocol):
    """Those of all clinics."""

    def reading(self, clinic: str) -> AbstractAsyncContextManager[AccountReader]:
        """A connection of its own. Raises BusUnavailableError."""


class Contacts(Protocol):
    """What session stores know of people besides their keys."""

    async def contacts(self, clinic: str, jids: frozenset[str] | None) -> list[dict[str, str]]:
        """Names as WhatsApp gave them: all, or of these. Raises StoreUnavailableError."""


class Archive(Protocol):
    """A portable file that grows. All may raise StoreUnavailableError."""

    async def begin(self, name: str, *, packed: bool, large: bool = False) -> None:
        """What is written from now on is in the file ``name`` of it. ``packed``: compressed; ``large``: it may have
        more than 1 GiB."""

    async def write(self, data: bytes) -> None:
        """Add to that."""


class Exports(Protocol):
    """How such files lie on the disk: sealed with a key that only this object has, and that ends with it."""

    def writing(self, file: Path) -> AbstractAsyncContextManager[Archive]:
        """A new one, at ``file``; whole, and on the disk, when the context ends. Raises StoreUnavailableError."""

    def reading(self, file: Path) -> AsyncIterator[bytes]:
        """What it is in clear, in pieces. Raises StoreUnavailableError: it is damaged."""
