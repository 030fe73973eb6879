"""``<data>/keys.json``: all keys, by their digests. Everything here blocks."""

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import msgspec
from msgspec import Struct

from gateway import disk
from gateway.access.key import ApiKey
from protocol.errors import StoreUnavailableError


class _File(Struct, frozen=True, kw_only=True):
    v: Literal[1] = 1
    keys: list[ApiKey]


def key_file(data: Path) -> Path:
    """Where it is."""
    return data / "keys.json"


def read(path: Path) -> Sequence[ApiKey]:
    """All keys; none if there is no file. What a kill has left of writing it is removed: nobody may be at it.

    Raises:
        StoreUnavailableError: it cannot be read or is damaged; names it and the mend.
    """
    try:
        disk.remove_drafts(path.parent, path.name)
        return msgspec.json.decode(path.read_bytes(), type=_File).keys
    except FileNotFoundError:
        return []
    except OSError as error:
        raise StoreUnavailableError(f"{path} cannot be read: {error.strerror or error}") from error
    except msgspec.DecodeError as error:
        raise StoreUnavailableError(
            f"{path} is damaged: put back a copy, or remove it, and then only the key in admin.key is left"
        ) from error


def write(path: Path, keys: Sequence[ApiKey]) -> None:
    """Have exactly these in the file, for us alone.

    Raises:
        StoreUnavailableError: it cannot be written; nothing was changed.
    """
    try:
        disk.write(path, msgspec.json.format(msgspec.json.encode(_File(keys=list(keys)))) + b"\n")
    except OSError as error:
        raise StoreUnavailableError(f"{path} cannot be written: {error.strerror or error}") from error
