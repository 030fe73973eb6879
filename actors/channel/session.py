"""The part of a channel that has a port: a thin shell around ``lifecycle``, which decides, while this one opens, closes
and asks. One port at a time; reconnection is decided nowhere else."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol, assert_never

from actors.channel import leftover, lifecycle
from actors.channel.context import Context
from actors.channel.keeping import Keeping
from actors.channel.life import (
    CancelTimer,
    ClosePort,
    Effect,
    Life,
    LifeEvent,
    OpenPort,
    PatienceOver,
    PortNotOpened,
    PortOpened,
    PortPhase,
    ProbePort,
    RetryDue,
    SetTimer,
    begin,
    reconnects,
)
from actors.channel.surroundings import ChannelPolicy, Surroundings
from protocol.errors import PortError
from protocol.interfaces import Failure, Port
from protocol.port import PortSpec, Probe
from protocol.port_events import PortEvent

STOP_PORT_S: Final = 8.0
OPEN_LIMIT_S: Final = 86_400.0
"""Not to be reached by waiting in line: the opener keeps the deadline for opening."""
PROBE_DEADLINE_S: Final = 10.0
PRUNE_S: Final = 24 * 3600.0
"""From one deletion of old traces to the next, which waits for a moment without a port: for when one is opened."""


@dataclass(frozen=True, slots=True)
class PortSaid:
    """What a port said, in order."""

    incarnation: int
    events: Sequence[PortEvent]


@dataclass(frozen=True, slots=True)
class _Opened:
    incarnation: int
    outcome: Port | Failure


@dataclass(frozen=True, slots=True)
class _Ignored:
    outcome: object


class Follower(Protocol):
    """Who has to know how the session is: the channel's actor."""

    def moved(self, before: Life) -> None:
        """Something of the life changed."""

    def port_is(self, port: Port | None) -> None:
        """This is the port now, connected or not."""

    def connected_is(self, port: Port | None) -> None:
        """Through this port messages can be sent now."""

    def cancel(self, name: str) -> None:
        """Stop the timer of this name."""


class Session:
    """Belongs to one channel's actor."""

    def __init__(
        self,
        context: Context,
        surroundings: Surroundings,
        policy: ChannelPolicy,
        keeping: Keeping,
        follower: Follower,
        traced: Callable[[], int],
    ) -> None:
        """``traced``: up to which trace all is accounted for."""
        self._context = context
        self._with = surroundings
        self._keeping = keeping
        self._policy = policy
        self._follower = follower
        self._traced = traced
        self._pruned_at = context.now().mono
        self.life = begin(context.now(), policy.breaker)
        self.port: Port | None = None

    @property
    def handlers(self) -> dict[type, Callable[[Any], None]]:
        """Who deals with which of the messages that this part sends to its actor."""
        return {_Opened: self._opened, _Ignored: lambda _: None, RetryDue: self.step, PatienceOver: self.step}

    @property
    def connected(self) -> Port | None:
        """The port through which messages can be sent now."""
        return self.port if self.life.connected else None

    def step(self, event: LifeEvent) -> None:
        """This happened: do what follows from it."""
        before = self.life
        self.life, effects = lifecycle.step(before, event, self._context.now(), self._policy.life, self._context.random)
        self._context.count.reconnects += reconnects(before, self.life, effects)
        for effect in effects:
            self._perform(effect)
        if self.life is not before:
            self._follower.moved(before)
        if self.life.connected != before.connected:
            self._follower.connected_is(self.connected)

    def exited(self) -> None:
        """The port said that it is gone."""
        self.port = None
        self._follower.port_is(None)

    def kill(self, reason: str) -> None:
        """Leave no port behind. In any thread."""
        port = self.port
        if port is not None:
            port.kill(reason)

    @staticmethod
    def dropped(message: Any) -> None:
        """A port that nobody owns is killed. In any thread."""
        if isinstance(message, _Opened) and not isinstance(message.outcome, Failure):
            message.outcome.kill("its channel ended before it was open")

    def _perform(self, effect: Effect) -> None:
        match effect:
            case OpenPort(incarnation):
                self._open(incarnation)
            case ClosePort(_, orderly, reason):
                self._close(orderly, reason)
            case ProbePort():
                if self.port is not None:
                    work = self.port.call(Probe(), deadline=PROBE_DEADLINE_S)
                    self._context.errand(work, _Ignored, timeout=PROBE_DEADLINE_S * 2)
            case SetTimer(event, seconds):
                self._context.timer(type(event).__name__, seconds, event)
            case CancelTimer(event):
                self._follower.cancel(type(event).__name__)
            case _:
                assert_never(effect)

    def _open(self, incarnation: int) -> None:
        spec = PortSpec(
            clinic=self._context.clinic,
            channel=self._context.channel,
            incarnation=incarnation,
            store=self._with.store,
            device_name=self._policy.device_name,
            proxy=self._policy.proxy,
        )

        def said(events: Sequence[PortEvent]) -> None:
            self._context.tell(PortSaid(incarnation, events))

        work = self._open_store(
            spec, said, sealed=self._keeping.sealed, stale=self._keeping.stale, traced=self._prunable()
        )
        self._context.errand(work, lambda outcome: _Opened(incarnation, outcome), timeout=OPEN_LIMIT_S)

    def _prunable(self) -> int | None:
        """Up to which trace all is accounted for, if it is time to delete old ones."""
        now = self._context.now().mono
        if now - self._pruned_at < PRUNE_S:
            return None
        self._pruned_at = now
        return self._traced()

    async def _open_store(
        self,
        spec: PortSpec,
        said: Callable[[Sequence[PortEvent]], None],
        *,
        sealed: bool,
        stale: bool,
        traced: int | None,
    ) -> Port:
        """On the loop."""
        if sealed:
            await self._keeping.unseal(stale=stale)
        if traced is not None:
            await leftover.prune(self._context, traced)
        return await self._with.opener.open(spec, said)

    def _opened(self, message: _Opened) -> None:
        incarnation, outcome = message.incarnation, message.outcome
        if isinstance(outcome, Failure):
            reason = str(outcome.error) or type(outcome.error).__name__
            if not isinstance(outcome.error, PortError):
                self._context.log.error("port not opened", error=repr(outcome.error))
            self.step(PortNotOpened(incarnation, reason))
            return
        if incarnation != self.life.incarnation or self.life.phase is PortPhase.ABSENT:
            outcome.kill("it ended, or was given up, before it was known to be open")
            return
        self.port = outcome
        self._follower.port_is(outcome)
        self.step(PortOpened(incarnation))

    def _close(self, orderly: bool, reason: str) -> None:
        if self.port is None:
            return
        if orderly:
            work = self.port.stop(timeout=STOP_PORT_S)
            self._context.errand(work, _Ignored, timeout=STOP_PORT_S * 2)
        else:
            self.port.kill(reason)
