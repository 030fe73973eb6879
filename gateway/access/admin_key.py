"""``<data>/admin.key``: the one key that stands in a file in clear (0600), for whoever administers this machine."""

import stat
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Final

from msgspec.structs import replace

from gateway import disk
from gateway.access.key import ApiKey
from gateway.access.secret import SHORTEST, digest, new_id, new_secret
from protocol.access import Role
from protocol.errors import StoreUnavailableError

MADE_BY: Final = "admin.key"
"""``made_by`` of keys that were found in the file."""
_REMEMBERED: Final = 100
"""Revoked keys of the file that are remembered, so that none of them comes back with an old copy of it."""


def read_or_make(path: Path) -> str:
    """The key in the file ``path``, made if there is none; a file that others may read is tightened. Blocks.

    Raises:
        StoreUnavailableError: it cannot be read or written, or holds no key; names it and the mend.
    """
    try:
        disk.remove_drafts(path.parent, path.name)
        if not path.exists():
            disk.create(path, f"{new_secret()}\n".encode())
        if stat.S_IMODE(path.stat().st_mode) != 0o600:
            path.chmod(0o600)
        secret = path.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise StoreUnavailableError(f"{path} cannot be read or written: {error}") from error
    if len(secret) < SHORTEST or len(secret.split()) != 1:
        raise StoreUnavailableError(f"{path} holds no key; remove it, and the next start makes a new one")
    return secret


def adopt(keys: Sequence[ApiKey], secret: str, now: datetime) -> Sequence[ApiKey]:
    """``keys`` with the one in the file: if it is known, it is as it was (perhaps revoked), else it is an admin key,
    and the one that was in the file before is revoked."""
    wanted = digest(secret)
    if any(key.digest == wanted for key in keys):
        return keys
    others = [key for key in keys if key.made_by != MADE_BY]
    before = [replace(key, revoked_at=key.revoked_at or now) for key in keys if key.made_by == MADE_BY]
    found = ApiKey(
        id=new_id(),
        name=MADE_BY,
        role=Role.ADMIN,
        clinics=None,
        digest=wanted,
        made_by=MADE_BY,
        created_at=now,
        per_hour=0,
    )
    return [*others, *before[-_REMEMBERED:], found]
