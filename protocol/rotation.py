"""Keys exchanged while all goes on: the node's master key, and a clinic's data key.

Each step may be done again, and changes nothing then: so what was killed anywhere in between is begun once more.
"""

from collections.abc import Sequence
from typing import Protocol

from protocol.access import Caller
from protocol.jobs import JobView, Progress


class ClinicKeyRotation(Protocol):
    """Of one clinic, in this order. On the loop's thread; the work is done in threads. Each raises
    StoreUnavailableError: not all is done; it is to be called again."""

    async def add_key(self) -> None:
        """Have a new key, which seals from now on; the one before still opens. Nothing if there are two already."""

    async def channels(self) -> Sequence[str]:
        """Those that have snapshots, or may soon have."""

    async def reseal(self, channel: str) -> int:
        """Have the channel's snapshots sealed with the new key; how many were not. A clean one is clean throughout."""

    async def drop_keys(self) -> None:
        """Have none but the new key: nothing may be left that another one is needed for."""


class KeyRotation(Protocol):
    """Of a node. On the loop's thread; the work is done in threads."""

    async def rotate_master(self, progress: Progress) -> int:
        """Have all keys wrapped by the next master key, or go on with that; how many files were not.

        Raises:
            ConflictError: no next master key is given, or it is the present one.
            InvalidInputError: there is no key where it comes from.
            StoreUnavailableError: some could not be wrapped, and both keys are needed until it is done again.
        """

    async def unfinished(self) -> Sequence[str]:
        """Clinics that have more than one key. Raises StoreUnavailableError."""

    def clinic(self, clinic: str, /) -> ClinicKeyRotation:
        """Of this clinic. Raises InvalidIdError."""


class DatabaseRotation(Protocol):
    """The clinics' databases."""

    async def reseal(self, clinic: str) -> None:
        """Have all of the clinic's database sealed with its new key, or none of it; nothing if it is.

        Raises:
            StoreUnavailableError: nothing was changed.
        """


class Rotations(Protocol):
    """What can be asked for, by whomever may. On the loop's thread. Each starts a job, and may raise what
    ``Jobs.start`` does."""

    async def rotate_master(self, *, by: Caller) -> JobView:
        """Wrap all keys with the next master key, and need the present one no more."""

    async def rotate_clinic(self, clinic: str, *, by: Caller) -> JobView:
        """Give the clinic a new data key, and seal all it has anew with it. Raises NotFoundError, UnavailableError."""
