"""The lock on a session store. Two ports on one store would destroy its ratchets, so whoever opens it holds a lock,
beside it in ``<store>.lock``, which says who that is."""

import fcntl
import os
from pathlib import Path
from typing import Final

import msgspec

from gateway.whatsapp.frames import Holder
from supervisor.pidfd import Pidfd

COMM: Final = "plantao-port"
"""What a port calls itself (``/proc/<pid>/comm``); at most 15 characters."""


class StoreHeldError(Exception):
    """Another process has the store locked; ``holder`` as it wrote itself down, None if that cannot be read."""

    def __init__(self, path: Path, holder: Holder | None) -> None:
        who = f"process {holder.pid}" if holder else "another process"
        super().__init__(f"the session store {path} is in use by {who}")
        self.holder = holder


def lock_path(store: str) -> Path:
    """Where the lock of ``store`` is."""
    return Path(f"{store}.lock")


def take(store: str, holder: Holder) -> int:
    """Lock ``store`` for this process until it ends, and write ``holder`` down. The open descriptor.

    Raises:
        StoreHeldError: it is locked.
        OSError: the file cannot be made.
    """
    path = lock_path(store)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        written = os.pread(descriptor, 4096, 0)
        os.close(descriptor)
        raise StoreHeldError(path, _holder(written)) from None
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, msgspec.json.encode(holder), 0)
    return descriptor


def holder_of(store: str) -> Holder | None:
    """Who holds the lock of ``store``; None if nobody does, or it cannot be told."""
    try:
        holder = _holder(lock_path(store).read_bytes())
    except OSError:
        return None
    return holder if holder is not None and holds(holder.pid, store) else None


def _holder(written: bytes) -> Holder | None:
    try:
        return msgspec.json.decode(written, type=Holder)
    except msgspec.MsgspecError:
        return None


def started(pid: int) -> int | None:
    """When process ``pid`` was started, in clock ticks since boot (with the pid, it names a process for good); None if
    there is none, or only its remains."""
    try:
        after_name = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return None if after_name[0] in "ZX" else int(after_name[19])


def is_orphan(holder: Holder) -> bool:
    """Whether the main process that opened ``holder`` is gone."""
    return started(holder.main_pid) != holder.main_started


def holds(pid: int, store: str) -> bool:
    """Whether ``pid`` is a port that has the lock file of ``store`` open: only then may it be killed for it."""
    try:
        if Path(f"/proc/{pid}/comm").read_text().strip() != COMM:
            return False
        wanted = lock_path(store).stat()
        return any(_same(entry, wanted) for entry in Path(f"/proc/{pid}/fd").iterdir())
    except OSError:
        return False


def _same(entry: Path, wanted: os.stat_result) -> bool:
    try:
        found = entry.stat()
    except OSError:
        return False
    return (found.st_dev, found.st_ino) == (wanted.st_dev, wanted.st_ino)


async def evict(holder: Holder, store: str, *, grace: float) -> bool:
    """Wait for the end of a port whose main is gone; kill it after ``grace`` seconds. Whether it is gone."""
    try:
        process = Pidfd(holder.pid)
    except ProcessLookupError:
        return True
    with process:
        # Looked at after the handle was taken: from here on the number cannot come to mean another process.
        return not holds(holder.pid, store) or await process.end(ask=None, patience=grace)
