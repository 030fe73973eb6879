"""A clinic's keys in memory and in their file, and how they are exchanged. From any thread; blocks.

A new key comes first in the file, so it seals from then on, and the one before still opens. When all is sealed anew,
only the new one stays. A file with more than one key says that this is not finished.
"""

import shutil
import threading
from collections.abc import Callable
from pathlib import Path

from gateway import disk
from gateway.store.files import clinics_directory, database_file
from gateway.store.migrating import is_sealed
from gateway.vault import keys
from gateway.vault.keys import SNAPSHOTS, DataKey, key_file, make_key, new_key, read_keys
from gateway.vault.master import MasterKey
from gateway.vault.snapshots import Keys
from protocol.errors import StoreUnavailableError


class ClinicKeys:
    """Read when they are first needed. ``master`` gives the master key as it is at the moment, with the one before it
    while that is being exchanged."""

    def __init__(self, data: Path, clinic: str, master: Callable[[], MasterKey]) -> None:
        self._data, self._clinic, self._master = data, clinic, master
        # Also while a file is written: whoever began under another master key is through before it is wrapped anew.
        self._lock = threading.Lock()
        self._keys: list[DataKey] | None = None

    def for_snapshots(self) -> Keys:
        """What seals and opens snapshots. Raises as ``all``."""
        return {key.id: key.derive(SNAPSHOTS) for key in self.all()}

    def all(self) -> list[DataKey]:
        """The one that seals first; made if the clinic has none and nothing that is sealed either.

        Raises:
            WrongKeyError, StoreUnavailableError: as ``read_keys``; or the clinic has something sealed and no key.
        """
        with self._lock:
            return list(self._held())

    def add(self) -> None:
        """Have a new key, which seals from now on; if there is more than one already, that is the first of them.

        Raises:
            OSError
            WrongKeyError, StoreUnavailableError: as ``all``; nothing was changed.
        """
        with self._lock:
            held = self._held()
            if len(held) == 1:
                self._write([new_key(), *held])

    def drop(self) -> None:
        """Have none but the one that seals: nothing may be left that another one is needed for.

        Raises:
            OSError
            WrongKeyError, StoreUnavailableError: as ``all``; nothing was changed.
        """
        with self._lock:
            held = self._held()
            if len(held) > 1:
                self._write(held[:1])

    def rewrap(self) -> bool:
        """Have them wrapped by the present master key alone; False if they were.

        Raises:
            WrongKeyError, StoreUnavailableError: nothing was changed.
        """
        with self._lock:
            return keys.rewrap(key_file(self._data, self._clinic), self._clinic, self._master())

    def _held(self) -> list[DataKey]:
        if self._keys is None:
            self._keys = self._read()
        return self._keys

    def _write(self, wanted: list[DataKey]) -> None:
        path = key_file(self._data, self._clinic)
        disk.remove_drafts(path.parent, path.name)
        keys.write_keys(path, wanted, self._clinic, self._master())
        self._keys = wanted

    def _read(self) -> list[DataKey]:
        if self._tombstone.exists():
            self._shred()
        if found := read_keys(self._data, self._clinic, self._master()):
            return found
        self._check_nothing_sealed()
        return make_key(self._data, self._clinic, self._master())

    def _check_nothing_sealed(self) -> None:
        key, database = key_file(self._data, self._clinic), database_file(self._data, self._clinic)
        gone = f"clinic {self._clinic}: {key} is gone, and with it what opens"
        if any(self._channels.glob("*/*.vault")):
            raise StoreUnavailableError(
                f"{gone} the snapshots in {self._channels}: put back a copy of the key, or remove the snapshots and "
                "pair anew"
            )
        try:
            sealed = is_sealed(database)
        except OSError as error:
            raise StoreUnavailableError(
                f"clinic {self._clinic}: {database} cannot be read: {error.strerror or error}; make the disk usable "
                "for the node's user"
            ) from error
        if sealed:
            raise StoreUnavailableError(
                f"{gone} {database}: put back a copy of the key, or restore the clinic from a backup"
            )

    # -- forgetting --

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
    def _tombstone(self) -> Path:
        return clinics_directory(self._data) / self._clinic / "forgotten"

    @property
    def _channels(self) -> Path:
        return clinics_directory(self._data) / self._clinic / "channels"
