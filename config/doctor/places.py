"""The directories of a node: whose they are, what they lie on, and how much room there is."""

import os
import stat
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from config.doctor.finding import Finding, fine, unknown, warning, wrong
from config.runtime import filesystem_of, in_memory
from config.sections import Settings

LEAST_FREE: Final = 256 << 20
"""Bytes without which a disk is about to be full."""
LEAST_IN_MEMORY: Final = 64 << 20
LEAST_FILES: Final = 10_000
_FAR: Final = frozenset({"nfs", "nfs4", "cifs", "smb3", "fuse.sshfs", "9p", "ceph", "glusterfs"})
"""File systems over a network, on which SQLite's write-ahead log does not work, or not safely."""
_SWAPS: Final = Path("/proc/swaps")
_MIB: Final = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A directory as it is found, or else the nearest above it. ``files``: how many more the file system takes; None
    if it sets no limit. ``usable``: we may make files there."""

    path: Path
    exists: bool
    directory: bool
    owner: int
    mode: int
    usable: bool
    filesystem: str
    free: int
    files: int | None


def at(path: Path) -> Place:
    """The place ``path``. Raises OSError."""
    there = next(each for each in (path, *path.parents) if each.exists())
    found, room = there.stat(), os.statvfs(there)
    return Place(
        path=path,
        exists=there == path,
        directory=stat.S_ISDIR(found.st_mode),
        owner=found.st_uid,
        mode=stat.S_IMODE(found.st_mode),
        usable=os.access(there, os.W_OK | os.X_OK),
        filesystem=filesystem_of(there),
        free=room.f_bavail * room.f_frsize,
        files=room.f_favail if room.f_files else None,
    )


def data(settings: Settings) -> Iterator[Finding]:
    """The data directory. Raises OSError."""
    place = at(settings.data)
    yield whose("data", place, os.geteuid())
    if place.filesystem in _FAR:
        told = f"{place.path} lies on {place.filesystem}, over a network, where databases may be damaged"
        yield wrong("data", told, "put the data directory on a local disk")
    if in_memory(settings.data):
        told = f"{place.path} lies in memory: all of it is gone when the machine ends"
        yield warning("data", told, "put the data directory on a disk")


def disk(settings: Settings) -> Iterable[Finding]:
    """The room that the data directory has. Raises OSError."""
    return [room(at(settings.data), settings.limits.clinic_bytes)]


def runtime(settings: Settings) -> Iterator[Finding]:
    """The runtime directory, and whether what is in it stays in memory. Raises OSError."""
    place = at(settings.runtime)
    yield whose("runtime", place, os.geteuid())
    yield memory(place, in_memory=settings.runtime_in_memory, required=settings.vault.require_memory)
    if settings.runtime_in_memory:
        yield swapped(_SWAPS.read_text(encoding="ascii"))


def whose(check: str, place: Place, user: int) -> Finding:
    """Whether a directory is ours, or can be made."""
    if not place.exists:
        if place.usable:
            return fine(check, f"{place.path} is made when the node starts")
        told = f"{place.path} does not exist and cannot be made by user {user}"
        return wrong(check, told, f"mkdir -p {place.path} && chown {user} {place.path}, as root")
    if not place.directory:
        return wrong(check, f"{place.path} is no directory", "move it away, or name another")
    if place.owner != user:
        told = f"{place.path} belongs to user {place.owner}, and user {user} runs this"
        return wrong(check, told, f"run the node as user {place.owner}, or: chown -R {user} {place.path}")
    if not place.usable:
        return wrong(check, f"{place.path} cannot be written", "make the file system writable, and the directory too")
    if place.mode & 0o077:
        return warning(check, f"{place.path} is open to others (mode {place.mode:o})", f"chmod 700 {place.path}")
    return fine(check, f"{place.path} is ours alone, on {place.filesystem}")


def room(place: Place, clinic_bytes: int) -> Finding:
    """Whether there is room: for what one clinic may store, at least."""
    free = f"{place.free // _MIB} MiB free at {place.path}"
    if place.free < LEAST_FREE:
        return wrong("disk", free, "make room, or put the data directory on a larger disk")
    if place.files is not None and place.files < LEAST_FILES:
        return wrong("disk", f"only {place.files} more files fit at {place.path}", "remove files, or use a larger disk")
    if place.free < clinic_bytes:
        told = f"{free}, less than one clinic may store ({clinic_bytes // _MIB} MiB, limits.clinic_bytes)"
        return warning("disk", told, "make room, or set smaller limits")
    return fine("disk", free)


def memory(place: Place, *, in_memory: bool, required: bool) -> Finding:
    """Whether sessions in use stay off the disk."""
    if in_memory:
        if place.free < LEAST_IN_MEMORY:
            told = f"only {place.free // _MIB} MiB left at {place.path}"
            return wrong("runtime", told, "give the tmpfs there more room: mount -o remount,size=512M …")
        return fine("runtime", f"{place.path} lies in memory, {place.free // _MIB} MiB left")
    told = f"{place.path} lies on {place.filesystem}: session keys in use are written to a disk in clear"
    mend = "mount a tmpfs there, or set runtime to a directory on one"
    return wrong("runtime", told, mend) if required else warning("runtime", told, mend)


def swapped(swaps: str) -> Finding:
    """Whether what is in memory may come to a disk after all. ``swaps``: as the kernel lists them."""
    used = [line.split()[0] for line in swaps.splitlines()[1:] if line.split()]
    disks = [name for name in used if not name.startswith(("/dev/zram", "/zram"))]
    if not disks:
        return fine("swap", "no memory is swapped to a disk")
    told = f"memory may be swapped to {', '.join(disks)}, session keys in use with it"
    if all(name.startswith("/dev/dm-") for name in disks):
        return unknown("swap", told, "see that it is encrypted: lsblk -f")
    return warning("swap", told, "switch swap off (swapoff -a), or encrypt it")
