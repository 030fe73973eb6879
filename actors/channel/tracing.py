"""The part of a channel that looks for what is missing: messages that left a trace in the session store, and that
nobody claimed.

It looks when a port is gone, at the start, and now and then while one runs. Where nothing is missing the traces are
accounted for at once: claims are not remembered for ever. What is missing is suspect until a report names it; it may
still come.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

from actors.channel.context import Context
from actors.channel.gaps import bare
from actors.channel.inbound import message_key
from actors.channel.retry import Retry
from protocol.events import LostMessage
from protocol.interfaces import Failure
from supervisor.backoff import Backoff

LOOK_TIMEOUT_S: Final = 120.0
AUDIT_S: Final = 6 * 3600.0
"""From look to look while a port runs: much less than claims are remembered, much more than a claim takes."""
MOST_READ: Final = 1000
"""Traces read at once."""

_BACKOFF: Final = Backoff(base_s=0.5, cap_s=60.0)


@dataclass(frozen=True, slots=True)
class Searched:
    """What is suspect among the traces up to ``row``, by key, or why it is not known yet."""

    row: int
    outcome: Mapping[str, LostMessage] | Failure


@dataclass(frozen=True, slots=True)
class SearchDue:
    """The pause after a failure is over."""


@dataclass(frozen=True, slots=True)
class AuditDue:
    """Time to look while a port runs."""


@dataclass(frozen=True, slots=True)
class Audited:
    """The newest trace now; it is looked at when everything before it must have been claimed."""

    outcome: int | Failure


class Claims(Protocol):
    """How far what was heard is the ledger's."""

    @property
    def heard(self) -> int: ...

    def passed(self, mark: int) -> bool: ...


@dataclass(frozen=True, slots=True)
class _Wanted:
    """Look at the traces up to ``row`` once all is the ledger's that was heard up to ``mark``."""

    row: int
    mark: int


class Tracing:
    """Belongs to one channel's actor. ``found`` is called after each look that found something suspect."""

    def __init__(self, context: Context, claims: Claims, found: Callable[[], None]) -> None:
        self._context = context
        self._claims = claims
        self._found = found
        self._wanted: _Wanted | None = None
        self._audited: _Wanted | None = None
        self._out = False
        self._retry = Retry(context, "traces not read yet", "traces", SearchDue(), backoff=_BACKOFF)
        self.own: frozenset[str] = frozenset()
        """Our own bare JIDs, as far as they are known."""
        self.traced = 0
        """Up to here the ledger has all accounted for."""
        self.looked = 0
        """Up to here all was looked at."""
        self.suspects: dict[str, LostMessage] = {}
        """What was found missing and is not reported, by key."""

    @property
    def handlers(self) -> dict[type, Callable[[Any], None]]:
        """Who deals with which of the messages that this part sends to its actor."""
        return {
            Searched: self.on_searched,
            SearchDue: lambda _: self._try(),
            AuditDue: lambda _: self._audit(),
            Audited: self.on_audited,
        }

    @property
    def looking(self) -> bool:
        """Whether there will soon be news; not if the session store cannot be read."""
        return not self._retry.failing and (self._out or self._wanted is not None)

    def begin(self, traced: int, row: int) -> None:
        """All is accounted for up to ``traced``; the traces up to ``row`` are of earlier lives."""
        self.traced = self.looked = traced
        self._context.timer("audit", AUDIT_S, AuditDue())
        self.ended(row)

    def ended(self, row: int) -> None:
        """A session ended with these traces."""
        self._wanted = _Wanted(row, self._claims.heard)
        self.look()

    def look(self) -> None:
        """More may be the ledger's now."""
        if not self._retry.failing:
            self._try()

    def _try(self) -> None:
        wanted = self._wanted
        if wanted is None or self._out or not self._claims.passed(wanted.mark):
            return
        self._out, self._wanted = True, None
        settles = not self.suspects
        self._context.errand(
            _look(self._context, self.own, self.looked, wanted.row, settles=settles),
            lambda outcome: Searched(wanted.row, outcome),
            timeout=LOOK_TIMEOUT_S,
        )

    def on_searched(self, message: Searched) -> None:
        """What came of it."""
        self._out = False
        if isinstance(message.outcome, Failure):
            self._wanted = self._wanted or _Wanted(message.row, 0)
            self._retry.failed(message.outcome.error)
            return
        self._retry.succeeded()
        self.looked = message.row
        settled = not self.suspects and not message.outcome
        self.suspects |= message.outcome
        if settled or message.row < self.traced:
            self.traced = message.row
        if message.outcome:
            self._found()
        self._try()

    def reported(self, keys: Sequence[str], row: int) -> None:
        """NATS has these named, and the ledger has all accounted for up to ``row``."""
        for key in keys:
            self.suspects.pop(key, None)
        self.traced = row

    # -- while a port runs --

    def _audit(self) -> None:
        self._context.timer("audit", AUDIT_S, AuditDue())
        if self._audited is not None and self._wanted is None:
            self._wanted = self._audited
            self.look()
        self._audited = None
        self._context.errand(self._context.remains.last_row(), Audited, timeout=LOOK_TIMEOUT_S)

    def on_audited(self, message: Audited) -> None:
        """To be looked at with the next."""
        if isinstance(message.outcome, int) and message.outcome > self.looked:
            self._audited = _Wanted(message.outcome, self._claims.heard)


async def _look(
    context: Context, own: frozenset[str], after: int, until: int, *, settles: bool
) -> Mapping[str, LostMessage]:
    """On the loop. ``settles``: if nothing is suspect, all is accounted for."""
    suspects: dict[str, LostMessage] = {}
    for start in range(after, until, MOST_READ):
        traces = await context.remains.traces(start, min(start + MOST_READ, until))
        found = by_key(context.channel, own, [(trace.wa_id, trace.chat, trace.sender) for trace in traces])
        ours = await context.ledger.ours(context.channel, [lost.wa_id for lost in found.values()]) if found else ()
        suspects |= await unclaimed(context, {key: lost for key, lost in found.items() if lost.wa_id not in ours})
    if (settles and not suspects and until != after) or until < after:  # in another session store places begin anew
        await context.ledger.trace(context.channel, until)
    return suspects


def by_key(channel: str, own: frozenset[str], messages: Sequence[tuple[str, str, str]]) -> dict[str, LostMessage]:
    """Of these (WhatsApp id, chat, sender), what others sent."""
    return {
        message_key(channel, bare(chat), wa_id): LostMessage(wa_id=wa_id, chat=bare(chat), from_=bare(sender))
        for wa_id, chat, sender in messages
        if bare(sender) not in own
    }


async def unclaimed(context: Context, found: Mapping[str, LostMessage]) -> dict[str, LostMessage]:
    """On the loop: of these, what nobody has claimed."""
    known = await context.ledger.claimed(context.channel, list(found)) if found else frozenset()
    return {key: lost for key, lost in found.items() if key not in known}
