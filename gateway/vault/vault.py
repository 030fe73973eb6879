"""The vaults of all clinics. On the loop's thread; the work is done in threads."""

import shutil
import sqlite3
import threading
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Final, TypeVar

from gateway import disk
from gateway.store.faults import fault_of
from gateway.store.files import clinics_directory
from gateway.vault import master, restoring
from gateway.vault.keys import SNAPSHOTS, DataKey, key_file, make_key, read_keys
from gateway.vault.master import MasterKey
from gateway.vault.restoring import PassedOver
from gateway.vault.sealing import SealError
from gateway.vault.session_store import StoreDamagedError
from gateway.vault.snapshots import Keys, Snapshots
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
        """Opens nothing but the check file. Blocks.

        Raises:
            WrongKeyError: ``data`` was sealed with another master key.
            StoreUnavailableError: that cannot be found out.
        """
        master.ensure_right(data, key)
        self._data, self._key, self._keep, self._passed_over = data, key, keep, passed_over
        self._at_once = threading.Semaphore(AT_ONCE)
        self._vaults: dict[str, ClinicVault] = {}

    @property
    def master(self) -> MasterKey:
        """The master key as it is at the moment."""
        return self._key

    def clinic(self, clinic: str) -> "ClinicVault":
        """The vault of a clinic, always the same.

        Raises:
            InvalidIdError
        """
        if clinic not in self._vaults:
            keys = _ClinicKeys(self._data, check_name("clinic", clinic), self._key)
            self._vaults[clinic] = ClinicVault(self._data, clinic, keys, self._at_once, self._keep, self._passed_over)
        return self._vaults[clinic]

    def data_keys(self, clinic: str) -> Sequence[DataKey]:
        """The clinic's keys, the one that seals first; made if it has none. Blocks; from any thread.

        Raises:
            WrongKeyError, StoreUnavailableError: as ``read_keys``; or the clinic has snapshots and no key.
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


class _ClinicKeys:
    """A clinic's keys, read when they are first needed. Callable from any thread; blocks."""

    def __init__(self, data: Path, clinic: str, key: MasterKey) -> None:
        self._data, self._clinic, self._master = data, clinic, key
        self._lock = threading.Lock()
        self._keys: list[DataKey] | None = None

    @property
    def _tombstone(self) -> Path:
        return clinics_directory(self._data) / self._clinic / "forgotten"

    def for_snapshots(self) -> Keys:
        """What seals and opens snapshots. Raises as ``all``."""
        return {key.id: key.derive(SNAPSHOTS) for key in self.all()}

    def all(self) -> list[DataKey]:
        """The one that seals first; made if the clinic has none and no snapshots either.

        Raises:
            WrongKeyError, StoreUnavailableError: as ``read_keys``; or the clinic has snapshots and no key.
        """
        with self._lock:
            if self._keys is None:
                self._keys = self._read()
            return list(self._keys)

    def _read(self) -> list[DataKey]:
        if self._tombstone.exists():
            self._shred()
        if keys := read_keys(self._data, self._clinic, self._master):
            return keys
        if any(self._channels.glob("*/*.vault")):
            raise StoreUnavailableError(
                f"clinic {self._clinic}: {key_file(self._data, self._clinic)} is gone, and with it what opens the "
                f"snapshots in {self._channels}: put back a copy of the key, or remove the snapshots and pair anew"
            )
        return make_key(self._data, self._clinic, self._master)

    def finish_forgetting(self) -> None:
        """What a kill has left to do of ``shred``; before anything is looked for."""
        if self._tombstone.exists():
            with self._lock:
                self._shred()

    def shred(self) -> None:
        """Delete keys and snapshots. Raises OSError."""
        with self._lock:
            self._keys = []
            self._shred()

    def _shred(self) -> None:
        path = self._tombstone
        if not path.parent.exists():
            return
        if not path.exists():
            disk.write(path, b"")
        key_file(self._data, self._clinic).unlink(missing_ok=True)
        disk.sync_directory(path.parent)
        if self._channels.exists():
            shutil.rmtree(self._channels)
            disk.sync_directory(path.parent)
        path.unlink(missing_ok=True)
        disk.sync_directory(path.parent)

    @property
    def _channels(self) -> Path:
        return clinics_directory(self._data) / self._clinic / "channels"


class ClinicVault:
    """Implements ``protocol.vault.Vault``. Made by ``Vaults``."""

    def __init__(
        self,
        data: Path,
        clinic: str,
        keys: _ClinicKeys,
        at_once: threading.Semaphore,
        keep: int,
        passed_over: Callable[[PassedOver], None],
    ) -> None:
        self._data, self._clinic, self._keys = data, clinic, keys
        self._at_once, self._keep, self._passed_over = at_once, keep, passed_over
        self._turns: dict[str, Turns] = {}
        self._closed = False

    def data_keys(self) -> Sequence[DataKey]:
        """As ``Vaults`` says."""
        return self._keys.all()

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
            if not any(snapshot.clean for snapshot in snapshots.found()[:1]):
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
        if self._closed:
            raise StoreUnavailableError(f"clinic {self._clinic}: its vault is closed: the clinic was forgotten")
        if channel not in self._turns:
            self._turns[channel] = Turns(f"clinic {self._clinic}, channel {channel}: {path}", self._at_once)

        def complete() -> T:
            self._keys.finish_forgetting()
            return work()

        try:
            return await self._turns[channel].do(complete)
        except _FAILURES as error:
            raise self._unavailable(channel, path, error) from error

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
