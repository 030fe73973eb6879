"""The vaults of all clinics. On the loop's thread; the work is done in threads."""

import sqlite3
import threading
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Final, TypeVar

from gateway import disk
from gateway.store.faults import fault_of
from gateway.store.files import clinics_directory
from gateway.vault import restoring
from gateway.vault.clinic_keys import ClinicKeys
from gateway.vault.keys import DataKey, key_file
from gateway.vault.master import MasterKey, ensure_right
from gateway.vault.restoring import PassedOver
from gateway.vault.sealing import SealError
from gateway.vault.session_store import StoreDamagedError
from gateway.vault.snapshots import Snapshots
from gateway.vault.turns import Turns
from protocol.errors import StoreUnavailableError
from protocol.ids import check_name
from protocol.vault import Restoration

__all__ = ["ClinicVault", "PassedOver", "Vaults"]

T = TypeVar("T")

KEEP: Final = 5
"""Snapshots of each channel."""
AT_ONCE: Final = 8
"""Pieces of work at the same time: each holds a store in memory, and they share the disk."""

_FAILURES: Final = (OSError, sqlite3.Error, SealError, StoreDamagedError)


class Vaults:
    """Of a node. ``passed_over`` is told, on the loop's thread, of each snapshot that could not be opened."""

    def __init__(
        self,
        data: Path,
        key: MasterKey,
        *,
        keep: int = KEEP,
        passed_over: Callable[[PassedOver], None] = lambda _: None,
    ) -> None:
        """Opens nothing but the check file; goes on with a rotation if ``key`` has one before it. Blocks.

        Raises:
            WrongKeyError: ``data`` was sealed with another master key.
            StoreUnavailableError: that cannot be found out.
        """
        ensure_right(data, key)
        self._data, self._key, self._keep, self._passed_over = data, key, keep, passed_over
        self._at_once = threading.Semaphore(AT_ONCE)
        self._vaults: dict[str, ClinicVault] = {}

    @property
    def master(self) -> MasterKey:
        """The master key as it is at the moment."""
        return self._key

    def clinic(self, clinic: str) -> "ClinicVault":
        """The vault of a clinic, always the same. From any thread.

        Raises:
            InvalidIdError
        """
        if (known := self._vaults.get(clinic)) is not None:
            return known
        keys = ClinicKeys(self._data, check_name("clinic", clinic), lambda: self._key)
        vault = ClinicVault(self._data, clinic, keys, self._at_once, self._keep, self._passed_over)
        # In one step: of two threads both have the same, or one would go on with keys that the other has exchanged.
        return self._vaults.setdefault(clinic, vault)

    def data_keys(self, clinic: str) -> Sequence[DataKey]:
        """The clinic's keys, the one that seals first; made if it has none. Blocks; from any thread.

        Raises:
            WrongKeyError, StoreUnavailableError: as ``read_keys``; or the clinic has something sealed and no key.
            InvalidIdError
        """
        return self.clinic(clinic).data_keys()

    async def let_go(self, clinic: str) -> None:
        """Have nothing of the clinic's vault in memory, after all that is being done in it: its files are about to be
        exchanged, while nobody uses it.

        Raises:
            StoreUnavailableError: something hangs.
        """
        if (vault := self._vaults.get(clinic)) is not None:
            await vault.rest()
            self._vaults.pop(clinic, None)

    def take(self, key: MasterKey) -> None:
        """From now on ``key`` wraps, and the one before it, if there is one, opens. From any thread."""
        self._key = key

    def owners(self) -> Sequence[str]:
        """The clinics that may have a key. Blocks; from any thread."""
        found = {path.parent.name for path in clinics_directory(self._data).glob("*/key")}
        return sorted(found | set(self._vaults))

    async def forget_clinic(self, clinic: str) -> None:
        """Delete the clinic's keys, and with them the meaning of all that was sealed with them, wherever there are
        copies of it; then its snapshots. If it is killed in between, the next use of this clinic's vault goes on.

        Raises:
            StoreUnavailableError: not all of it is gone; to be called again.
            InvalidIdError
        """
        vault = self.clinic(clinic)
        try:
            await vault.close()
        finally:
            # What is asked for from now on is of another clinic that happens to have the same name.
            self._vaults.pop(clinic, None)


class ClinicVault:
    """Implements ``protocol.vault.Vault``. Made by ``Vaults``."""

    def __init__(
        self,
        data: Path,
        clinic: str,
        keys: ClinicKeys,
        at_once: threading.Semaphore,
        keep: int,
        passed_over: Callable[[PassedOver], None],
    ) -> None:
        self._data, self._clinic, self._keys = data, clinic, keys
        self._at_once, self._keep, self._passed_over = at_once, keep, passed_over
        self._turns: dict[str, Turns] = {}
        self._key_turns = Turns(f"clinic {clinic}: its keys", at_once)
        self._closed = False

    def data_keys(self) -> Sequence[DataKey]:
        """As ``Vaults`` says."""
        return self._keys.all()

    @property
    def keys(self) -> ClinicKeys:
        """Those of the clinic."""
        return self._keys

    async def restore(self, channel: str, store: str) -> Restoration:
        """As ``protocol.vault`` says. Killed at any point, it can be called again."""
        work = partial(restoring.restore, self._snapshots(channel), store, self._keys.for_snapshots)
        restoration, passed_over = await self._do(channel, store, work)
        for each in passed_over:
            self._passed_over(each)
        return restoration

    async def snapshot(self, channel: str, store: str, *, clean: bool) -> None:
        """As ``protocol.vault`` says; a store without a device is nothing to keep."""
        keys = self._keys.for_snapshots
        work = partial(restoring.snapshot, self._snapshots(channel), store, keys, clean=clean, keep=self._keep)
        await self._do(channel, store, work)

    async def refresh(self, channel: str, store: str) -> None:
        """Seal what the working copy holds now, unless the newest snapshot is clean: then that is what was last.

        Raises:
            StoreUnavailableError: nothing was changed.
        """
        snapshots, keys = self._snapshots(channel), self._keys.for_snapshots

        def work() -> None:
            if not any(snapshots.is_clean(snapshot, keys()) for snapshot in snapshots.found()[:1]):
                restoring.snapshot(snapshots, store, keys, clean=False, keep=self._keep)

        await self._do(channel, store, work)

    async def rest(self) -> None:
        """Returns when all is done that was under way, of whomever. Raises StoreUnavailableError: something hangs."""
        for turns in list(self._turns.values()):
            await turns.do(lambda: None)

    async def forget(self, channel: str) -> None:
        """As ``protocol.vault`` says."""
        snapshots = self._snapshots(channel)
        await self._do(channel, str(snapshots.directory), snapshots.forget)

    async def forget_older(self, channel: str) -> None:
        """Delete all snapshots of a channel but the newest, which has less in it. Raises StoreUnavailableError."""
        snapshots = self._snapshots(channel)

        def forget_older() -> None:
            if snapshots.directory.exists():
                snapshots.prune(1)
                disk.sync_directory(snapshots.directory)

        await self._do(channel, str(snapshots.directory), forget_older)

    async def add_key(self) -> None:
        """Have a new key, which seals from now on; the one before opens until ``drop_keys``. If there are two already,
        there is nothing to do.

        Raises:
            StoreUnavailableError: nothing was changed.
        """
        await self._do_keys(self._keys.add)

    async def channels(self) -> Sequence[str]:
        """Those that have snapshots, or may soon have: all that are to be resealed.

        Raises:
            StoreUnavailableError
        """
        place = clinics_directory(self._data) / self._clinic / "channels"
        found = await self._do_keys(lambda: {path.name for path in place.glob("*")})
        return sorted(found | set(self._turns))

    async def reseal(self, channel: str) -> int:
        """Have the channel's snapshots sealed with the clinic's newest key, in turn with what else is asked of it; how
        many were not.

        Raises:
            StoreUnavailableError: not all are; to be called again.
        """
        snapshots = self._snapshots(channel)
        work = partial(restoring.reseal, snapshots, self._keys.for_snapshots)
        return await self._do(channel, str(snapshots.directory), work)

    async def drop_keys(self) -> None:
        """Have none but the newest key: nothing may be left that is sealed with another.

        Raises:
            StoreUnavailableError: nothing was changed.
        """
        await self._do_keys(self._keys.drop)

    async def _do_keys(self, work: Callable[[], T]) -> T:
        self._check_open()
        try:
            return await self._key_turns.do(work)
        except _FAILURES as error:
            raise self._unavailable(None, str(key_file(self._data, self._clinic)), error) from error

    async def close(self) -> None:
        """Do nothing any more, and delete all. Once, by ``Vaults``.

        Raises:
            StoreUnavailableError: not all of it is gone.
        """
        self._closed = True
        turns = [*self._turns.values(), Turns(f"clinic {self._clinic}: its vault", self._at_once)]
        for each in turns[:-1]:
            await each.do(lambda: None)
        try:
            await turns[-1].do(self._keys.shred)
        except OSError as error:
            raise self._unavailable(None, str(clinics_directory(self._data) / self._clinic), error) from error

    def _snapshots(self, channel: str) -> Snapshots:
        return Snapshots(self._data, self._clinic, channel)

    async def _do(self, channel: str, path: str, work: Callable[[], T]) -> T:
        self._check_open()
        if channel not in self._turns:
            self._turns[channel] = Turns(f"clinic {self._clinic}, channel {channel}: {path}", self._at_once)

        def complete() -> T:
            self._keys.finish_forgetting()
            return work()

        try:
            return await self._turns[channel].do(complete)
        except _FAILURES as error:
            raise self._unavailable(channel, path, error) from error

    def _check_open(self) -> None:
        if self._closed:
            raise StoreUnavailableError(f"clinic {self._clinic}: its vault is closed: the clinic was forgotten")

    def _unavailable(self, channel: str | None, path: str, error: BaseException) -> StoreUnavailableError:
        """Names the clinic, the channel, the file and the mend."""
        whose = f"clinic {self._clinic}" + (f", channel {channel}" if channel else "")
        match error:
            case SealError():
                what = f"a snapshot of {path} cannot be sealed: {error}; look in the system log for errors of the disk"
            case StoreDamagedError():
                what = f"{path} is damaged ({error}): disconnect and connect the channel, to restore it from a snapshot"
            case _:
                fault = fault_of(error)
                file = getattr(error, "filename", None) or path
                what = f"{file} {fault.what}: {fault.mend}"
        return StoreUnavailableError(f"{whose}: {what}")
