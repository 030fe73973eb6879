"""The master key: whether it is one, and the right one; and who may read it and other secrets that settings name."""

import os
import stat
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Final

from config import master_keys
from config.cli.client import KEY_FILE
from config.doctor.finding import Finding, fine, warning, wrong
from config.sections import Keys, Settings
from gateway.vault import master, master_rotation
from protocol.errors import InvalidInputError

CHECK: Final = "keys"
_MAKE: Final = "(umask 077; openssl rand -base64 32 > FILE)"
_INTO_A_FILE: Final = (
    f"make one elsewhere: {_MAKE}, set keys.next_master_file to it, plantao rotate master, then keys.master_file"
)


def look(settings: Settings) -> Iterator[Finding]:
    """All that there is to say of keys; asks ``keys.master_command`` if there is one. Raises OSError and
    StoreUnavailableError."""
    yield source(settings.keys, settings.data, fresh=not master.check_file(settings.data).exists())
    for path in _files(settings):
        if path.exists():
            yield guarded(path, path.stat(), os.geteuid())
    try:
        known = master_keys.known(settings)
    except InvalidInputError as error:
        yield wrong(CHECK, str(error), "give a key: 32 bytes, in base64 or as 64 hex digits")
        return
    ids = [key.id for key in known]
    yield from fits(ids, master.check_id(master.check_file(settings.data)), settings.data)
    if master_rotation.next_check_file(settings.data).exists():
        told = "a rotation of the master key is not finished: both keys are needed"
        yield warning(CHECK, told, "start the node with keys.master* and keys.next_master* as they were: it goes on")
    admin = settings.data / KEY_FILE
    if admin.exists():
        yield guarded(admin, admin.stat(), os.geteuid())


def source(keys: Keys, data: Path, *, fresh: bool) -> Finding:
    """Where the master key comes from. ``fresh``: nothing was sealed yet."""
    if keys.master:
        return fine(CHECK, "the master key comes from keys.master")
    if keys.master_command:
        return fine(CHECK, f"the master key comes from the command {keys.master_command[0]}")
    if keys.master_file is None:
        mend = f"make one elsewhere: {_MAKE}, and set keys.master_file to it" if fresh else _INTO_A_FILE
        return warning(CHECK, "the master key lies in the data directory, beside what it protects", mend)
    if keys.master_file.absolute().is_relative_to(data):
        told = f"{keys.master_file} lies in the data directory, beside what it protects"
        return warning(CHECK, told, f"move it elsewhere, and set keys.master_file; it must not be in copies of {data}")
    return fine(CHECK, f"the master key comes from {keys.master_file}")


def guarded(path: Path, found: os.stat_result, user: int) -> Finding:
    """Who may read a file with a key in it."""
    mode = stat.S_IMODE(found.st_mode)
    if mode & 0o007:
        return wrong(CHECK, f"{path} may be read by everybody (mode {mode:o})", f"chmod 600 {path}")
    if mode & 0o070:
        told = f"{path} may be read by its group (mode {mode:o})"
        return warning(CHECK, told, f"chmod 600 {path}, unless that group is the node's alone")
    if found.st_uid not in (user, 0):
        return warning(CHECK, f"{path} belongs to user {found.st_uid}", f"chown {user} {path}")
    return fine(CHECK, f"{path} is its owner's alone")


def fits(ids: Sequence[bytes], sealed: bytes | None, data: Path) -> Iterable[Finding]:
    """Whether one of the keys that are given is the one that ``data`` was sealed with (None: with none yet)."""
    if sealed is None:
        return []
    if not ids:
        told = f"{data} was sealed with master key {sealed.hex()}, and none is given"
        return [wrong(CHECK, told, "set keys.master_file, or put master.key back")]
    if sealed not in ids:
        given = ", ".join(each.hex() for each in ids)
        told = f"{data} was sealed with master key {sealed.hex()}, and given is {given}"
        return [wrong(CHECK, told, "give the one it was sealed with; keys are kept as long as what they opened")]
    return [fine(CHECK, f"the master key is the one with which {data} was sealed")]


def _files(settings: Settings) -> list[Path]:
    keys, http, nats = settings.keys, settings.http, settings.nats
    named = (keys.master_file, keys.next_master_file, http.key, nats.key, nats.accounts_file)
    return list(dict.fromkeys(path for path in named if path is not None))
