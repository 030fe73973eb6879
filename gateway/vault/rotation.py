"""``KeyRotation``: the master key of a running node exchanged, or of one that starts."""

import asyncio
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final, TypeVar

import structlog

from gateway.vault import keys, master_rotation
from gateway.vault.master import MasterKey
from gateway.vault.node_key import node_key_file
from gateway.vault.turns import Turns
from gateway.vault.vault import ClinicVault, Vaults
from protocol.errors import PlantaoError, StoreUnavailableError
from protocol.ids import is_name
from protocol.jobs import Progress

T = TypeVar("T")

STEP_TIMEOUT_S: Final = 60.0
"""For one key file, or for the next key to be there."""

log = structlog.get_logger(__name__)


class KeyRotation:
    """Implements ``protocol.rotation.KeyRotation``. ``next`` reads the next master key from where it comes from; it
    blocks, and raises ConflictError (there is no such place) and InvalidInputError."""

    def __init__(self, data: Path, vaults: Vaults, next: Callable[[], MasterKey]) -> None:
        self._data, self._vaults, self._next = data, vaults, next
        self._turns = Turns("the master key", threading.Semaphore(1))

    def finish(self) -> None:
        """Go on with what was under way when the node ended; of one that starts, before anything uses the vaults.
        Blocks. Key files that cannot be wrapped anew are logged: until they can be, both master keys are needed."""
        if self._vaults.master.before is None:
            master_rotation.end(self._data, self._vaults.master)
            return
        log.info("the master key was being exchanged when the node ended: going on", id=self._vaults.master.id.hex())
        failed = 0
        for owner in self._owners():
            try:
                self._rewrapping(owner)()
            except PlantaoError as error:
                failed += 1
                log.error("key not wrapped by the next master key", owner=owner, error=str(error))
        if not failed:
            self._end()

    async def rotate_master(self, progress: Progress) -> int:
        """As ``protocol.rotation`` says."""
        if self._vaults.master.before is None:
            progress("next master key")
            await self._do(self._begin)
        wrapped, failed = 0, list[str]()
        owners = await self._do(self._owners)
        for done, owner in enumerate(owners):
            progress("keys", done, len(owners))
            try:
                wrapped += await self._do(self._rewrapping(owner))
            except PlantaoError as error:
                failed.append(str(error))
        if failed:
            raise StoreUnavailableError(
                f"{len(failed)} of {len(owners)} key files are not wrapped by the next master key, and both are needed "
                f"until they are; mend this, and rotate the master key again: {'; '.join(failed[:3])}"
            )
        await self._do(self._end)
        return wrapped

    async def unfinished(self) -> Sequence[str]:
        """As ``protocol.rotation`` says."""
        return await self._do(self._with_more_keys)

    def clinic(self, clinic: str) -> ClinicVault:
        """As ``protocol.rotation`` says."""
        return self._vaults.clinic(clinic)

    def _begin(self) -> None:
        self._vaults.take(master_rotation.begin(self._data, self._vaults.master, self._next()))

    def _owners(self) -> list[str]:
        """The node first. A directory of another name is none of ours."""
        return [keys.NODE, *(owner for owner in self._vaults.owners() if is_name(owner))]

    def _rewrapping(self, owner: str) -> Callable[[], bool]:
        if owner == keys.NODE:
            return lambda: keys.rewrap(node_key_file(self._data), owner, self._vaults.master)
        return self._vaults.clinic(owner).keys.rewrap

    def _end(self) -> None:
        self._vaults.take(master_rotation.end(self._data, self._vaults.master))

    def _with_more_keys(self) -> list[str]:
        return [it for it in self._owners()[1:] if keys.count_of(keys.key_file(self._data, it)) > 1]

    async def _do(self, work: Callable[[], T]) -> T:
        try:
            async with asyncio.timeout(STEP_TIMEOUT_S):
                return await self._turns.do(work)
        except TimeoutError as error:
            raise StoreUnavailableError(f"no answer within {STEP_TIMEOUT_S:g} s: look at the disk") from error
