"""Where data of clinics and people lie, as who erases them sees it. On the loop's thread, the work in
others."""

from collections.abc import Mapping, Sequence
from typing import Protocol

from protocol.jobs import Progress


class Holding(Protocol):
    """One of the places where something of a clinic lies."""

    @property
    def name(self) -> str:
        """For people: ``backups``."""

    async def holds(self, clinic: str) -> bool:
        """Whether anything of it lies here, as far as can be seen without opening it."""

    async def erase(self, clinic: str, progress: Progress) -> Mapping[str, int | str]:
        """Delete all of it; nobody uses it. What there was to say of that. Harmless if there is nothing, and after a
        kill it can be repeated.

        Raises:
            StoreUnavailableError, BusUnavailableError: not all of it is gone; to be repeated.
        """


class Tombstones(Protocol):
    """Which clinics are being erased. It is written down before anything goes, and struck out once all has gone."""

    def stands(self, clinic: str) -> bool:
        """Whether it is being erased, and so cannot be added."""

    def all(self) -> Sequence[str]:
        """Those that are being erased."""

    async def put(self, clinic: str) -> None:
        """It is being erased, whoever is killed. Raises StoreUnavailableError."""

    async def remove(self, clinic: str) -> None:
        """All of it has gone. Raises StoreUnavailableError."""


class Sessions(Protocol):
    """What the session stores of a clinic, and their snapshots, hold of people."""

    async def forms_of(self, clinic: str, jids: frozenset[str]) -> frozenset[str]:
        """These, and all under which the same people are known to any of the clinic's channels. Raises
        StoreUnavailableError."""

    async def erase(self, clinic: str, channel: str, jids: frozenset[str]) -> int:
        """Delete what there is of them, also in snapshots; how much there was. Waits for the end of the channel's port,
        which was asked for before; no other can use the store meanwhile.

        Raises:
            StoreUnavailableError: the port did not end, or the disk cannot be used; to be repeated.
        """


class Streams(Protocol):
    """What NATS holds of people: events, dead letters, queued commands, media that they sent."""

    async def erase_person(self, clinic: str, jids: frozenset[str], progress: Progress) -> Mapping[str, int | str]:
        """Delete what there is of them in the clinic's account and in the platform's; how much there was.

        Raises:
            BusUnavailableError: to be repeated.
        """
