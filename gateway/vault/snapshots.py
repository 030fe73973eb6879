"""The sealed snapshots of one channel: ``0000000007.vault``, and ``0000000007.clean`` beside one that is clean.

Everything here blocks, and raises OSError; one caller at a time.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from gateway import disk
from gateway.store.files import clinics_directory
from gateway.vault import clean_mark
from gateway.vault.sealing import Place, SealError, key_id_of, seal, unseal
from protocol.ids import check_name

_NAME: Final = re.compile(r"([0-9]{10,18})\.vault")
_MARKS: Final = "*.clean"

Keys = Mapping[bytes, bytes]
"""What seals snapshots, by the id of the data key that it is derived from. The first is the one that seals."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """One file. ``clean``: it is marked so; it is only if ``Snapshots.is_clean``."""

    path: Path
    version: int
    clean: bool


class Snapshots:
    """Of one channel."""

    def __init__(self, data: Path, clinic: str, channel: str) -> None:
        """Raises InvalidIdError."""
        self.clinic = check_name("clinic", clinic)
        self.channel = check_name("channel", channel)
        self.directory = clinics_directory(data) / clinic / "channels" / channel

    def found(self) -> list[Snapshot]:
        """Those that are there, the newest first."""
        try:
            paths = list(self.directory.iterdir())
        except FileNotFoundError:
            return []
        named = ((path, _NAME.fullmatch(path.name)) for path in paths)
        snapshots = [Snapshot(path, int(name[1]), self._mark(int(name[1])) in paths) for path, name in named if name]
        return sorted(snapshots, key=lambda it: -it.version)

    def write(self, content: bytes, keys: Keys, *, clean: bool) -> int:
        """Seal ``content`` as the newest snapshot; its version. It was opened again before it has its name.

        Raises:
            SealError: what was written is not what can be read, or is too large; nothing was changed.
        """
        disk.make_directory(self.directory)
        disk.remove_drafts(self.directory)
        newest = self.found()[:1]
        version = newest[0].version + 1 if newest else 1
        self._seal(self.directory / f"{version:010d}.vault", version, content, keys)
        if clean:
            key_id, key = next(iter(keys.items()))
            clean_mark.write(self._mark(version), self._place(version), key_id, key)
        return version

    def reseal(self, snapshot: Snapshot, keys: Keys) -> bool:
        """Have ``snapshot``, and its mark, sealed with the first of ``keys``; False if it was. Each is what it was or
        what it is to be, whenever this is killed, and a clean snapshot is clean throughout.

        Raises:
            SealError: it cannot be opened, or what was written is not what can be read; it is as it was.
        """
        key_id, key = next(iter(keys.items()))
        resealed = key_id_of(snapshot.path.read_bytes()) != key_id
        if resealed:
            self._seal(snapshot.path, snapshot.version, self.read(snapshot, keys), keys)
        mark = self._mark(snapshot.version)
        if snapshot.clean and self.is_clean(snapshot, keys) and key_id_of(mark.read_bytes()) != key_id:
            clean_mark.write(mark, self._place(snapshot.version), key_id, key)
        return resealed

    def is_clean(self, snapshot: Snapshot, keys: Keys) -> bool:
        """Whether its mark is one of ours, and no copy; it is what was last only if there is no newer snapshot."""
        return clean_mark.holds(self._mark(snapshot.version), self._place(snapshot.version), keys)

    def read(self, snapshot: Snapshot, keys: Keys) -> bytes:
        """What it holds.

        Raises:
            SealError: it cannot be opened.
        """
        sealed = snapshot.path.read_bytes()
        key = keys.get(key_id_of(sealed))
        if key is None:
            raise SealError("it was sealed with a key that the clinic does not have")
        return unseal(sealed, self._place(snapshot.version), key)

    def unmark(self) -> None:
        """No snapshot is clean from now on, whatever happens to the machine; and what a kill has left is gone."""
        if not self.directory.exists():
            return
        disk.remove_drafts(self.directory)
        self._remove_marks()
        # Also if there was none: who removed it may have been killed before this.
        disk.sync_directory(self.directory)

    def prune(self, keep: int) -> None:
        """Delete all but the newest ``keep``."""
        for snapshot in self.found()[keep:]:
            self._mark(snapshot.version).unlink(missing_ok=True)
            snapshot.path.unlink(missing_ok=True)

    def forget(self) -> None:
        """Delete all."""
        if not self.directory.exists():
            return
        self._remove_marks()
        # The oldest first: a kill in between leaves those from which nobody would go on with older keys.
        for snapshot in reversed(self.found()):
            snapshot.path.unlink(missing_ok=True)
        disk.remove_drafts(self.directory)
        disk.sync_directory(self.directory)

    def _seal(self, path: Path, version: int, content: bytes, keys: Keys) -> None:
        key_id, key = next(iter(keys.items()))
        place = self._place(version)

        def check(written: bytes) -> None:
            if unseal(written, place, key) != content:
                raise SealError("what was written is not what can be read")

        disk.write(path, seal(content, place, key, key_id), check)

    def _remove_marks(self) -> None:
        for mark in self.directory.glob(_MARKS):
            mark.unlink(missing_ok=True)

    def _mark(self, version: int) -> Path:
        return self.directory / f"{version:010d}.clean"

    def _place(self, version: int) -> Place:
        return Place(self.clinic, self.channel, version)
