"""The admin key: one secret, generated at the first start, that opens everything but the probes."""

import hashlib
import hmac
import os
import secrets
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from protocol.errors import StoreUnavailableError

PREFIX: Final = "plantao_"
"""So that secret scanners and people recognise a key."""
_SHORTEST: Final = 32


class AdminKey:
    """A key that can be compared with, but not read back."""

    def __init__(self, key: str) -> None:
        self._digest = _digest(key)

    def matches(self, candidate: str) -> bool:
        """True if ``candidate`` is the key, in a time that says nothing of either."""
        return hmac.compare_digest(_digest(candidate), self._digest)


def presented(headers: Mapping[str, str]) -> str | None:
    """The key that a request presents: ``Authorization: Bearer …`` or ``X-API-Key``; None if it presents none."""
    authorization = headers.get("Authorization")
    if authorization is not None:
        scheme, _, key = authorization.partition(" ")
        return key.strip() if scheme.lower() == "bearer" else ""
    return headers.get("X-API-Key")


def ensure_admin_key(path: Path) -> AdminKey:
    """The key in the file ``path`` (0600), generated if there is none; a file that others may read is tightened.

    Raises:
        StoreUnavailableError: it cannot be read or written, or holds no key; names it and the mend.
    """
    try:
        if not path.exists():
            _write(path, PREFIX + secrets.token_urlsafe(32))
        if stat.S_IMODE(path.stat().st_mode) != 0o600:
            path.chmod(0o600)
        key = path.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise StoreUnavailableError(f"{path} cannot be read or written: {error}") from error
    if len(key) < _SHORTEST or len(key.split()) != 1:
        raise StoreUnavailableError(f"{path} holds no key; remove it, and the next start makes a new one")
    return AdminKey(key)


def _write(path: Path, key: str) -> None:
    # By way of another name, so that a crash leaves either no key or a whole one.
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    draft.unlink(missing_ok=True)
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="ascii") as file:
        file.write(key + "\n")
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)


def _digest(key: str) -> bytes:
    return hashlib.sha256(key.encode("utf-8", "surrogateescape")).digest()
