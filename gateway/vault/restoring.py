"""What ``restore`` and ``snapshot`` do, step by step, each so that a kill between two steps leaves a working state.

Everything here blocks; one caller at a time for each channel. Raises OSError, sqlite3.Error, and what ``keys`` raises.
"""

import errno
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import structlog

from gateway import disk
from gateway.vault import session_store
from gateway.vault.sealing import SealError
from gateway.vault.session_store import StoreDamagedError
from gateway.vault.snapshots import Keys, Snapshot, Snapshots
from protocol.vault import Restoration

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class PassedOver:
    """A snapshot that could not be opened when it was needed."""

    clinic: str
    channel: str
    version: int
    why: str


def stale_mark(store: str) -> Path:
    """There, beside the working copy, while it is one from a stale snapshot and nobody has said to have heard so: by
    its next ``snapshot``."""
    return Path(f"{store}.stale")


def restore(snapshots: Snapshots, store: str, keys: Callable[[], Keys]) -> tuple[Restoration, list[PassedOver]]:
    """Have the working copy ready; and the snapshots that could not be opened. ``keys`` is called only if there are
    snapshots to open."""
    try:
        if session_store.is_paired(store):
            snapshots.unmark()
            return Restoration.STALE if stale_mark(store).exists() else Restoration.KEPT, []
    except StoreDamagedError as error:
        log.warning("session store is damaged", clinic=snapshots.clinic, channel=snapshots.channel, error=str(error))
        session_store.remove(store)
    stale_mark(store).unlink(missing_ok=True)
    restoration, passed_over = _from_newest(snapshots, store, keys)
    snapshots.unmark()
    return restoration, passed_over


def _from_newest(snapshots: Snapshots, store: str, keys: Callable[[], Keys]) -> tuple[Restoration, list[PassedOver]]:
    found, passed_over = snapshots.found(), list[PassedOver]()
    for snapshot in found:
        clean = snapshot is found[0] and snapshots.is_clean(snapshot, keys())
        try:
            content = session_store.usable(_read(snapshots, snapshot, keys()), drop_ratchets=not clean)
        except (SealError, StoreDamagedError) as error:
            passed_over.append(PassedOver(snapshots.clinic, snapshots.channel, snapshot.version, str(error)))
            log.warning(
                "snapshot cannot be opened",
                clinic=snapshots.clinic,
                channel=snapshots.channel,
                version=snapshot.version,
                error=str(error),
            )
            continue
        if not clean:
            disk.make_directory(Path(store).parent)
            stale_mark(store).write_bytes(b"")
        session_store.put_back(content, store)
        return Restoration.CLEAN if clean else Restoration.STALE, passed_over
    return Restoration.NONE, passed_over


def _read(snapshots: Snapshots, snapshot: Snapshot, keys: Keys) -> bytes:
    try:
        return snapshots.read(snapshot, keys)
    except OSError as error:
        if error.errno != errno.EIO:
            raise
        raise SealError("the disk cannot read it") from error


def snapshot(snapshots: Snapshots, store: str, keys: Callable[[], Keys], *, clean: bool, keep: int) -> None:
    """Seal what the working copy holds, if it holds a session.

    Raises:
        SealError, StoreDamagedError: nothing was changed.
    """
    content = session_store.copy_of(store)
    if content is None:
        return
    snapshots.write(content, keys(), clean=clean)
    stale_mark(store).unlink(missing_ok=True)
    try:
        snapshots.prune(keep)
    except OSError as error:
        log.warning(
            "old snapshots cannot be removed", clinic=snapshots.clinic, channel=snapshots.channel, error=str(error)
        )


def reseal(snapshots: Snapshots, keys: Callable[[], Keys]) -> int:
    """Have all snapshots sealed with the first of the keys; how many were not. One that cannot be opened stays as it
    is, and will be passed over when it is needed, as before.

    Raises:
        SealError: one that can be opened was not written as it is to be read. It needs its key yet.
    """
    resealed = 0
    for snapshot in snapshots.found():
        try:
            resealed += snapshots.reseal(snapshot, keys())
        except SealError as error:
            if _opens(snapshots, snapshot, keys()):
                raise
            log.warning(
                "snapshot cannot be sealed anew",
                clinic=snapshots.clinic,
                channel=snapshots.channel,
                version=snapshot.version,
                error=str(error),
            )
    if resealed:
        disk.remove_drafts(snapshots.directory)
    return resealed


def _opens(snapshots: Snapshots, snapshot: Snapshot, keys: Keys) -> bool:
    try:
        snapshots.read(snapshot, keys)
    except SealError:
        return False
    return True
