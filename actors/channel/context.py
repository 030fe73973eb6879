"""What the parts of a channel share: who they are, and how they reach the world. Belongs to one actor's thread."""

from collections.abc import Callable, Coroutine, Iterable, Mapping
from dataclasses import dataclass
from random import Random
from typing import Any, TypeVar

from structlog.typing import FilteringBoundLogger

from actors.channel.flights import Flights
from actors.channel.life import Now
from actors.meters import ChannelCount
from actors.turns import Turns
from protocol.bus import ClinicBus
from protocol.commands import utc_now
from protocol.interfaces import Failure, Loop, Remains
from protocol.ledger import Ledger
from protocol.media import MediaSource
from protocol.subjects import HEADER_CORRELATION
from protocol.telemetry import Telemetry
from supervisor.actor import monotonic

T = TypeVar("T")


def nothing_said(_: Iterable[str]) -> None:
    """Nobody is told which commands have ended."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """``tell`` puts a message into the actor's inbox (any thread); ``timer`` is the actor's (its own thread only).

    ``remains``: what this channel's ports leave behind (on the loop alone). ``ended``: the ledger has the end
    of a run of these commands; for who waits for it (any thread). ``count``: where it is counted what happens;
    ``telemetry``: who is told of commands' ways. ``media_turns``: the node's, at media that came in.
    """

    clinic: str
    channel: str
    bus: ClinicBus
    ledger: Ledger
    web: MediaSource
    loop: Loop
    remains: Remains
    flights: Flights
    count: ChannelCount
    tell: Callable[[Any], None]
    timer: Callable[[str, float, Any], None]
    random: Random
    media_turns: Turns
    log: FilteringBoundLogger
    ended: Callable[[Iterable[str]], None] = nothing_said
    telemetry: Telemetry | None = None

    def errand(
        self, work: Coroutine[Any, Any, T], deliver: Callable[[T | Failure], Any], *, timeout: float
    ) -> Callable[[], None]:
        """Run ``work`` on the loop; what ``deliver`` makes of its outcome comes as a message. Returns a cancel."""
        return self.loop.spawn(work, lambda outcome: self.tell(deliver(outcome)), timeout=timeout)

    def log_of(self, id: str | None, headers: Mapping[str, str]) -> FilteringBoundLogger:
        """The log, for what is about the command ``id`` (None: one without) that came with ``headers``."""
        log = self.log if id is None else self.log.bind(id=id)
        correlation = headers.get(HEADER_CORRELATION)
        return log if correlation is None else log.bind(correlation_id=correlation)

    @staticmethod
    def now() -> Now:
        """The time."""
        return Now(utc_now(), monotonic())
