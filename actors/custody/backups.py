"""Backup and restore, as they are asked for. On the loop's thread."""

import secrets
from dataclasses import dataclass
from pathlib import Path

from actors.custody.backing_up import BackingUp
from actors.custody.restoring import Restoring
from protocol.access import Caller
from protocol.jobs import JobView


@dataclass(frozen=True, slots=True, kw_only=True)
class BackupDesk:
    """Implements ``protocol.custody.Backups``. ``folder``: where archives that come from outside wait."""

    backing_up: BackingUp
    restoring: Restoring
    folder: Path

    def incoming(self) -> Path:
        """See ``Backups``."""
        return self.folder / f"incoming-{secrets.token_hex(8)}"

    async def backup(self, clinic: str | None, *, by: Caller, passphrase: str | None = None) -> JobView:
        """See ``Backups``."""
        return await self.backing_up.backup(clinic, by=by, passphrase=passphrase)

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
        """See ``Backups``."""
        return await self.restoring.restore(
            archive, clinic, replace=replace, by=by, resume=resume, passphrase=passphrase
        )
