"""The part of receiving that claims: from the records that ports say (or left) to what the ledger owns.

One claim is out at a time and takes all that waits, in the order in which it was heard. When it is committed the
records are done and the port has new credit: for what is ours, not for what NATS has, so a channel receives on while
NATS is away. What cannot be claimed stays here and in the journal, and is tried again.
"""

from collections import Counter, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Final

from actors.channel.context import Context
from actors.channel.inbound import claim_of
from actors.channel.inbox import Item
from actors.channel.optout import OptOut
from actors.channel.retry import Retry
from protocol.inbound import Claim, Inbound
from protocol.interfaces import Failure, Port
from protocol.port_events import MessageReceived, Record, Undecryptable
from supervisor.backoff import Backoff

CLAIM_TIMEOUT_S: Final = 10.0
MOST_AT_ONCE: Final = 512
"""Claims in one transaction."""

_BACKOFF: Final = Backoff(base_s=0.2, cap_s=5.0)


@dataclass(frozen=True, slots=True)
class Heard:
    """A record that holds ``what``; ``incarnation`` of the port that said it, 0 if it was found in the journal."""

    number: int
    what: Inbound
    incarnation: int


@dataclass(frozen=True, slots=True)
class Taken:
    """``items`` are new; ``repeats`` of what was heard were claimed before. ``claims``: those of the items, and of a
    batch that was tried again all: the try before may have been committed, and nobody heard of it."""

    items: Sequence[Item]
    claims: Sequence[Claim]
    repeats: int


@dataclass(frozen=True, slots=True)
class Claimed:
    """What became of a claim for which ``port`` was given credit."""

    batch: Sequence[Heard]
    port: Port | None
    outcome: Taken | Failure


@dataclass(frozen=True, slots=True)
class ClaimDue:
    """The pause after a failure is over."""


class Claiming:
    """Belongs to one channel's actor. ``taken`` is called with what was claimed."""

    def __init__(self, context: Context, optout: OptOut, taken: Callable[[Taken], None]) -> None:
        self._context = context
        self._optout = optout
        self._taken = taken
        self._waiting: deque[Heard] = deque()
        self._out = False
        self._pausing = False
        self._retry = Retry(
            context,
            "inbound not claimed yet",
            "claim",
            ClaimDue(),
            backoff=_BACKOFF,
            silent=f"the database did not answer within {CLAIM_TIMEOUT_S:g} s",
        )
        self._port: Port | None = None
        self._owed: Counter[int] = Counter()
        self.heard = 0
        """Records taken so far."""
        self.settled = 0
        """Of these, in order, those that are the ledger's."""

    @property
    def trouble(self) -> str | None:
        """Why what comes in cannot be stored, since the last attempt."""
        return self._retry.trouble

    @property
    def idle(self) -> bool:
        """Nothing waits and nothing is out."""
        return not self._waiting and not self._out

    def configure(self, optout: OptOut) -> None:
        """Go by these words from now on."""
        self._optout = optout

    def take(self, records: Sequence[Record], incarnation: int) -> None:
        """A port said these, or left them in the journal (incarnation 0). What is not claimed is only credited."""
        before = len(self._waiting)
        for record in records:
            if isinstance(record.what, Inbound):
                self._waiting.append(Heard(record.number, record.what, incarnation))
        new = len(self._waiting) - before
        self.heard += new
        if new < len(records):
            self._owed[incarnation] += len(records) - new
            self._pay()
        self._pump()

    def use(self, port: Port | None) -> None:
        """Credit is ``port``'s from now on; None: there is none any more."""
        self._port = port
        self._pay()

    def _pay(self) -> None:
        """Give the credit for what was claimed before the port was known to be open, or is not to be claimed."""
        if self._port is None:
            return
        owed = self._owed.pop(self._port.incarnation, 0)
        self._owed.clear()
        if owed:
            self._context.loop.spawn(_grant(self._port, owed), _ignore, timeout=CLAIM_TIMEOUT_S)

    def _pump(self) -> None:
        if self._out or self._pausing or not self._waiting:
            return
        self._out = True
        port, batch = self._port, list(islice(self._waiting, MOST_AT_ONCE))
        channel, optout = self._context.channel, self._optout
        claims = [claim_of(channel, heard.what, optout) for heard in batch]
        self._context.errand(
            _claim(self._context, port, batch, claims, again=self._retry.failing),
            lambda outcome: Claimed(batch, port, outcome),
            timeout=CLAIM_TIMEOUT_S,
        )

    def on_claimed(self, message: Claimed) -> None:
        """The ledger has answered."""
        self._out = False
        if isinstance(message.outcome, Failure):
            self._pausing = True
            self._retry.failed(message.outcome.error)
            return
        self._retry.succeeded()
        for _ in message.batch:
            self._waiting.popleft()
        if message.port is None:
            self._owed.update(heard.incarnation for heard in message.batch)
            self._pay()
        self.settled += len(message.batch)
        self._taken(message.outcome)
        self._pump()

    def on_due(self, _: ClaimDue) -> None:
        """Try again."""
        self._pausing = False
        self._pump()


async def _claim(
    context: Context, port: Port | None, batch: Sequence[Heard], claims: Sequence[Claim], *, again: bool
) -> Taken:
    """On the loop. May be repeated: what is claimed already is said to be so."""
    now = context.now().wall
    places = await context.ledger.claim(context.channel, claims, now)
    context.remains.done([heard.number for heard in batch])
    if port is not None:
        count = sum(heard.incarnation == port.incarnation for heard in batch)
        if count:
            port.grant(count)
    new = [(place, claim) for place, claim in zip(places, claims, strict=True) if place is not None]
    messages = sum(isinstance(claim.what, MessageReceived) and not claim.what.from_me for _, claim in new)
    context.count.comes_in(messages, now)
    context.count.undecryptable += sum(isinstance(claim.what, Undecryptable) for _, claim in new)
    return Taken(
        items=[Item(place, claim.key, claim.what, now) for place, claim in new],
        claims=claims if again else [claim for _, claim in new],
        repeats=len(batch) - len(new),
    )


async def _grant(port: Port, count: int) -> None:
    port.grant(count)


def _ignore(_: object) -> None:
    """Credit that a port could not take any more is not missed."""
