"""The audit: who did what to which clinic and channel. Append-only and hash-chained; holds no personal data."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Protocol

from msgspec import Struct


class Entry(Struct, frozen=True, kw_only=True):
    """``seq`` counts from 1 without gaps. ``who``: a caller's id. ``action``: such as ``channel.connect``.
    ``outcome``: ``asked`` before it is done, then, in an entry of its own whose ``about`` is the first one's ``seq``,
    ``done``, ``refused`` or ``failed``. ``detail``: a few short values, never a name, number, text or key."""

    seq: int
    at: datetime
    who: str
    action: str
    outcome: str
    clinic: str | None = None
    channel: str | None = None
    about: int | None = None
    detail: Mapping[str, str] = {}


class Verification(Struct, frozen=True, kw_only=True):
    """Whether the audit is as it was written, and if not ``why``. ``last`` is the number of its last good entry and
    ``hash`` that one's seal in hexadecimal: who notes the two can find out later whether they are still a part of it.
    ``bad``: the first entry that is not good; None: it is the file that says where the audit ends."""

    intact: bool
    last: int
    hash: str
    bad: int | None = None
    why: str | None = None


class Audit(Protocol):
    """On the loop's thread. An entry is on the disk when a call returns."""

    async def asked(
        self,
        who: str,
        action: str,
        clinic: str | None = None,
        channel: str | None = None,
        detail: Mapping[str, str] | None = None,
    ) -> int:
        """Somebody wants this done; its ``seq``. Raises StoreUnavailableError: then it must not be done."""

    async def ended(self, about: int, outcome: str, detail: Mapping[str, str] | None = None) -> None:
        """What became of it. Raises StoreUnavailableError."""

    async def noted(
        self,
        who: str,
        action: str,
        clinic: str | None = None,
        channel: str | None = None,
        detail: Mapping[str, str] | None = None,
    ) -> None:
        """Something has happened (outcome ``done``). Raises StoreUnavailableError."""

    async def entries(self, clinic: str | Collection[str] | None, *, before: int | None, limit: int) -> Sequence[Entry]:
        """Newest first, all or those of a clinic or of some. Raises StoreUnavailableError."""


class VerifiedAudit(Audit, Protocol):
    """One that can say whether it is whole."""

    async def verify(self, since: tuple[int, str] | None = None) -> Verification:
        """Look at all of it; ``since``: number and hash of an entry that must be in it.

        Raises:
            StoreUnavailableError: it cannot be read.
            ConflictError: somebody else has this done.
        """
