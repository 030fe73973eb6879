"""What to tell of a time without a session, pure: what waited on WhatsApp's server, what came of it, what may be lost.

A period without a session is reported once the session after it has received its backlog; one whose next session ended
before that goes on. What is counted begins with the socket: a backlog may come before WhatsApp has said that we are
logged in.
"""

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

from protocol.inbound import Inbound
from protocol.port_events import AlreadyDecrypted, MessageReceived, Record, Undecryptable

MOST_WAITING: Final = 16
"""Reports that wait for NATS; beyond that the newest become one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What a ``GapEvent`` says.

    ``thrown``: records of messages that were thrown away as had; those that nobody claimed are lost. ``stray``: it is
    about nothing but what was found missing during a session.
    """

    since: datetime | None
    until: datetime
    announced: int
    arrived: int
    undecryptable: int
    thrown: tuple[Record, ...] = ()

    stray: bool = False

    def joined(self, later: "Report") -> "Report":
        """This and the one after it as one."""
        return replace(
            later,
            since=self.since,
            announced=self.announced + later.announced,
            arrived=self.arrived + later.arrived,
            undecryptable=self.undecryptable + later.undecryptable,
            thrown=self.thrown + later.thrown,
            stray=self.stray and later.stray,
        )


class Gaps:
    """Not thread-safe: it belongs to one channel's actor."""

    def __init__(self) -> None:
        self._reported = False
        self._since: datetime | None = None
        self._connected = False
        self._delivered = False
        self.thrown: tuple[Record, ...] = ()
        """Records of what was thrown away, and is not reported."""
        self._clear()

    def _clear(self) -> None:
        self._announced = 0
        self._arrived: set[tuple[str, str]] = set()
        self._undecryptable: set[tuple[str, str]] = set()

    @property
    def connected(self) -> bool:
        """Whether there is a session."""
        return self._connected

    @property
    def awaited(self) -> int:
        """What WhatsApp has announced and not said to be delivered."""
        return 0 if self._delivered else self._announced

    @property
    def due(self) -> bool:
        """Whether there is a session that has its backlog, and a period before it to be reported."""
        return self._connected and self._delivered and not self._reported

    @property
    def reported(self) -> bool:
        """Whether there is a session, and the period before it was reported."""
        return self._reported

    def ended(self, at: datetime) -> None:
        """The session, or the attempt at one, is over."""
        if self._reported:
            self._reported, self._since = False, at
        self._connected = self._delivered = False
        self._clear()

    def came_up(self) -> None:
        """There is a session."""
        self._connected = True

    def announce(self, messages: int) -> None:
        """So much waits on the server."""
        self._announced += messages

    def hear(self, what: Inbound) -> None:
        """This came in. A message counts once, however often it comes: one that cannot be decrypted comes again."""
        if self._reported:
            return
        if isinstance(what, Undecryptable):
            self._arrived.add((what.chat, what.wa_id))
            self._undecryptable.add((what.chat, what.wa_id))
        elif isinstance(what, MessageReceived) and what.backlog:
            self._arrived.add((what.chat, what.wa_id))

    def throw(self, record: Record) -> None:
        """This message was thrown away as had."""
        assert isinstance(record.what, AlreadyDecrypted)
        self.thrown += (record,)

    def deliver(self) -> None:
        """The backlog is through, or there is none."""
        self._delivered = True

    def report(self, now: datetime) -> Report:
        """What to tell when it is due, or of what came astray after that."""
        thrown, self.thrown = self.thrown, ()
        if self._reported:
            return Report(since=None, until=now, announced=0, arrived=0, undecryptable=0, thrown=thrown, stray=True)
        self._reported = True
        report = Report(
            since=self._since,
            until=now,
            announced=self._announced,
            arrived=len(self._arrived),
            undecryptable=len(self._undecryptable),
            thrown=thrown,
        )
        self._clear()
        return report


def bare(jid: str) -> str:
    """``jid`` without its device: ``5511…:7@s.whatsapp.net`` is ``5511…@s.whatsapp.net``."""
    user, at, server = jid.partition("@")
    return user.split(":")[0].split(".")[0] + at + server
