"""The core against a simple model of the world: which children run, which timers are set, who was told what."""

from dataclasses import dataclass, field

import hypothesis.strategies as st
from hypothesis import settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from supervisor.backoff import Backoff
from supervisor.core import (
    AbandonChild,
    AddChild,
    Boot,
    Booted,
    Child,
    ChildRemoved,
    DelayRestart,
    Effect,
    Event,
    Exit,
    Exited,
    RemoveChild,
    RestartDue,
    ShutdownTimedOut,
    StartChild,
    Started,
    State,
    Stop,
    StopChild,
    step,
)
from supervisor.reasons import Crash, ExitReason, Normal, Shutdown
from supervisor.spec import ChildSpec, Intensity, Restart
from tests.unit.supervisor.test_core import BOOM, REASONS, never_started

Incarnation = tuple[str, int]
STATIC = ("a", "b", "c")
IDS = (*STATIC, "x", "y", "z")


@dataclass
class World:
    """What is true outside the supervisor, moved by its effects and by chance alone."""

    living: set[Incarnation] = field(default_factory=set)
    up: set[Incarnation] = field(default_factory=set)
    told: set[Incarnation] = field(default_factory=set)
    abandoned: set[Incarnation] = field(default_factory=set)
    past: set[Incarnation] = field(default_factory=set)
    stop_timers: set[Incarnation] = field(default_factory=set)
    delays: set[Incarnation] = field(default_factory=set)
    ever_up: set[str] = field(default_factory=set)

    def of(self, id: str) -> set[Incarnation]:
        """The incarnations of ``id`` that live and were not left behind."""
        return {known for known in self.living - self.abandoned if known[0] == id}

    def gone(self, incarnation: Incarnation) -> None:
        """It has ended; the shell forgets its timer."""
        if incarnation not in self.abandoned:
            self.past.add(incarnation)
        for known in (self.living, self.up, self.told, self.abandoned, self.stop_timers):
            known.discard(incarnation)


class Core(RuleBasedStateMachine):
    """``wanted``: the children that are to be kept running, by the rules of restart types alone."""

    @initialize(
        restarts=st.sampled_from(list(Restart)),
        with_backoff=st.booleans(),
        intensity=st.sampled_from([0, 1, 3, 1000]),
        static=st.integers(0, len(STATIC)),
    )
    def boot(self, restarts: Restart, with_backoff: bool, intensity: int, static: int) -> None:
        self.world = World()
        self.now = 0.0
        self.intensity = Intensity(intensity, 5.0)
        specs = [self.spec(name, restarts, with_backoff and name == "b") for name in STATIC[:static]]
        self.static = [spec.id for spec in specs]
        self.dynamic: set[str] = set()
        self.wanted = {spec.id: spec for spec in specs}
        self.removing: set[str] = set()
        self.restart_times: list[float] = []
        self.booted = False
        self.stop_asked = False
        self.exit: ExitReason | None = None
        self.state = State(intensity=self.intensity, children=tuple(Child(spec=spec) for spec in specs))
        self.do(Boot())

    @staticmethod
    def spec(id: str, restart: Restart, with_backoff: bool) -> ChildSpec:
        return ChildSpec(id=id, start=never_started, restart=restart, backoff=Backoff() if with_backoff else None)

    def do(self, event: Event) -> list[Effect]:
        self.state, effects = step(self.state, event, self.now)
        assert self.exit is None or not effects, "nothing follows Exit"
        for effect in effects:
            self.perform(effect)
        return effects

    def perform(self, effect: Effect) -> None:
        world = self.world
        assert self.exit is None, "Exit is the last effect"
        match effect:
            case StartChild(spec, incarnation):
                assert self.state.stopping is None, "nothing is started while stopping"
                assert not world.of(spec.id), "at most one live incarnation"
                assert (spec.id, incarnation) not in world.past | world.living, "numbers are not used again in time"
                assert self.wanted[spec.id] is spec
                world.living.add((spec.id, incarnation))
            case StopChild(spec, incarnation):
                assert (spec.id, incarnation) in world.living - world.told - world.abandoned, (
                    "told once, while it lives"
                )
                self.check_stop_order(spec.id)
                world.told.add((spec.id, incarnation))
                world.stop_timers.add((spec.id, incarnation))
            case AbandonChild(spec, incarnation):
                assert (spec.id, incarnation) in world.living & world.told
                world.abandoned.add((spec.id, incarnation))
            case DelayRestart(spec, incarnation, attempt):
                assert attempt >= 1
                assert not world.of(spec.id)
                world.delays = {known for known in world.delays if known[0] != spec.id} | {(spec.id, incarnation)}
            case ChildRemoved(id):
                assert not world.of(id)
                assert id in self.removing or id not in self.wanted
                self.removing.discard(id)
                self.wanted.pop(id, None)
                world.past = {known for known in world.past if known[0] != id}
            case Booted():
                assert not self.booted
                to_be_up = self.wanted.keys() - self.removing
                assert world.ever_up >= to_be_up & set(self.static)
                self.booted = True
            case Exit(reason):
                assert self.state.stopping is not None
                assert not world.living - world.abandoned, "Exit comes last"
                self.exit = reason

    def check_stop_order(self, id: str) -> None:
        if self.state.stopping is None or id in self.removing:
            return
        if id in self.dynamic:
            return
        assert not any(self.world.of(other) for other in self.dynamic), "dynamic children are stopped first"
        later = self.static[self.static.index(id) + 1 :]
        assert not any(self.world.of(other) for other in later), "static children are stopped in reverse"

    # -- what can happen --

    @rule(data=st.data())
    def a_child_comes_up(self, data: st.DataObject) -> None:
        if starting := sorted(self.world.living - self.world.up):
            known = data.draw(st.sampled_from(starting))
            self.world.up.add(known)
            if known not in self.world.abandoned | self.world.told:
                self.world.ever_up.add(known[0])
            self.do(Started(*known))

    @rule(data=st.data(), reason=st.sampled_from(REASONS))
    def a_child_ends(self, data: st.DataObject, reason: ExitReason) -> None:
        if living := sorted(self.world.living):
            self.end(data.draw(st.sampled_from(living)), reason)

    def end(self, known: Incarnation, reason: ExitReason) -> None:
        name, world = known[0], self.world
        by_itself = known not in world.abandoned | world.told and self.state.stopping is None
        was_up = known in world.up
        world.gone(known)
        if not by_itself:
            self.do(Exited(*known, reason))
            return
        spec = self.wanted[name]
        if not self.booted and name in self.static and known[1] == 1 and not was_up:
            del self.wanted[name]
            self.do(Exited(*known, reason))
            assert self.state.stopping is not None, "a first start that fails ends the supervisor"
            return
        again = spec.restart is Restart.PERMANENT or (spec.restart is Restart.TRANSIENT and isinstance(reason, Crash))
        if not again:
            del self.wanted[name]
            assert ChildRemoved(name) in self.do(Exited(*known, reason))
            return
        breach = False
        if spec.backoff is None:
            self.restart_times = [t for t in self.restart_times if self.now - t <= self.intensity.period_s]
            self.restart_times.append(self.now)
            breach = len(self.restart_times) > self.intensity.restarts
        self.do(Exited(*known, reason))
        assert (self.state.stopping is not None) == breach

    @rule(data=st.data())
    def a_restart_is_due(self, data: st.DataObject) -> None:
        if self.world.delays:
            known = data.draw(st.sampled_from(sorted(self.world.delays)))
            self.world.delays.discard(known)
            self.do(RestartDue(*known))

    @rule(data=st.data())
    def a_child_takes_too_long_to_end(self, data: st.DataObject) -> None:
        if self.world.stop_timers:
            known = data.draw(st.sampled_from(sorted(self.world.stop_timers)))
            self.world.stop_timers.discard(known)
            assert any(isinstance(effect, AbandonChild) for effect in self.do(ShutdownTimedOut(*known)))

    @rule(data=st.data(), reason=st.sampled_from(REASONS))
    def a_past_incarnation_speaks(self, data: st.DataObject, reason: ExitReason) -> None:
        stale = sorted(self.world.past - self.world.living)
        if stale:
            known = data.draw(st.sampled_from(stale))
            before = self.state
            late: list[Event] = [Started(*known), Exited(*known, reason), ShutdownTimedOut(*known)]
            for event in late:
                assert self.do(event) == []
            assert self.state == before

    @rule(id=st.sampled_from(IDS), restart=st.sampled_from(list(Restart)), with_backoff=st.booleans())
    def a_child_is_added(self, id: str, restart: Restart, with_backoff: bool) -> None:
        known = id in self.wanted
        spec = self.spec(id, restart, with_backoff)
        stopping = self.state.stopping is not None
        if not known and not stopping:
            self.wanted[id] = spec
            self.dynamic.add(id)
            self.static = [other for other in self.static if other != id]
        started = any(isinstance(e, StartChild) and e.spec is spec for e in self.do(AddChild(spec)))
        assert started == (not known and not stopping)

    @rule(id=st.sampled_from(IDS))
    def a_child_is_removed(self, id: str) -> None:
        if id in self.wanted and self.state.find(id) is not None:
            self.removing.add(id)
        self.do(RemoveChild(id))

    @rule(seconds=st.floats(0.0, 40.0))
    def time_passes(self, seconds: float) -> None:
        self.now += seconds

    @precondition(lambda self: not self.stop_asked)
    @rule(often=st.integers(0, 20))
    def the_supervisor_is_told_to_end(self, often: int) -> None:
        if often == 0:
            self.stop_asked = True
            self.do(Stop(Shutdown("asked")))
            self.do(Stop(BOOM))

    # -- what always holds --

    @invariant()
    def no_child_is_lost_or_doubled(self) -> None:
        ids = [child.spec.id for child in self.state.children]
        assert len(ids) == len(set(ids))
        if self.state.stopping is not None:
            return
        assert set(ids) == set(self.wanted)
        for name in self.wanted:
            queued = not self.booted and name in self.static and name not in self.world.ever_up
            delayed = any(known[0] == name for known in self.world.delays)
            assert self.world.of(name) or delayed or queued

    @invariant()
    def booting_goes_on(self) -> None:
        if not self.booted and self.state.stopping is None:
            starting = self.world.living - self.world.up
            assert any(name in self.static for name, _ in starting), "somebody is waited for"

    def teardown(self) -> None:
        """However it got here: told to end, it ends, and all its children with it."""
        if not hasattr(self, "world"):
            return
        self.do(Stop(Normal()))
        while self.exit is None:
            reachable = (self.world.living & self.world.told) - self.world.abandoned
            assert reachable, "somebody has been told to end"
            self.end(min(reachable), Shutdown())
        assert self.state.children == ()


TestCore = Core.TestCase
TestCore.settings = settings(max_examples=150, stateful_step_count=60, deadline=None)
