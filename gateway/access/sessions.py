"""``Sessions``: who has signed in on the page. Each stands for a key, and can do what that can, for as long as it can.

A session is 256 bits from the system's generator, kept as their SHA-256 in memory alone: with the node it ends.
"""

from collections import OrderedDict
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Final

from msgspec import Struct

from gateway.access.api_keys import ApiKeys
from gateway.access.key import ApiKey
from gateway.access.secret import digest, new_secret
from protocol.errors import NotFoundError

LASTS: Final = timedelta(hours=12)
MOST_PER_KEY: Final = 20
"""Whoever signs in once too often takes the place of who did so first with the same key: nobody else is signed out."""


class Session(Struct, frozen=True, kw_only=True):
    """``digest`` recognises it; it ends at ``expires_at`` at the latest."""

    digest: str
    key: str
    expires_at: datetime


class Sessions:
    """All sessions of the running node, on the loop's thread."""

    def __init__(self, keys: ApiKeys) -> None:
        self._keys = keys
        self._by_digest: dict[str, Session] = {}
        self._by_key: dict[str, OrderedDict[str, None]] = {}
        self._told: list[Callable[[str], None]] = []
        self._stop = keys.on_revoked(self._key_revoked)

    def close(self) -> None:
        """Listen to the keys no more."""
        self._stop()

    def on_ended(self, tell: Callable[[str], None]) -> None:
        """Have ``tell`` called with the digest of each session that ends before its time."""
        self._told.append(tell)

    def begin(self, key: ApiKey) -> tuple[Session, str]:
        """A new session of ``key``, which is good, and its secret, for the cookie."""
        now = self._keys.clock()
        self._forget_expired(key.id, now)
        own = self._by_key.setdefault(key.id, OrderedDict())
        if len(own) >= MOST_PER_KEY:
            self.end(next(iter(own)))
        secret = new_secret()
        ends = now + LASTS
        session = Session(
            digest=digest(secret),
            key=key.id,
            expires_at=ends if key.expires_at is None else min(ends, key.expires_at),
        )
        self._by_digest[session.digest] = session
        self._by_key.setdefault(key.id, own)[session.digest] = None
        return session, secret

    def find(self, secret: str) -> tuple[Session, ApiKey] | None:
        """The session with this secret, and its key as it is now; None if it has ended, or never was."""
        session = self._by_digest.get(digest(secret))
        if session is None:
            return None
        try:
            key = self._keys.get(session.key)
        except NotFoundError:
            return None
        now = self._keys.clock()
        return None if now >= session.expires_at or key.expired(now) else (session, key)

    def end(self, digest: str) -> None:
        """It is good for nothing from now on. Nothing happens if there is none."""
        session = self._by_digest.pop(digest, None)
        if session is None:
            return
        own = self._by_key[session.key]
        del own[digest]
        if not own:
            del self._by_key[session.key]
        for tell in self._told:
            tell(digest)

    def _forget_expired(self, key: str, now: datetime) -> None:
        own = [self._by_digest[each] for each in self._by_key.get(key, ())]
        for session in own:
            if now >= session.expires_at:
                self.end(session.digest)

    def _key_revoked(self, id: str) -> None:
        """Also called with keys that are good for less: those keep their sessions."""
        try:
            self._keys.get(id)
        except NotFoundError:
            for each in list(self._by_key.get(id, ())):
                self.end(each)

    def __len__(self) -> int:
        return len(self._by_digest)
