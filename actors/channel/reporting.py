"""The part of a channel that reports gaps: after each reconnection, when the backlog is through.

What WhatsApp was told we have, and we do not, is found by ``tracing``, and said by whatsmeow when it throws a message
away as had. Traces and records of lost messages are done with only when NATS has the report that names them; a report
may so be given twice, never not at all.
"""

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from actors.channel.context import Context
from actors.channel.gaps import MOST_WAITING, Gaps, Report, bare
from actors.channel.retry import Retry
from actors.channel.tracing import Claims, Searched, Tracing, by_key, unclaimed
from protocol.bus import Publication
from protocol.events import GapEvent, LostMessage, message_id
from protocol.inbound import Inbound
from protocol.interfaces import Failure
from protocol.port_events import (
    AlreadyDecrypted,
    BacklogAnnounced,
    BacklogDelivered,
    Connected,
    Disconnected,
    PortEvent,
    PortExited,
    Record,
    StreamFailed,
)
from protocol.subjects import EventKind
from supervisor.backoff import Backoff

REPORT_TIMEOUT_S: Final = 120.0
ANNOUNCED_LIMIT_S: Final = 300.0
"""After so long an announced backlog is reported as it is."""
STRAY_S: Final = 5.0
"""Between the word that a message was thrown away as had and the question whether anybody has it."""
MOST_NAMED: Final = 500
"""Lost messages in one event."""

_BACKOFF: Final = Backoff(base_s=0.5, cap_s=30.0)


@dataclass(frozen=True, slots=True)
class Reported:
    """A report is stored by NATS, in which what was suspect under ``keys`` is named or found to be had, and the traces
    are accounted for up to ``row``; or not yet."""

    keys: Sequence[str]
    row: int
    failure: Failure | None


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
        self._tracing = Tracing(context, claims, self._suspected)
        self._session = 0
        self._mark: int | None = None
        self._waiting: deque[Report] = deque()
        self._out = False
        self._retry = Retry(context, "gap not reported yet", "report", ReportDue(), backoff=_BACKOFF)

    @property
    def handlers(self) -> dict[type, Callable[[Any], None]]:
        """Who deals with which of the messages that this part sends to its actor."""
        return {
            **self._tracing.handlers,
            Searched: self.on_searched,
            Reported: self.on_reported,
            ReportDue: lambda _: self._send_off(),
            BacklogDue: self.on_backlog_due,
            StrayDue: lambda _: self.on_stray_due(),
        }

    @property
    def traced(self) -> int:
        """Up to which trace the ledger has all accounted for."""
        return self._tracing.traced

    def begin(self, traced: int, row: int, left: Sequence[Record] = ()) -> None:
        """Traces are accounted for up to ``traced``; those up to ``row`` belong to sessions of earlier lives, as do the
        records that were ``left``, which are on their way to be claimed."""
        for record in left:
            if isinstance(record.what, AlreadyDecrypted):
                self._gaps.throw(record)
        self._tracing.begin(traced, row)

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
                self._tracing.own = frozenset(bare(own) for own in (jid, lid) if own)
            case BacklogAnnounced(messages=messages):
                self._gaps.announce(messages)
                if self._gaps.awaited and self._gaps.connected:
                    self._context.timer("backlog", ANNOUNCED_LIMIT_S, BacklogDue(self._session))
            case BacklogDelivered():
                self._gaps.deliver()
                self._through()
            case Disconnected() | StreamFailed():
                self._over()
            case PortExited(last_row=row):
                self._over()
                if row is not None:
                    self.ended(row)
            case _:
                pass

    def ended(self, row: int) -> None:
        """The session store is left with these traces."""
        self._tracing.ended(row)

    def _throw(self, record: Record) -> None:
        self._gaps.throw(record)
        self._suspected()

    def _suspected(self) -> None:
        """Something is missing. During a session it is reported by itself; it may yet come, by another thread."""
        if self._gaps.reported:
            self._context.timer("stray", STRAY_S, StrayDue())

    def on_stray_due(self) -> None:
        """What is missing should be known by now, if somebody has it."""
        stray = self._gaps.thrown or self._tracing.suspects
        if self._gaps.reported and stray and self._mark is None:
            self._mark = self._claims.heard
            self.look()

    def _over(self) -> None:
        self._mark = None
        self._gaps.ended(self._context.now().wall)

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
        """More may be the ledger's, or be known, now."""
        self._tracing.look()
        if self._mark is not None and self._claims.passed(self._mark):
            self._mark = None
            self._report()
        if self._waiting and not self._out and not self._tracing.looking:
            self._send_off()

    def on_searched(self, message: Searched) -> None:
        """It is known what is missing."""
        self._tracing.on_searched(message)
        self.look()

    def _report(self) -> None:
        through = self._gaps.due
        report = self._gaps.report(self._context.now().wall)
        if len(self._waiting) >= MOST_WAITING:
            report = self._waiting.pop().joined(report)
        self._waiting.append(report)
        if through:
            self._backlog_in()

    def _send_off(self) -> None:
        self._out = True
        tracing, again = self._tracing, self._retry.failing
        suspects, row = dict(tracing.suspects), tracing.looked
        work = _report(self._context, self._waiting[0], tracing.own, suspects, (tracing.traced, row), again=again)
        self._context.errand(
            work, lambda outcome: Reported(list(suspects), row, Failure.of(outcome)), timeout=REPORT_TIMEOUT_S
        )

    def on_reported(self, message: Reported) -> None:
        """NATS, or the ledger, has answered."""
        if message.failure is not None:
            self._retry.failed(message.failure.error)
            return
        self._retry.succeeded()
        self._tracing.reported(message.keys, message.row)
        self._waiting.popleft()
        self._out = False
        self.look()


async def _report(
    context: Context,
    report: Report,
    own: frozenset[str],
    suspects: Mapping[str, LostMessage],
    rows: tuple[int, int],
    *,
    again: bool,
) -> None:
    """On the loop. ``rows``: up to which traces are accounted for, and up to which they are afterwards."""
    whats = [record.what for record in report.thrown]
    thrown = [(what.wa_id, what.chat, what.sender) for what in whats if isinstance(what, AlreadyDecrypted)]
    missing = {key: lost for key, lost in suspects.items() if lost.from_ not in own}
    found = await unclaimed(context, missing | by_key(context.channel, own, thrown))
    lost = list(found.values())
    since = report.until if again else None
    if lost or not report.stray:
        await context.bus.publish([replace(event, since=since) for event in _events(context, report, lost)])
        _log(context, report, len(lost))
    if rows[0] != rows[1]:
        await context.ledger.trace(context.channel, rows[1])
    context.remains.done([record.number for record in report.thrown])
    context.count.lost += len(lost)


def _log(context: Context, report: Report, lost: int) -> None:
    (context.log.error if lost else context.log.info)(
        "gap reported",
        since=None if report.since is None else report.since.isoformat(),
        until=report.until.isoformat(),
        announced=report.announced,
        arrived=report.arrived,
        undecryptable=report.undecryptable,
        lost=lost,
    )


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
