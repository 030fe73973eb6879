"""What came in, as the clinic's database has it from its claim until NATS has it, and what it remembers after that.

Everything runs on the asyncio loop. Every method is one committed transaction, and raises StoreUnavailableError, having
changed nothing.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from protocol.port_events import MessageReceived, ReceiptReceived, Undecryptable

Inbound = MessageReceived | ReceiptReceived | Undecryptable


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """Something that came in, under a ``key`` that is the same whenever it comes again.

    ``people``: the JIDs under which its author is known, if it is a message of theirs to us; ``opted_out``: True if it
    asks not to be written to, None if it says nothing of that.
    """

    key: str
    what: Inbound
    people: Sequence[str] = ()
    opted_out: bool | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Spooled:
    """Claimed at ``at`` and not yet said to be stored by NATS. ``seq`` is its place in the order of claims, which no
    other claim of the clinic ever has."""

    seq: int
    key: str
    what: Inbound
    at: datetime


class InboundLedger(Protocol):
    """The part of a clinic's ledger (``protocol.ledger``) that owns what came in."""

    async def claim(self, channel: str, claims: Sequence[Claim], now: datetime) -> Sequence[int | None]:
        """Take ownership of what came in: its place in the order of claims, or None for what is claimed already (also
        by a claim before it in the same call).

        Raises:
            StoreUnavailableError: also if the clinic's spool or file is as large as it may be.
        """

    async def spooled(self, channel: str, after: int, limit: int) -> Sequence[Spooled]:
        """At most ``limit`` claims from beyond the place ``after`` that NATS may not have, in order."""

    async def stored(self, channel: str, keys: Sequence[str]) -> None:
        """NATS has these: forget all but their keys."""

    async def claimed(self, channel: str, keys: Sequence[str]) -> frozenset[str]:
        """Which of these keys were ever claimed."""

    async def traced(self, channel: str) -> int | None:
        """Up to which row of the session store every trace is accounted for; None if it never was looked at."""

    async def trace(self, channel: str, row: int) -> None:
        """Traces up to ``row`` are accounted for."""
