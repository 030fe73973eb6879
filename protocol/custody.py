"""Custody of the clinics' data: backed up, put back, handed over and erased, as jobs; ``rotation`` has their keys."""

from pathlib import Path
from typing import Protocol

from protocol.access import Caller
from protocol.jobs import JobView


class Backups(Protocol):
    """On the loop's thread. Each starts a job, and may raise what ``Jobs.start`` does, and NotFoundError (clinic)."""

    def incoming(self) -> Path:
        """A path of its own, in the data directory, for an archive that comes from outside; gone at the next start."""

    async def backup(self, clinic: str | None, *, by: Caller, passphrase: str | None = None) -> JobView:
        """Make an archive of a clinic, or of the node with all clinics; to be fetched from the job. It opens with the
        master key, and with ``passphrase``."""

    async def restore(
        self,
        archive: Path,
        clinic: str | None,
        *,
        replace: bool,
        by: Caller,
        resume: bool = False,
        passphrase: str | None = None,
    ) -> JobView:
        """Put back what ``archive`` (a file in the data directory, which the job deletes in the end) holds, or a clinic
        of it. ``replace``: also what is there, which else is a ConflictError of the job. ``resume``: send what waited
        when the archive was made, which else is held for a person: it may have been sent since."""


class PersonalData(Protocol):
    """On the loop's thread. Each starts a job, and may raise what ``Jobs.start`` does, and NotFoundError (clinic)."""

    async def export(self, clinic: str, contact: str | None, *, by: Caller) -> JobView:
        """All that there is of a clinic, or of one person in it, in a portable form; to be fetched from the job."""

    async def erase_clinic(self, clinic: str, *, by: Caller) -> JobView:
        """Destroy a clinic's key, and delete all that there is of it; also of one that was removed."""

    async def erase_contact(self, clinic: str, contact: str, *, by: Caller) -> JobView:
        """Delete all that there is of one person, save that they do not want to be written to."""
