"""The part of a channel that reports gaps: after each reconnection, when the backlog is through.

What WhatsApp was told we have, and we do not, is found by the traces in the session store. Traces are said to be
accounted for only when NATS has the report that names what is missing; a report may so be given twice, never not at
all.
"""

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, Protocol

from actors.channel.context import Context
from actors.channel.gaps import MOST_WAITING, Gaps, Report, bare
from actors.channel.inbound import message_key
from protocol.bus import Publication
from protocol.events import GapEvent, LostMessage, message_id
from protocol.interfaces import Failure
from protocol.ledger import Inbound
from protocol.port import (
    AlreadyDecrypted,
    BacklogAnnounced,
    BacklogDelivered,
    Connected,
    Disconnected,
    PortEvent,
    PortExited,
    Record,
)
from protocol.subjects import EventKind
from supervisor.backoff import Backoff

REPORT_TIMEOUT_S: Final = 120.0
ANNOUNCED_LIMIT_S: Final = 300.0
"""After so long an announced backlog is reported as it is."""
STRAY_S: Final = 5.0
"""Between the word that a message was thrown away as had and the question whether anybody has it."""
MOST_READ: Final = 1000
"""Traces read at once."""
MOST_NAMED: Final = 500
"""Lost messages in one event."""
MOST_LOOKS: Final = 5
"""Failures after which the report is given without what the session store tells."""

_BACKOFF: Final = Backoff(base_s=0.5, cap_s=30.0)


@dataclass(frozen=True, slots=True)
class Reported:
    """A report is stored by NATS, and the traces are accounted for up to this row; or not yet."""

    outcome: int | Failure


@dataclass(frozen=True, slots=True)
class ReportDue:
    """The pause after a failure is over."""


@dataclass(frozen=True, slots=True)
class BacklogDue:
    """The backlog of this session should be through."""

    session: int


@dataclass(frozen=True, slots=True)
class StrayDue:
    """Report what was thrown away since the last report."""


class Claims(Protocol):
    """How far what was heard is the ledger's."""

    @property
    def heard(self) -> int: ...

    def passed(self, mark: int) -> bool: ...


class Reporting:
    """Belongs to one channel's actor. ``backlog_in`` is called when what waited has come and is the ledger's."""

    def __init__(
        self, context: Context, claims: Claims, backlog_in: Callable[[], None], *, backlog_s: float = 10.0
    ) -> None:
        self._context = context
        self._claims = claims
        self._backlog_in = backlog_in
        self._backlog_s = backlog_s
        self._gaps = Gaps()
        self._traced = 0
        self._own: frozenset[str] = frozenset()
        self._session = 0
        self._mark: int | None = None
        self._waiting: deque[Report] = deque()
        self._out = False
        self._failures = 0

    @property
    def handlers(self) -> dict[type, Callable[[Any], None]]:
        """Who deals with which of the messages that this part sends to its actor."""
        return {
            Reported: self.on_reported,
            ReportDue: lambda _: self._send_off(),
            BacklogDue: self.on_backlog_due,
            StrayDue: lambda _: self.on_stray_due(),
        }

    def begin(self, traced: int, row: int, left: Sequence[Record] = ()) -> None:
        """Traces are accounted for up to ``traced``; those up to ``row`` belong to sessions of earlier lives, as do the
        records that were ``left``."""
        self._traced = traced
        for record in left:
            if isinstance(record.what, AlreadyDecrypted):
                self._gaps.throw(record)
        self._gaps.ended(self._context.now().wall, row)

    def came_up(self) -> None:
        """There is a session, and messages can be sent."""
        self._gaps.came_up()
        self._session += 1
        wait = ANNOUNCED_LIMIT_S if self._gaps.awaited else self._backlog_s
        self._context.timer("backlog", wait, BacklogDue(self._session))
        self._through()

    def said(self, event: PortEvent) -> None:
        """The port said this; records are taken by others besides."""
        match event:
            case Record(what=AlreadyDecrypted()):
                self._throw(event)
            case Record(what=what) if isinstance(what, Inbound):
                self._gaps.hear(what)
            case Connected(jid=jid, lid=lid):
                self._own = frozenset(bare(own) for own in (jid, lid) if own)
            case BacklogAnnounced(messages=messages):
                self._gaps.announce(messages)
                if self._gaps.awaited and self._gaps.connected:
                    self._context.timer("backlog", ANNOUNCED_LIMIT_S, BacklogDue(self._session))
            case BacklogDelivered():
                self._gaps.deliver()
                self._through()
            case Disconnected():
                self._over(None)
            case PortExited(last_row=row):
                self._over(row)
            case _:
                pass

    def _throw(self, record: Record) -> None:
        self._gaps.throw(record)
        if self._gaps.stray:  # it may yet come, by another thread of the port
            self._context.timer("stray", STRAY_S, StrayDue())

    def on_stray_due(self) -> None:
        """What was thrown away should be known by now, if somebody has it."""
        if self._gaps.stray and self._mark is None:
            self._mark = self._claims.heard
            self.look()

    def _over(self, row: int | None) -> None:
        self._mark = None
        self._gaps.ended(self._context.now().wall, row)

    def on_backlog_due(self, message: BacklogDue) -> None:
        """Nobody said that the backlog is through; it is taken to be."""
        if message.session == self._session and self._gaps.connected:
            self._gaps.deliver()
            self._through()

    def _through(self) -> None:
        if self._gaps.due and self._mark is None:
            self._mark = self._claims.heard
            self.look()

    def look(self) -> None:
        """More may be the ledger's now."""
        if self._mark is None or not self._claims.passed(self._mark):
            return
        self._mark = None
        through = self._gaps.due
        report = self._gaps.report(self._context.now().wall)
        if len(self._waiting) >= MOST_WAITING:
            report = self._waiting.pop().joined(report)
        self._waiting.append(report)
        if through:
            self._backlog_in()
        if not self._out:
            self._send_off()

    def _send_off(self) -> None:
        self._out = True
        report = self._waiting[0]
        if self._failures >= MOST_LOOKS and self._failures % 2:  # every other time: NATS may have been the obstacle
            report = replace(report, row=None)
        work = _report(self._context, report, self._own, self._traced, again=self._failures > 0)
        self._context.errand(work, Reported, timeout=REPORT_TIMEOUT_S)

    def on_reported(self, message: Reported) -> None:
        """NATS, or the ledger, has answered."""
        match message.outcome:
            case Failure(error=error):
                self._failures += 1
                delay = _BACKOFF.delay(self._failures, self._context.random)
                self._context.log.warning("gap not reported yet", error=str(error), retry_in_s=round(delay, 2))
                self._context.timer("report", delay, ReportDue())
            case row:
                self._failures = 0
                self._traced = row
                self._waiting.popleft()
                self._out = False
                if self._waiting:
                    self._send_off()


async def _report(context: Context, report: Report, own: frozenset[str], traced: int, *, again: bool) -> int:
    """On the loop. Up to which row the traces are accounted for now."""
    row = traced if report.row is None else report.row
    lost = await _lost(context, own, traced, row, report.thrown)
    if lost:
        context.log.error("messages lost that WhatsApp takes for received", count=len(lost))
    since = report.until if again else None
    if lost or not report.stray:
        await context.bus.publish([replace(event, since=since) for event in _events(context, report, lost)])
    if row != traced:
        await context.ledger.trace(context.channel, row)
    context.remains.done([record.number for record in report.thrown])
    return row


async def _lost(
    context: Context, own: frozenset[str], after: int, until: int, thrown: Sequence[Record]
) -> list[LostMessage]:
    """What others sent, WhatsApp takes for received, and nobody has claimed; each once."""
    lost: dict[str, LostMessage] = {}
    for start in range(after, until, MOST_READ):
        traces = await context.remains.traces(start, min(start + MOST_READ, until))
        lost |= await _unclaimed(context, own, [(trace.wa_id, trace.chat, trace.sender) for trace in traces])
    whats = [record.what for record in thrown]
    dropped = [(what.wa_id, what.chat, what.sender) for what in whats if isinstance(what, AlreadyDecrypted)]
    lost |= await _unclaimed(context, own, dropped)
    return list(lost.values())


async def _unclaimed(
    context: Context, own: frozenset[str], messages: Sequence[tuple[str, str, str]]
) -> dict[str, LostMessage]:
    """Of these (WhatsApp id, chat, sender), by their keys."""
    found = {
        message_key(context.channel, bare(chat), wa_id): LostMessage(wa_id=wa_id, chat=bare(chat), from_=bare(sender))
        for wa_id, chat, sender in messages
        if bare(sender) not in own
    }
    known = await context.ledger.claimed(context.channel, list(found)) if found else frozenset()
    return {key: lost for key, lost in found.items() if key not in known}


def _events(context: Context, report: Report, lost: Sequence[LostMessage]) -> list[Publication]:
    """One event, or several if too many are lost for one; the counts stand in the first."""
    events = []
    for start in range(0, max(len(lost), 1), MOST_NAMED):
        named, first = list(lost[start : start + MOST_NAMED]), start == 0
        event = GapEvent(
            clinic=context.clinic,
            channel=context.channel,
            since=report.since,
            until=report.until,
            announced=report.announced if first else 0,
            arrived=report.arrived if first else 0,
            undecryptable=report.undecryptable if first else 0,
            lost=named,
        )
        # The same loss has the same id, also when another life reports it again.
        parts = [f"{one.chat}/{one.wa_id}" for one in named] or [report.until.isoformat()]
        events.append(
            Publication(
                channel=context.channel,
                kind=EventKind.GAP,
                event=event,
                message_id=message_id(context.channel, EventKind.GAP, *parts),
                headers={},
            )
        )
    return events
