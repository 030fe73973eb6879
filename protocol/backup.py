"""Archives of clinics as actors see them: made while the clinics run, and put back step by step.

On the loop's thread; the work is done in threads. What is put back goes through these steps, in this order, each of
which can be repeated after a kill:

==============  =========================================================================================
``stage``       what an archive holds of a clinic lies beside the clinics, and is nobody's; nothing was touched
``commit``      from now on it is finished, whoever is killed: what was there before does not come back
``place``       it is the clinic's directory; the clinic must have ended before
``put_streams`` its streams are there, and take nothing yet
``settle``      no step before this is repeated: all that is missing is that it is wanted
``finish``      what was there before is gone, and the archive
==============  =========================================================================================
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Protocol

from msgspec import Struct

from protocol.channel import ChannelRecord, ClinicRecord
from protocol.jobs import Progress


class ClinicContents(Struct, frozen=True, kw_only=True):
    """What the registry knows of a clinic."""

    record: ClinicRecord
    channels: list[ChannelRecord]


class ArchiveView(Struct, frozen=True, kw_only=True):
    """What an archive says of itself, and holds: all of it was read. ``node``: also what belongs to no clinic."""

    version: str
    made_at: datetime
    clinics: list[str]
    node: bool
    records: int
    bytes: int


class Committed(Struct, frozen=True, kw_only=True):
    """A clinic that is being put back, and will be. ``held_at``: what was queued before is held for a person; None: it
    is sent. ``settled``: see above."""

    clinic: str
    held_at: datetime | None
    settled: bool


class Archives(Protocol):
    """Those of this node."""

    async def write(
        self,
        file: Path,
        clinics: Sequence[ClinicContents],
        *,
        node: bool,
        passphrase: str | None,
        progress: Progress,
    ) -> Mapping[str, int | str]:
        """Make an archive of these clinics, one after another, at ``file``, which is there only if it is whole.

        Raises:
            StoreUnavailableError, BusUnavailableError: something of it cannot be read, or the file not written.
            InvalidInputError: the passphrase cannot be one.
        """

    async def verify(self, archive: Path, *, passphrase: str | None, progress: Progress) -> ArchiveView:
        """Read all of an archive.

        Raises:
            InvalidInputError: it is damaged, or no archive, or of a newer version; names ``archive``.
            WrongKeyError: it opens with another key.
            StoreUnavailableError: the disk cannot be read.
        """

    async def stage(self, archive: Path, clinics: Sequence[str], *, passphrase: str | None, progress: Progress) -> None:
        """See above; of each of these clinics. Raises as ``verify``, leaving nothing behind."""

    async def commit(self, clinic: str, *, held_at: datetime | None) -> None:
        """See above. Raises StoreUnavailableError."""

    async def committed(self) -> Sequence[Committed]:
        """Those that are not finished. Raises StoreUnavailableError."""

    async def place(self, clinic: str) -> None:
        """See above. Raises StoreUnavailableError: to be repeated."""

    async def put_streams(self, clinic: str, progress: Progress) -> None:
        """See above.

        Raises:
            BusUnavailableError, StoreUnavailableError: to be repeated.
            InvalidInputError: the server does not take them; or has no room.
        """

    async def settle(self, clinic: str) -> None:
        """See above. Raises StoreUnavailableError: to be repeated."""

    async def contents(self, clinic: str) -> ClinicContents:
        """What the archive says of a committed clinic. Raises StoreUnavailableError."""

    async def finish(self, clinic: str) -> None:
        """See above; of one that was never committed: forget it. Raises StoreUnavailableError: to be repeated."""

    async def sweep(self) -> None:
        """Remove what was staged and never committed. Raises StoreUnavailableError."""
