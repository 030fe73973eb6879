"""``ApiKeys``: all keys of the running node, made, found and revoked."""

import asyncio
import logging
from collections.abc import Callable, Coroutine, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from msgspec.structs import replace

from gateway.access import key_file
from gateway.access.admin_key import MADE_BY, adopt, read_or_make
from gateway.access.key import ApiKey
from gateway.access.secret import digest, new_id, new_secret
from protocol.access import Role
from protocol.errors import ConflictError, NotFoundError

log = logging.getLogger(__name__)

MOST_FOR_ALL: Final = 200
"""Keys for all clinics."""
MOST_PER_CLINIC: Final = 50
"""Keys that name a clinic: what its own administrator makes must not keep others from making theirs."""


def open_keys(data: Path, admin_key_file: Path, clock: Callable[[], datetime]) -> "ApiKeys":
    """The keys of the data directory; at the first start the admin key is made. Blocks.

    Raises:
        StoreUnavailableError: a file cannot be read or written, or is damaged; names it and the mend.
    """
    path = key_file.key_file(data)
    kept = key_file.read(path)
    secret = read_or_make(admin_key_file)
    known = adopt(kept, secret, clock())
    if known is not kept:
        key_file.write(path, known)
    if any(key.digest == digest(secret) and key.revoked_at for key in known):
        log.warning("the key in %s is revoked: remove the file, and the next start makes a new one", admin_key_file)
    return ApiKeys(path, known, clock)


class ApiKeys:
    """All but ``__init__`` on the loop's thread. ``last_used_at`` is known since this start only."""

    def __init__(self, path: Path, keys: Sequence[ApiKey], clock: Callable[[], datetime]) -> None:
        self.clock = clock
        self._path = path
        self._by_id = {key.id: key for key in keys}
        self._written: Mapping[str, ApiKey] = dict(self._by_id)
        self._by_digest = {key.digest: key for key in keys if key.revoked_at is None}
        self._used: dict[str, datetime] = {}
        self._writing = asyncio.Lock()
        self._changes: set[asyncio.Task[None]] = set()
        self._told: list[Callable[[str], None]] = []

    def on_revoked(self, tell: Callable[[str], None]) -> Callable[[], None]:
        """Have ``tell`` called with the id of each key that is good no more (or for less), at once and before anything
        is written. What is returned ends that."""
        self._told.append(tell)
        return lambda: self._told.remove(tell)

    def find(self, secret: str) -> ApiKey | None:
        """The key whose secret this is, expired or not; None if there is none."""
        return self._by_digest.get(digest(secret))

    def used(self, id: str) -> None:
        """It was good for a request just now."""
        self._used[id] = self.clock()

    def last_used_at(self, id: str) -> datetime | None:
        """When it was good for a request; None: not since the node was started."""
        return self._used.get(id)

    def all(self) -> Sequence[ApiKey]:
        """Those that are not revoked, oldest first."""
        return [key for key in self._by_id.values() if key.revoked_at is None]

    def get(self, id: str) -> ApiKey:
        """One that is not revoked. Raises NotFoundError."""
        key = self._by_id.get(id)
        if key is None or key.revoked_at is not None:
            raise NotFoundError(f"key {id[:64]}")
        return key

    async def make(
        self,
        name: str,
        role: Role,
        clinics: Sequence[str] | None,
        *,
        made_by: str,
        expires_at: datetime | None = None,
        per_hour: int | None = None,
    ) -> tuple[ApiKey, str]:
        """A new key, which is on the disk when this returns, and its secret, which nobody is ever told again.

        Raises:
            ConflictError: there are as many as there may be.
            StoreUnavailableError: it cannot be written; there is no new key.
        """
        secret = new_secret()
        key = ApiKey(
            id=new_id(),
            name=name,
            role=role,
            clinics=None if clinics is None else sorted(set(clinics)),
            digest=digest(secret),
            made_by=made_by,
            created_at=self.clock(),
            expires_at=expires_at,
            per_hour=per_hour,
        )
        await self._to_its_end(self._add(key))
        return key, secret

    async def revoke(self, id: str) -> None:
        """It is good for nothing from now on, whether or not that can be written. If it cannot: try again.

        Raises:
            NotFoundError: there is no such key, in the file neither.
            StoreUnavailableError: it cannot be written, so that the key would be good again after a restart.
        """
        written = self._written.get(id)
        if written is None or written.revoked_at is not None:
            self.get(id)
        await self._drop([id])

    async def forget_clinic(self, clinic: str) -> None:
        """The clinic is removed: keys for it alone are revoked, from others it is taken. Another clinic that is called
        the same one day is not theirs. Raises StoreUnavailableError, as ``revoke``."""
        concerned = [key for key in self.all() if key.clinics is not None and clinic in key.clinics]
        for key in concerned:
            left = [other for other in key.clinics or () if other != clinic]
            if left:
                narrower = replace(key, clinics=left)
                self._by_id[key.id] = self._by_digest[key.digest] = narrower
        if concerned:
            await self._drop([key.id for key in concerned if key.clinics == [clinic]], also=[k.id for k in concerned])

    async def _drop(self, ids: Sequence[str], also: Sequence[str] = ()) -> None:
        """Revoke ``ids``; what they and ``also`` have under way is ended."""
        for dropped in ids:
            key = self._by_id.pop(dropped, None)
            self._used.pop(dropped, None)
            if key is not None:
                self._by_digest.pop(key.digest, None)
                if key.made_by == MADE_BY:
                    self._by_id[dropped] = replace(key, revoked_at=key.revoked_at or self.clock())
        for concerned in {*ids, *also}:
            for tell in list(self._told):
                tell(concerned)
        await self._to_its_end(self._save())

    async def _add(self, key: ApiKey) -> None:
        async with self._writing:
            self._check_room(key)
            await self._write({**self._by_id, key.id: key})
            self._by_id[key.id] = self._by_digest[key.digest] = key

    async def _save(self) -> None:
        async with self._writing:
            await self._write(self._by_id)

    async def _write(self, keys: Mapping[str, ApiKey]) -> None:
        kept = dict(keys)
        await asyncio.to_thread(key_file.write, self._path, list(kept.values()))
        self._written = kept

    async def _to_its_end(self, change: Coroutine[Any, Any, None]) -> None:
        """Whoever waits for ``change`` may give up; the lock must not be let go while a thread still writes, or what
        is older could be written over what is newer."""
        task = asyncio.create_task(change)
        self._changes.add(task)
        task.add_done_callback(self._changes.discard)
        await asyncio.shield(task)

    def _check_room(self, new: ApiKey) -> None:
        if new.clinics is None:
            count = sum(key.clinics is None for key in self.all())
            _check(count, MOST_FOR_ALL, "for all clinics")
        for clinic in new.clinics or ():
            _check(sum(clinic in (key.clinics or ()) for key in self.all()), MOST_PER_CLINIC, f"for clinic {clinic}")


def _check(count: int, most: int, which: str) -> None:
    if count >= most:
        raise ConflictError(f"there are {count} keys {which}, as many as there may be: revoke one that is not used")
