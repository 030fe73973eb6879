"""One master key in the place of another, in steps, each of which is on the disk before the next.

::

    1  <data>/master.next.key       the next key; only if it is kept in the data directory, as in development
    2  <data>/master.next           a check file of the next key: from now on it wraps, and both open
    3  <data>/clinics/*/key         each wrapped anew, and
       <data>/node.key
    4  <data>/master.check          of the next key: the one before is needed for nothing any more
    5  <data>/master.key            is what master.next.key was; only in development
    6                               master.next is gone: done

The files say how far it came, whatever the settings call the keys. A node that finds ``master.next`` needs both keys
until step 4, and goes on; and does everything again that it may have done before, which changes nothing.

Everything here blocks.
"""

import base64
import secrets
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

import structlog

from gateway import disk
from gateway.vault.master import (
    KEY_SIZE,
    MasterKey,
    check_file,
    check_id,
    ensure_right,
    from_file,
    key_file,
    sealed_check,
    sealed_with,
)
from protocol.errors import ConflictError, StoreUnavailableError, WrongKeyError

NEXT_SETTINGS: Final = "keys.next_master_file, keys.next_master or keys.next_master_command"

log = structlog.get_logger(__name__)


def next_check_file(data: Path) -> Path:
    """There while a rotation is under way."""
    return data / "master.next"


def next_key_file(data: Path) -> Path:
    """Where the next key of a development node is."""
    return data / "master.next.key"


def next_in_data(data: Path) -> MasterKey | None:
    """The next key of a development node, if there is one. Raises InvalidInputError: the file holds no key."""
    path = next_key_file(data)
    return from_file(path) if path.exists() else None


def make_next_in_data(data: Path) -> MasterKey:
    """The next key of a development node; made if there is none.

    Raises:
        StoreUnavailableError: it cannot be made.
    """
    path = next_key_file(data)
    try:
        disk.create(path, base64.b64encode(secrets.token_bytes(KEY_SIZE)) + b"\n")
    except OSError as error:
        raise _unusable(error, path) from error
    return from_file(path)


def settled(data: Path, given: MasterKey, others: Callable[[], Sequence[MasterKey]]) -> MasterKey:
    """The master key of a node that starts: ``given``, or the next one if all is wrapped by that; or that with
    ``given`` before it, if it is still to be finished. ``others`` reads the keys that may be the next one, from where
    they come from; it is called only if ``given`` alone is not the right one.

    Raises:
        WrongKeyError: one that is needed is not given; says which, and what to set.
        InvalidInputError: there is no key where one of the others comes from.
        StoreUnavailableError: it cannot be found out.
    """
    present, coming = check_id(check_file(data)), check_id(next_check_file(data))
    if coming is None and present in (None, given.id):
        ensure_right(data, given)
        return given
    keys = {key.id: key for key in (given, *others())}
    if coming is None or coming == present:
        key = keys.get(present or b"", given)
        ensure_right(data, key)
        if key is not given:
            log.warning("the master key was exchanged: set keys.master* to what keys.next_master* is", id=key.id.hex())
        return key
    return _unfinished(data, keys, present, coming)


def _unfinished(data: Path, keys: dict[bytes, MasterKey], present: bytes | None, coming: bytes) -> MasterKey:
    whole = f"{data}: the exchange of the master key with the id {present.hex() if present else 'unknown'} for the one "
    whole += f"with the id {coming.hex()} is not finished, and the one with the id "
    new, old = keys.get(coming), None if present is None else keys.get(present)
    if new is None:
        raise WrongKeyError(f"{whole}{coming.hex()} is not given: set {NEXT_SETTINGS} to where it is")
    if old is None and present is not None:
        raise WrongKeyError(
            f"{whole}{present.hex()} is needed for it, and not given: set it as keys.master_file, keys.master or "
            f"keys.master_command, and the other as {NEXT_SETTINGS}"
        )
    key = replace(new, before=old)
    sealed_with(next_check_file(data), key)
    ensure_right(data, key)
    return key


def begin(data: Path, present: MasterKey, next: MasterKey) -> MasterKey:
    """Steps 1 and 2; the key that is to wrap from now on, with ``present`` before it.

    Raises:
        ConflictError: it is the present one.
        StoreUnavailableError
    """
    if next.id == present.id:
        raise ConflictError(
            f"the next master key, from {next.source}, is the present one (id {present.id.hex()}): "
            f"set {NEXT_SETTINGS} to a new one"
        )
    path = next_check_file(data)
    try:
        disk.write(path, sealed_check(next))
    except OSError as error:
        raise _unusable(error, path) from error
    return replace(next, before=present)


def end(data: Path, key: MasterKey) -> MasterKey:
    """Steps 4 to 6, when nothing is wrapped by another key than ``key`` any more; the key with none before it. Harmless
    if there is nothing to end.

    Raises:
        StoreUnavailableError: to be called again.
    """
    alone = replace(key, before=None)
    path = check_file(data)
    try:
        for name in (check_file(data).name, next_check_file(data).name):
            disk.remove_drafts(data, name)
        if check_id(path) != key.id:
            disk.write(path, sealed_check(alone))
        kept = next_in_data(data)
        if kept is not None and kept.id == key.id:
            path = key_file(data)
            next_key_file(data).replace(path)
            disk.sync_directory(data)
        if next_check_file(data).exists():
            next_check_file(data).unlink()
            disk.sync_directory(data)
    except OSError as error:
        raise _unusable(error, path) from error
    return alone


def _unusable(error: OSError, path: Path) -> StoreUnavailableError:
    what = f"{error.filename or path} cannot be read or made: {error.strerror or error}"
    return StoreUnavailableError(f"the master key cannot be exchanged: {what}")
