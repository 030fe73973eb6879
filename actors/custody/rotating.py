"""Keys exchanged, as jobs: the node's master key, and a clinic's data key. On the loop's thread.

Each step may be done again (``protocol.rotation``). What a kill interrupts of a clinic's is gone on with by ``resume``;
of the master key, by the node before it starts.
"""

from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path

from actors.switchboard import Switchboard
from protocol.access import NODE, Caller
from protocol.errors import ConflictError
from protocol.jobs import JobKind, Jobs, JobView, Progress
from protocol.rotation import DatabaseRotation, KeyRotation


class Rotating:
    """Implements ``protocol.rotation.Rotations``. ``restored`` finishes what was interrupted of putting clinics back,
    and says whether all of it is: until then there are keys that are no clinic's yet, and that nobody may exchange."""

    def __init__(
        self,
        switchboard: Switchboard,
        jobs: Jobs,
        keys: KeyRotation,
        databases: DatabaseRotation,
        restored: Callable[[], Awaitable[bool]],
    ) -> None:
        self._switchboard = switchboard
        self._jobs = jobs
        self._keys = keys
        self._databases = databases
        self._restored = restored

    async def rotate_master(self, *, by: Caller) -> JobView:
        """As ``protocol.rotation`` says."""

        async def work(progress: Progress, _file: Path) -> Mapping[str, int | str]:
            await self._wait_for_restores(progress)
            return {"keys": await self._keys.rotate_master(progress)}

        return await self._jobs.start(JobKind.ROTATE, None, work, by=by)

    async def rotate_clinic(self, clinic: str, *, by: Caller) -> JobView:
        """As ``protocol.rotation`` says."""
        self._switchboard.clinic(clinic)
        return await self._rotate(clinic, by)

    async def resume(self) -> bool:
        """Go on with what was interrupted, as a job for each clinic; False if one has to wait for another job, or was
        interrupted again, so that this is to be called once more.

        Raises:
            StoreUnavailableError: it is not known what there is, or the audit cannot be written.
        """
        unfinished = await self._keys.unfinished()
        for clinic in unfinished:
            try:
                await self._rotate(clinic, NODE)
            except ConflictError:
                continue
        return not unfinished

    async def _rotate(self, clinic: str, by: Caller) -> JobView:
        async def work(progress: Progress, _file: Path) -> Mapping[str, int | str]:
            await self._wait_for_restores(progress)
            return await self._exchange(clinic, progress)

        return await self._jobs.start(JobKind.ROTATE, clinic, work, by=by)

    async def _wait_for_restores(self, progress: Progress) -> None:
        """What a kill interrupted is finished beside the jobs."""
        progress("clinics that are being put back")
        if not await self._restored():
            raise ConflictError(
                "a clinic is being put back from an archive: rotate keys when it is there (plantao job list)"
            )

    async def _exchange(self, clinic: str, progress: Progress) -> Mapping[str, int | str]:
        keys = self._keys.clinic(clinic)
        progress("new key")
        await keys.add_key()
        channels, snapshots = await keys.channels(), 0  # after it: who comes later seals with the new key
        for done, channel in enumerate(channels):
            progress("snapshots", done, len(channels))
            snapshots += await keys.reseal(channel)
        progress("database")
        await self._databases.reseal(clinic)
        progress("old key")
        await keys.drop_keys()
        return {"channels": len(channels), "snapshots": snapshots}
