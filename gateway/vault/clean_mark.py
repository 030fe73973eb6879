"""The mark that a snapshot is clean: ``0000000007.clean`` beside it, sealed with the clinic's key.

It holds when it was made, and is believed only if the file was last changed then, by the disk's own account
(``st_ctime``, which nobody can set). So a data directory that was put back from a copy of its files has no marks, and
an old snapshot in it does not pass for the last one. What is beyond this: the image of a whole disk or machine, which
is put back with all that it says of its files. And where a file server's clock is off by more than ``SLACK_S``, no mark
is ever believed, which costs new Signal sessions after a reboot.

Everything here blocks, and raises OSError.
"""

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from gateway import disk
from gateway.vault.sealing import Place, SealError, key_id_of, seal, unseal

SLACK_S: Final = 10.0
"""How long it may take to write a mark; a copy of it that is younger is one that nobody has used a session since."""

_SIZE: Final = 8


def write(path: Path, place: Place, key_id: bytes, key: bytes) -> None:
    """Mark what is at ``place``, as of now."""
    made = time.time_ns().to_bytes(_SIZE, "big")
    disk.write(path, seal(made, _beside(place), key, key_id))


def holds(path: Path, place: Place, keys: Mapping[bytes, bytes]) -> bool:
    """Whether what is at ``place`` is marked there: by one who had one of ``keys``, and by no copy of a mark."""
    try:
        sealed, changed = path.read_bytes(), path.stat().st_ctime_ns
    except FileNotFoundError:
        return False
    try:
        key = keys.get(key_id_of(sealed))
        made = b"" if key is None else unseal(sealed, _beside(place), key)
    except SealError:
        return False
    return len(made) == _SIZE and abs(changed - int.from_bytes(made, "big")) < SLACK_S * 1e9


def _beside(place: Place) -> Place:
    """No channel is called so: a mark opens nowhere as a snapshot, nor the other way round."""
    return Place(place.clinic, f"{place.channel}.clean", place.version)
