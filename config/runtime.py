"""Directories that only we may read, and whether one lies in memory.

Working copies of session stores hold Signal keys in clear, so they belong on memory-backed storage.
"""

import hashlib
import os
import stat
from pathlib import Path
from typing import Final

from protocol.errors import StoreUnavailableError

SHARED_MEMORY: Final = Path("/dev/shm")  # noqa: S108 - the kernel's tmpfs; what we make in it is checked to be ours
_MOUNTS: Final = Path("/proc/self/mounts")
_MEMORY_FILESYSTEMS: Final = frozenset({"tmpfs", "ramfs"})


def default_runtime(data: Path, uid: int, shared_memory: Path = SHARED_MEMORY) -> Path:
    """Where the runtime directory of the data directory ``data`` lies unless somebody says otherwise.

    One for each user and data directory on shared memory; inside ``data`` where there is no such thing.
    """
    if not in_memory(shared_memory):
        return data / "runtime"
    digest = hashlib.blake2b(os.fsencode(data), digest_size=6).hexdigest()
    return shared_memory / f"plantao-{uid}-{digest}"


def in_memory(path: Path, mounts: Path = _MOUNTS) -> bool:
    """True if what is written below ``path`` stays in memory; False where that cannot be found out."""
    return filesystem_of(path, mounts) in _MEMORY_FILESYSTEMS


def filesystem_of(path: Path, mounts: Path = _MOUNTS) -> str:
    """The kind of file system that ``path`` lies on, such as ``ext4``; empty where that cannot be found out."""
    try:
        lines = mounts.read_text(errors="surrogateescape").splitlines()
    except OSError:
        return ""
    target = path.resolve()
    best, kind = -1, ""
    for line in lines:
        fields = line.split(" ")
        # A later mount on the same point hides the earlier one, hence >=.
        if len(fields) > 2 and target.is_relative_to(point := Path(_unescape(fields[1]))) and len(point.parts) >= best:
            best, kind = len(point.parts), fields[2]
    return kind


def ensure_private(directory: Path) -> None:
    """Make ``directory`` (with its parents) for us alone, or see that it is so.

    Anybody may write to shared memory, so one that is a link or another user's is refused instead of used.

    Raises:
        StoreUnavailableError: it cannot be made, or is not ours; names it and the mend.
    """
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        found = directory.lstat()
        if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid():
            raise StoreUnavailableError(f"{directory} is a link or belongs to another user; remove it or set another")
        if stat.S_IMODE(found.st_mode) != 0o700:
            directory.chmod(0o700)
    except OSError as error:
        raise StoreUnavailableError(f"{directory} cannot be made or used: {error.strerror}") from error


def _unescape(field: str) -> str:
    # proc(5): blanks and backslashes in a mount point are written as octal escapes.
    for escape, character in (("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")):
        field = field.replace(escape, character)
    return field
