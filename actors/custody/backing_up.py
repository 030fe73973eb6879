"""Archives of clinics that run. On the loop's thread."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from actors.switchboard import Switchboard
from protocol.access import Caller
from protocol.backup import Archives, ClinicContents
from protocol.channel import ChannelRecord
from protocol.jobs import JobKind, Jobs, JobView, Progress


class BackingUp:
    """Makes them of what ``switchboard`` shows to be registered."""

    def __init__(self, switchboard: Switchboard, jobs: Jobs, archives: Archives) -> None:
        self._switchboard = switchboard
        self._jobs = jobs
        self._archives = archives

    async def backup(self, clinic: str | None, *, by: Caller, passphrase: str | None = None) -> JobView:
        """See ``protocol.custody``."""
        self.contents(clinic)  # whoever asks for one that is not there hears so at once

        async def work(progress: Progress, file: Path) -> Mapping[str, int | str]:
            return await self._archives.write(
                file, self.contents(clinic), node=clinic is None, passphrase=passphrase, progress=progress
            )

        return await self._jobs.start(JobKind.BACKUP, clinic, work, by=by)

    async def backup_to(self, file: Path, clinic: str, *, by: Caller) -> JobView:
        """An archive of a clinic that stays on this machine. Raises as ``backup``."""

        async def work(progress: Progress, _file: Path) -> Mapping[str, int | str]:
            contents = self.contents(clinic)
            return await self._archives.write(file, contents, node=False, passphrase=None, progress=progress)

        return await self._jobs.start(JobKind.BACKUP, clinic, work, by=by)

    def contents(self, clinic: str | None) -> Sequence[ClinicContents]:
        """What is registered of this clinic, or of all. Raises NotFoundError, UnavailableError."""
        if clinic is not None:
            self._switchboard.clinic(clinic)
        wanted = self._switchboard.wanted()
        channels: dict[str, list[ChannelRecord]] = {}
        for (of, _), channel in sorted(wanted.channels.items()):
            channels.setdefault(of, []).append(channel)
        return [
            ClinicContents(record=record, channels=channels.get(record.id, []))
            for _, record in sorted(wanted.clinics.items())
            if clinic in (None, record.id)
        ]
