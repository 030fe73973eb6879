"""What a key looks like, and how it is recognised without being kept."""

import hashlib
import secrets
from typing import Final

PREFIX: Final = "plantao_"
"""So that secret scanners and people recognise a key."""
BITS: Final = 256
SHORTEST: Final = 32
"""Characters of the shortest key that is taken from ``admin.key``."""


def new_secret() -> str:
    """A key that nobody has had before."""
    return PREFIX + secrets.token_urlsafe(BITS // 8)


def new_id() -> str:
    """What a key is called where it must not stand itself: 12 hex digits, that have nothing to do with it."""
    return secrets.token_hex(6)


def digest(secret: str) -> str:
    """As what a key is kept and looked for.

    To look it up in a dictionary takes a time that depends on the digests compared. Nobody can steer those: to get
    nearer to the digest of a key digit by digit, one would have to choose SHA-256's output.
    """
    return hashlib.sha256(secret.encode("utf-8", "surrogateescape")).hexdigest()
