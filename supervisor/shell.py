"""The supervisor actor: performs what ``core`` decided, and tells it what happened."""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, assert_never

import structlog
from pykka import ActorRef

from supervisor import core
from supervisor.actor import Actor, Link, ShutDown, monotonic, tell
from supervisor.names import Name
from supervisor.reasons import Crash, ExitReason, Shutdown
from supervisor.spec import ChildSpec, Intensity

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class WhichChildren:
    """Ask for the children: a list of ``ChildSnapshot``, in start order."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ChildSnapshot:
    """A child as it is now."""

    id: str
    phase: core.ChildPhase
    incarnation: int
    restarts: int
    last_exit: str


class Supervisor(Actor):
    """A one_for_one supervisor. Its own inbox is unbounded; it never blocks.

    ``on_removed`` is called, in the supervisor's thread, with the id of every child that is gone and forgotten.
    """

    def __init__(
        self,
        link: Link,
        name: str,
        children: Sequence[ChildSpec] = (),
        intensity: Intensity = Intensity(),  # noqa: B008 - frozen
        on_removed: Callable[[str], None] | None = None,
        registered: Name | None = None,
    ) -> None:
        super().__init__(link, registered)
        self._name = name
        self._state = core.State(intensity=intensity, children=tuple(core.Child(spec=spec) for spec in children))
        self._refs: dict[tuple[str, int], ActorRef[Any]] = {}
        self._random = random.Random()  # noqa: S311 - jitter
        self._on_removed = on_removed

    def initialize(self) -> bool:
        """Start the static children; up once the last of them is."""
        self._step(core.Boot())
        return False

    def handle(self, message: Any) -> None:
        """The events of ``core``."""
        if not isinstance(message, core.Event):
            super().handle(message)
            return
        if isinstance(message, core.Exited):
            self._forget(message)
        self._step(message)

    def answer(self, request: Any, reply: Callable[[Any], None]) -> None:
        """``WhichChildren``."""
        if not isinstance(request, WhichChildren):
            super().answer(request, reply)
            return
        reply(
            [
                ChildSnapshot(
                    id=child.spec.id,
                    phase=child.phase,
                    incarnation=child.incarnation,
                    restarts=child.restarts,
                    last_exit=child.last_exit,
                )
                for child in self._state.children
            ]
        )

    def shut_down(self) -> None:
        """Stop the children in reverse order, then end."""
        self._step(core.Stop(Shutdown()))

    def cleanup(self, reason: ExitReason) -> None:
        """Children are left only if this supervisor itself failed: they are told to end, not waited for."""
        for ref in self._refs.values():
            tell(ref, ShutDown())

    def _step(self, event: core.Event) -> None:
        self._state, effects = core.step(self._state, event, monotonic())
        for effect in effects:
            self._perform(effect)

    def _perform(self, effect: core.Effect) -> None:
        match effect:
            case core.StartChild(spec, incarnation):
                self._start(spec, incarnation)
            case core.StopChild(spec, incarnation):
                timed_out = core.ShutdownTimedOut(spec.id, incarnation)
                self.timer(f"stop-{spec.id}-{incarnation}", spec.shutdown_s, timed_out)
                ref = self._refs.get((spec.id, incarnation))
                if ref is not None:  # else its start failed, and its exit is in the inbox
                    tell(ref, ShutDown())
            case core.AbandonChild(spec, incarnation):
                self._refs.pop((spec.id, incarnation), None)
                log.error("child abandoned", supervisor=self._name, child=spec.id, after_s=spec.shutdown_s)
            case core.DelayRestart(spec, incarnation, attempt):
                assert spec.backoff is not None
                delay = spec.backoff.delay(attempt, self._random)
                log.info("restart delayed", supervisor=self._name, child=spec.id, delay_s=round(delay, 3))
                self.timer(f"restart-{spec.id}", delay, core.RestartDue(spec.id, incarnation))
            case core.ChildRemoved(id):
                if self._on_removed is not None:
                    self._on_removed(id)
            case core.Booted():
                self.started()
            case core.Exit(reason):
                self.exit(reason)
            case _:
                assert_never(effect)

    def _forget(self, exited: core.Exited) -> None:
        self._refs.pop((exited.id, exited.incarnation), None)
        self.cancel(f"stop-{exited.id}-{exited.incarnation}")
        level = log.error if isinstance(exited.reason, Crash) else log.info
        level("child exited", supervisor=self._name, child=exited.id, reason=str(exited.reason))

    def _start(self, spec: ChildSpec, incarnation: int) -> None:
        def exited(reason: ExitReason) -> None:
            self.tell(core.Exited(spec.id, incarnation, reason))

        link = Link(started=lambda: self.tell(core.Started(spec.id, incarnation)), exited=exited)
        try:
            ref = spec.start(link)
        except BaseException as error:  # noqa: BLE001 - a start that fails is an exit like any other
            self.tell(core.Exited(spec.id, incarnation, Crash(error)))
        else:
            self._refs[spec.id, incarnation] = ref


def start_child(supervisor: ActorRef[Any], spec: ChildSpec) -> None:
    """Have ``supervisor`` start a child; ignored if it has one of that id, or is ending. Callable from any thread."""
    tell(supervisor, core.AddChild(spec))


def remove_child(supervisor: ActorRef[Any], id: str) -> None:
    """Have ``supervisor`` stop a child and forget it; ``on_removed`` follows. Callable from any thread."""
    tell(supervisor, core.RemoveChild(id))
