"""The supervisor actor: performs what ``core`` decided, and tells it what happened."""

import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, assert_never

import structlog
from pykka import ActorRef

from supervisor import core
from supervisor.actor import Actor, Link, NoAnswerError, ShutDown, kill, of, tell
from supervisor.api import (
    Answer,
    Children,
    ChildView,
    CountChildren,
    Counts,
    DeleteChild,
    Done,
    Ended,
    GetChildSpec,
    Phase,
    Process,
    Refused,
    RestartChild,
    StartChild,
    TerminateChild,
    WhichChildren,
)
from supervisor.names import Name
from supervisor.reasons import Crash, ExitReason, Killed, Normal
from supervisor.requests import view
from supervisor.spec import INFINITY, ChildSpec, ChildType, Flags, Kill, SpecError, check_flags, check_start_specs
from supervisor.state import (
    Asked,
    Begin,
    Booted,
    Count,
    Defer,
    DelayRestart,
    Effect,
    Event,
    Exit,
    Exited,
    Ignored,
    KillChild,
    Launch,
    Park,
    Reply,
    RestartDue,
    Serve,
    SignalShutdown,
    Started,
    State,
    Stop,
    TimedOut,
    TryAgain,
)
from supervisor.tally import Tally

HANG_CHECK_S: Final = 1.0

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class _LaunchDue:
    """The pause before a staggered start is over."""

    launch: Launch


@dataclass(frozen=True, slots=True)
class _Look:
    """Time to look for hung children."""


class Supervisor(Actor):
    """A supervisor with OTP's semantics. Its inbox is unbounded and in order; it never blocks.

    Specs that can't be end it with ``Crash`` of the SpecError before any child is started. ``on_quarantine`` is called,
    in the supervisor's thread, with the id of each child that is parked; ``tally`` counts what becomes of the children
    that have a role.
    """

    inbox_in_order = True

    def __init__(
        self,
        link: Link,
        name: str,
        children: Sequence[ChildSpec] = (),
        flags: Flags = Flags(),  # noqa: B008 - frozen
        registered: Name | None = None,
        clock: Callable[[], float] = time.monotonic,
        on_quarantine: Callable[[str], None] = lambda _: None,
        tally: Tally | None = None,
    ) -> None:
        super().__init__(link, registered)
        self._name = name
        self._flags = flags
        self._specs = children
        self._clock = clock
        self._on_quarantine = on_quarantine
        self._tally = tally or Tally()
        self._state = State(flags=flags)
        self._refs: dict[str, dict[int, ActorRef[Any]]] = {}
        self._random = random.Random()  # noqa: S311 - jitter
        self._looking = False
        self.hung = 0
        """Children that were killed because they hung."""

    # -- hooks --

    def initialize(self) -> bool:
        """Start the children; up once the last of them is."""
        try:
            check_flags(self._flags)
            self._state = core.begin(self._flags, check_start_specs(self._specs, self._flags))
        except SpecError as error:
            self.exit(Crash(error))
            return False
        self._step(Begin())
        return False

    def handle(self, message: Any) -> None:
        """The events of ``core``."""
        match message:
            case Started() | Ignored() | Exited() | RestartDue() | TimedOut() | TryAgain():
                if isinstance(message, Exited | Ignored):
                    self.cancel(f"stop-{message.id}-{message.incarnation}")
                if isinstance(message, Exited):
                    self._note_end(message)
                self._step(message)
            case _LaunchDue(launch):
                self._launch(launch.spec, launch.incarnation)
            case _Look():
                self._kill_hung()
            case _:
                super().handle(message)

    def answer(self, request: Any, reply: Callable[[Any], None]) -> None:
        """The requests of ``state``."""
        match request:
            case TerminateChild(target) | GetChildSpec(target):
                request = replace(request, target=self._name_of(target))
            case StartChild() | RestartChild() | DeleteChild() | WhichChildren() | CountChildren():
                pass
            case _:
                super().answer(request, reply)
        self._step(Asked(request, reply))

    def shut_down(self, reason: ExitReason) -> None:
        """Stop the children in reverse order, then end."""
        self._step(Stop(reason))

    def cleanup(self, reason: ExitReason) -> None:
        """Children are left only if this supervisor itself failed: they go with it, as by OTP's links."""
        self._leave(reason)

    def given_up(self) -> None:
        """Kill all children."""
        self._leave(self._reason or Killed())

    def _leave(self, reason: ExitReason) -> None:
        for refs in list(self._refs.values()):
            for ref in list(refs.values()):
                kill(ref, f"its supervisor {self._name} ended")
        state = self._state
        asked = [work.goal.to for work in state.works if isinstance(work.goal, Serve)]
        for to in (*asked, *(event.to for event in state.mailbox if isinstance(event, Asked))):
            self._reply(to, Ended(reason))

    def dropped(self, message: Any) -> None:
        """News of children that went with it."""

    # -- for a look from outside: any thread --

    @property
    def label(self) -> str:
        """Its name, for people."""
        return self._name

    def children(self) -> list[ChildView]:
        """As they are now, in start order, with their refs."""
        children = self._state.children.values()
        return [view(child, self._ref(child.spec.id, child.incarnation)) for child in children]

    # -- performing --

    def _step(self, event: Event) -> None:
        self._state, effects = core.step(self._state, event, self._clock())
        for effect in effects:
            self._perform(effect)
        if isinstance(event, Started | Exited | Ignored) and (child := self._state.children.get(event.id)):
            refs = self._refs.get(event.id, {})
            self._refs[event.id] = {n: refs[n] for n in (child.process, child.incarnation) if n in refs}
        if len(self._refs) > len(self._state.children):
            self._refs = {child: refs for child, refs in self._refs.items() if child in self._state.children}

    def _perform(self, effect: Effect) -> None:
        match effect:
            case Launch(spec, incarnation):
                # An earlier child of this id may have had this number too.
                self._refs.get(spec.id, {}).pop(incarnation, None)
                self.cancel(f"restart-{spec.id}")
                self._launch_in_time(effect)
            case SignalShutdown(spec, incarnation):
                self._signal_shutdown(spec, incarnation)
            case KillChild(id, incarnation):
                self._kill(id, incarnation)
            case Defer(event):
                self.tell(event)
            case DelayRestart(spec, incarnation, attempt):
                assert spec.backoff is not None
                delay = spec.backoff.delay(attempt, self._random)
                log.info("restart delayed", **self._about(spec.id), delay_s=round(delay, 3))
                self.timer(f"restart-{spec.id}", delay, RestartDue(spec.id, incarnation))
            case Park(spec, incarnation):
                assert spec.quarantine is not None
                release_s = spec.quarantine.release_s
                log.error("child quarantined", **self._about(spec.id), release_in_s=release_s)
                self._on_quarantine(spec.id)
                if release_s is not None:
                    self.timer(f"restart-{spec.id}", release_s, RestartDue(spec.id, incarnation))
            case Reply() | Count() if isinstance(self._reason, Killed):
                pass  # answered by whoever killed it
            case Reply(to, answer):
                self._reply(to, answer)
            case Count(to, children, template):
                self._reply(to, self._count(children, template))
            case Booted():
                self.started()
            case Exit(reason):
                self.exit(reason)
            case _:
                assert_never(effect)

    def _launch_in_time(self, launch: Launch) -> None:
        stagger = self._flags.stagger
        if stagger is None or stagger.jitter_s == 0:
            self._launch(launch.spec, launch.incarnation)
        else:
            pause = self._random.uniform(0, stagger.jitter_s)
            self.timer(f"launch-{launch.spec.id}", pause, _LaunchDue(launch))

    def _launch(self, spec: ChildSpec, incarnation: int) -> None:
        def exited(reason: ExitReason) -> None:
            self._tally.exited(spec.role, reason)
            self.tell(Exited(spec.id, incarnation, reason))

        def ignored() -> None:
            self._tally.exited(spec.role, Normal())
            self.tell(Ignored(spec.id, incarnation))

        self._tally.started(spec.role, again=incarnation > 1)
        link = Link(started=lambda info: self.tell(Started(spec.id, incarnation, info)), ignored=ignored, exited=exited)
        try:
            ref = spec.start(link)
        except BaseException as error:  # noqa: BLE001 - a start that fails is an exit like any other
            exited(Crash(error))
            return
        self._refs.setdefault(spec.id, {})[incarnation] = ref
        if not self.actor_ref.is_alive():
            kill(ref, f"its supervisor {self._name} was killed")
        if spec.hang_s is not None and not self._looking:
            self._look_again(spec.hang_s)

    def _signal_shutdown(self, spec: ChildSpec, incarnation: int) -> None:
        ref = self._ref(spec.id, incarnation)
        if ref is None:  # not launched yet; or its start failed, or its end is in the inbox, and this one is dropped
            self._never_launched(spec.id, incarnation)
            return
        assert not isinstance(spec.patience, Kill)
        if spec.patience != INFINITY:
            self.timer(f"stop-{spec.id}-{incarnation}", spec.patience, TimedOut(spec.id, incarnation))
        tell(ref, ShutDown())

    def _kill(self, id: str, incarnation: int) -> None:
        ref = self._ref(id, incarnation)
        if ref is not None:
            log.error("child given up", **self._about(id))
            kill(ref, "its supervisor gave it up")
        else:
            self._never_launched(id, incarnation)

    def _never_launched(self, id: str, incarnation: int) -> None:
        self.cancel(f"launch-{id}")
        self.tell(Exited(id, incarnation, Killed("not started")))

    def _kill_hung(self) -> None:
        now = time.monotonic()
        watched = [child for child in self._state.children.values() if child.spec.hang_s is not None]
        for child in watched:
            ref = self._ref(child.spec.id, child.incarnation)
            since = of(ref).busy_since if ref is not None and ref.is_alive() else None
            if ref is None or since is None or now - since <= (child.spec.hang_s or INFINITY):
                continue
            self.hung += 1
            self._tally.hung(child.spec.role)
            log.error("child hangs", **self._about(child.spec.id), for_s=round(now - since, 1))
            kill(ref, f"it hung for {now - since:.1f} s")
        self._looking = bool(watched)
        if watched:
            self._look_again(min(child.spec.hang_s or INFINITY for child in watched))

    def _look_again(self, hang_s: float) -> None:
        self._looking = True
        self.timer("look", min(HANG_CHECK_S, hang_s / 2), _Look())

    def _note_end(self, ended: Exited) -> None:
        level = log.error if isinstance(ended.reason, Crash | Killed) else log.info
        level("child exited", **self._about(ended.id), reason=str(ended.reason))

    def _about(self, id: str) -> dict[str, str]:
        """Which child it is, for a log."""
        child = self._state.children.get(id)
        about = {"supervisor": self._name, "child": id}
        role = child.spec.role if child is not None else None
        return about if role is None else about | {"kind": role.kind, "group": role.group}

    def _ref(self, id: str, incarnation: int) -> ActorRef[Any] | None:
        return self._refs.get(id, {}).get(incarnation)

    # -- answering --

    def _reply(self, to: object, answer: Answer) -> None:
        assert callable(to)
        match answer:
            case Done(id=str(id), incarnation=incarnation):
                to(replace(answer, ref=self._ref(id, incarnation)))
            case Children(children):
                to(Children(tuple(replace(each, ref=self._ref(each.id, each.incarnation)) for each in children)))
            case Refused(detail=Done(id=str(id), incarnation=incarnation) as running):
                to(replace(answer, detail=replace(running, ref=self._ref(id, incarnation))))
            case Ended(reason):
                to(NoAnswerError(f"the supervisor has ended: {reason}", reason))
            case _:
                to(answer)

    def _count(self, children: Sequence[ChildView], template: ChildType | None) -> Counts:
        types = [child.type for child in children]
        if template is not None:
            active = sum(child.phase is not Phase.RESTARTING for child in children)
        else:
            refs = [self._ref(child.id, child.incarnation) for child in children]
            active = sum(ref is not None and ref.is_alive() for ref in refs)
        return Counts(
            specs=len(children) if template is None else 1,
            active=active,
            supervisors=types.count(ChildType.SUPERVISOR),
            workers=types.count(ChildType.WORKER),
        )

    def _name_of(self, target: Any) -> str | Process:
        if not isinstance(target, ActorRef):
            return str(target)
        for child, refs in self._refs.items():
            for incarnation, ref in refs.items():
                if ref == target:
                    return Process(child, incarnation, ref.is_alive())
        return Process(None, 0, target.is_alive())
