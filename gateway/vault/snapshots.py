"""The sealed snapshots of one channel: ``0000000007.vault``, or ``0000000007.clean.vault`` for one that is clean.

Everything here blocks, and raises OSError; one caller at a time.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from gateway import disk
from gateway.store.files import clinics_directory
from gateway.vault.sealing import Place, SealError, key_id_of, seal, unseal
from protocol.ids import check_name

_NAME: Final = re.compile(r"([0-9]{10,18})(\.clean)?\.vault")

Keys = Mapping[bytes, bytes]
"""What seals snapshots, by the id of the data key that it is derived from. The first is the one that seals."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """One file. ``clean``: by its name; it is only if there is no newer one."""

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
        snapshots = [Snapshot(path, int(name[1]), name[2] is not None) for path, name in named if name]
        return sorted(snapshots, key=lambda it: (-it.version, it.clean))

    def write(self, content: bytes, keys: Keys, *, clean: bool) -> int:
        """Seal ``content`` as the newest snapshot; its version. It was opened again before it has its name.

        Raises:
            SealError: what was written is not what can be read, or is too large; nothing was changed.
        """
        disk.make_directory(self.directory)
        disk.remove_drafts(self.directory)
        newest = self.found()[:1]
        version = newest[0].version + 1 if newest else 1
        key_id, key = next(iter(keys.items()))
        place = self._place(version)

        def check(written: bytes) -> None:
            if unseal(written, place, key) != content:
                raise SealError("what was written is not what can be read")

        name = f"{version:010d}.clean.vault" if clean else f"{version:010d}.vault"
        disk.write(self.directory / name, seal(content, place, key, key_id), check)
        return version

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
        for snapshot in self.found():
            if snapshot.clean:
                snapshot.path.replace(self.directory / f"{snapshot.version:010d}.vault")
        # Also if none was clean: who renamed it may have been killed before this.
        disk.sync_directory(self.directory)

    def prune(self, keep: int) -> None:
        """Delete all but the newest ``keep``."""
        for snapshot in self.found()[keep:]:
            snapshot.path.unlink(missing_ok=True)

    def forget(self) -> None:
        """Delete all."""
        if not self.directory.exists():
            return
        # The oldest first: a kill in between leaves those from which nobody would go on with older keys.
        for snapshot in reversed(self.found()):
            snapshot.path.unlink(missing_ok=True)
        disk.remove_drafts(self.directory)
        disk.sync_directory(self.directory)

    def _place(self, version: int) -> Place:
        return Place(self.clinic, self.channel, version)
