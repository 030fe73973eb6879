"""What earlier lives of a channel left in the journal and the session store, read before any port is opened."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from actors.channel.context import Context
from actors.channel.restoring import Restored
from actors.channel.retry import Retry
from protocol.errors import StoreUnavailableError
from protocol.interfaces import Failure
from protocol.ledger import Paired
from protocol.port_events import Record, SendAnswered
from supervisor.backoff import Backoff

READ_TIMEOUT_S: Final = 60.0
PRUNE_TIMEOUT_S: Final = 10.0

_BACKOFF: Final = Backoff(base_s=0.5, cap_s=10.0)


@dataclass(frozen=True, slots=True)
class Found:
    """``answered``: outcomes of sends, with their numbers; ``inbound``: the other records. Traces are accounted for up
    to ``traced``, and there are some up to ``row``. ``paired``: the number that was connected last; ``device``: as
    which device, whose session the store holds. Not ``whole``: the store is older than what was sent in it."""

    answered: tuple[tuple[int, SendAnswered], ...]
    inbound: tuple[Record, ...]
    traced: int
    row: int
    paired: Paired | None = None
    device: str | None = None
    whole: bool = True


@dataclass(frozen=True, slots=True)
class Read:
    """What was found, or not yet."""

    outcome: Found | Failure


@dataclass(frozen=True, slots=True)
class ReadDue:
    """Try again."""


class Leftover:
    """Belongs to one channel's actor. ``found`` is called once."""

    def __init__(self, context: Context, found: Callable[[Found], None]) -> None:
        self._context = context
        self._found = found
        self._restored: Restored | None = None
        self._retry = Retry(
            context,
            "what is left is not read yet",
            "leftover",
            ReadDue(),
            backoff=_BACKOFF,
            silent=f"nothing was read within {READ_TIMEOUT_S:g} s",
        )

    @property
    def trouble(self) -> str | None:
        """Why it is not read yet."""
        return self._retry.trouble

    @property
    def handlers(self) -> dict[type, Callable[[Any], None]]:
        """Who deals with which of the messages that this part sends to its actor."""
        return {Read: self.on_read, ReadDue: lambda _: self._read()}

    def look(self, restored: Restored) -> None:
        """Read it all; the store is there."""
        self._restored = restored
        self._read()

    def _read(self) -> None:
        assert self._restored is not None
        self._context.errand(_look(self._context, self._restored), Read, timeout=READ_TIMEOUT_S)

    def on_read(self, message: Read) -> None:
        """What came of it."""
        match message.outcome:
            case Failure(error=error):
                self._retry.failed(error)
            case found:
                self._retry.succeeded()
                self._found(found)


async def _look(context: Context, restored: Restored) -> Found:
    """On the loop."""
    remains, ledger, channel = context.remains, context.ledger, context.channel
    records = await remains.journal()
    row = await remains.last_row()
    traced = await ledger.traced(channel)
    if traced is None or traced > row:
        # Never looked at, or another session store than the one that was, or that one as it was before: nothing is
        # known of what else there was, and new traces take the places after those that are there.
        await ledger.trace(channel, row)
        traced = row
    await prune(context, traced)
    return Found(
        answered=tuple((record.number, record.what) for record in records if isinstance(record.what, SendAnswered)),
        inbound=tuple(record for record in records if not isinstance(record.what, SendAnswered)),
        traced=traced,
        row=row,
        paired=await ledger.paired(channel),
        device=restored.device,
        whole=restored.whole,
    )


async def prune(context: Context, traced: int) -> None:
    """Delete old traces, of which those up to row ``traced`` are accounted for; no port may use the store. Whatever
    comes of it, the channel goes on. On the loop."""
    try:
        async with asyncio.timeout(PRUNE_TIMEOUT_S):
            # In another session store places begin anew, and nothing of that is old.
            if traced <= await context.remains.last_row():
                await context.remains.prune(traced)
    except (StoreUnavailableError, TimeoutError) as error:
        context.log.warning("old traces are not deleted", error=str(error) or "it takes too long")
