"""The core against an independent model of OTP's supervisor, and a world of children that do as chance has it."""

from collections import Counter
from typing import Any

import hypothesis.strategies as st
from hypothesis import settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from supervisor import core
from supervisor.backoff import Backoff
from supervisor.reasons import ExitReason, Shutdown
from supervisor.spec import (
    ABANDON,
    INFINITY,
    AutoShutdown,
    ChildSpec,
    Flags,
    Quarantine,
    Restart,
    Stagger,
    Strategy,
    check_child_spec,
    check_flags,
)
from supervisor.state import (
    Asked,
    Begin,
    Booted,
    Children,
    Count,
    CountChildren,
    Defer,
    DelayRestart,
    DeleteChild,
    Done,
    Effect,
    Ended,
    Event,
    Exit,
    Exited,
    GetChildSpec,
    Ignored,
    KillChild,
    Launch,
    Park,
    Process,
    Refused,
    Reply,
    RestartChild,
    RestartDue,
    SignalShutdown,
    SpecOf,
    StartChild,
    Started,
    Stop,
    TerminateChild,
    TimedOut,
    WhichChildren,
)
from tests.unit.supervisor.driver import BOOM, REASONS, never_started
from tests.unit.supervisor.otp_model import Deed, Model

Incarnation = tuple[str, int]
IDS = ("a", "b", "c", "d", "x")


@st.composite
def child_specs(draw: st.DrawFn, flags: Flags, id: str) -> ChildSpec:
    restart = draw(st.sampled_from(Restart))
    may_matter = flags.auto_shutdown is not AutoShutdown.NEVER and restart is not Restart.PERMANENT
    extended = draw(st.booleans())
    spec = ChildSpec(
        id=id,
        start=never_started,
        restart=restart,
        shutdown=draw(st.sampled_from([None, 0.5, INFINITY, ABANDON])),
        significant=may_matter and draw(st.booleans()),
        backoff=draw(st.sampled_from([None, Backoff(stable_s=10.0)])) if extended else None,
        quarantine=draw(st.sampled_from([None, Quarantine(restarts=1, period_s=5.0, release_s=4.0)]))
        if extended
        else None,
    )
    return check_child_spec(spec, flags.auto_shutdown)


@st.composite
def all_flags(draw: st.DrawFn) -> Flags:
    strategy = draw(st.sampled_from(Strategy))
    independent = strategy is Strategy.ONE_FOR_ONE and draw(st.booleans())
    flags = Flags(
        strategy=strategy,
        intensity=draw(st.sampled_from([0, 1, 3, 100])),
        period_s=5.0,
        auto_shutdown=draw(st.sampled_from(AutoShutdown)),
        independent=independent,
        stagger=draw(st.sampled_from([None, Stagger(at_once=1), Stagger(at_once=2)])) if independent else None,
    )
    check_flags(flags)
    return flags


class World:
    """What is true outside the supervisor: moved by its effects and by chance, it knows no rule of supervision but the
    laws that always hold."""

    def __init__(self, flags: Flags) -> None:
        self.flags = flags
        self.living: dict[Incarnation, str] = {}
        """Processes: starting, up, told (to end) or killed."""
        self.outcomes: Counter[Incarnation] = Counter()
        self.launched: list[Incarnation] = []
        self.clocks: set[Incarnation] = set()
        self.delays: set[Incarnation] = set()
        self.deferred: list[Event] = []
        self.asked: set[int] = set()
        self.answered: Counter[int] = Counter()
        self.booted = False
        self.exit: ExitReason | None = None

    def of(self, id: str) -> list[Incarnation]:
        return [known for known in self.living if known[0] == id]

    def perform(self, effect: Effect) -> None:
        assert self.exit is None or isinstance(effect, Reply), "Exit is the last thing that is done"
        match effect:
            case Launch(spec, incarnation):
                assert not self.of(spec.id), "a child never has two processes"
                starting = [known for known, how in self.living.items() if how == "starting"]
                if not self.flags.independent:
                    assert not starting, "one after another"
                if self.flags.stagger is not None:
                    assert len(starting) < self.flags.stagger.at_once
                self.living[spec.id, incarnation] = "starting"
                self.launched.append((spec.id, incarnation))
            case SignalShutdown(spec, incarnation):
                known = (spec.id, incarnation)
                assert self.living[known] in ("starting", "up"), "told once, while it lives"
                assert spec.patience is not ABANDON
                self.living[known] = "told"
                if spec.patience != INFINITY:
                    self.clocks.add(known)
            case KillChild(id, incarnation):
                assert self.living[id, incarnation] != "killed"
                self.living[id, incarnation] = "killed"
            case Defer(event):
                self.deferred.append(event)
            case DelayRestart(spec, incarnation) | Park(spec, incarnation):
                assert not self.of(spec.id)
                self.delays = {known for known in self.delays if known[0] != spec.id} | {(spec.id, incarnation)}
            case Reply(to) | Count(to):
                assert isinstance(to, int)
                assert to in self.asked
                self.answered[to] += 1
            case Booted():
                assert not self.booted
                self.booted = True
            case Exit(reason):
                assert not self.living, "no process is left"
                self.exit = reason

    def gone(self, known: Incarnation) -> None:
        del self.living[known]
        self.outcomes[known] += 1
        self.clocks.discard(known)


def deed(effect: Effect) -> Deed:
    """An effect in the words of the model."""
    match effect:
        case Launch(spec, incarnation):
            return "launch", spec.id, incarnation
        case SignalShutdown(spec, incarnation):
            return "tell", spec.id, incarnation
        case KillChild(id, incarnation):
            return "kill", id, incarnation
        case Defer(event):
            return "again", event.id
        case DelayRestart(spec, incarnation, attempt):
            return "delay", spec.id, incarnation, attempt
        case Park(spec, incarnation):
            return "park", spec.id, incarnation
        case Booted():
            return ("booted",)
        case Exit(reason):
            return "exit", reason
        case Count(to, children):
            return "reply", to, "count", tuple(view.id for view in children)
        case Reply(to, answer):
            return "reply", to, *said(answer)


def said(answer: Any) -> Deed:
    match answer:
        case Done(id=id, incarnation=incarnation):
            return "done", id, incarnation
        case Refused(why=why):
            return "refused", why.value
        case Children(children):
            return "children", tuple((view.id, view.phase.value) for view in children)
        case SpecOf(spec):
            return "spec", spec.id
        case Ended(reason):
            return "ended", reason
        case _:
            raise AssertionError(answer)


def sorted_out(deeds: list[Deed]) -> tuple[list[Deed], set[Deed]]:
    """What is done, in order, and the answers, whose order says nothing."""
    return [each for each in deeds if each[0] != "reply"], {each for each in deeds if each[0] == "reply"}


class Supervision(RuleBasedStateMachine):
    """Every event goes to the core and to the model, which have to do the same."""

    @initialize(data=st.data(), flags=all_flags(), many=st.integers(0, 4))
    def begins(self, data: st.DataObject, flags: Flags, many: int) -> None:
        dynamic = flags.strategy is Strategy.DYNAMIC
        ids = ("t",) if dynamic else IDS[:many]
        specs = [data.draw(child_specs(flags, name)) for name in ids]
        self.flags, self.now, self.questions, self.put_in = flags, 100.0, 0, 0
        self.world, self.model, self.state = World(flags), Model(flags, specs), core.begin(flags, specs)
        self.ids = [spec.id for spec in specs]
        self.hear(Begin())

    def hear(self, event: Event) -> None:
        if self.world.exit is not None:
            return  # the actor is gone
        self.put_in += 1
        self.state, effects = core.step(self.state, event, self.now)
        for effect in effects:
            self.world.perform(effect)
        done, answers = sorted_out([deed(effect) for effect in effects])
        expected, expected_answers = sorted_out(self.model.hear(event, self.now))
        assert done == expected
        assert answers == expected_answers

    # -- what can happen --

    def one(self, data: st.DataObject, *how: str) -> Incarnation | None:
        those = sorted(known for known, state in self.world.living.items() if state in how)
        return data.draw(st.sampled_from(those)) if those else None

    @rule(data=st.data())
    def a_child_comes_up(self, data: st.DataObject) -> None:
        if (known := self.one(data, "starting")) is not None:
            self.world.living[known] = "up"
            self.hear(Started(*known))

    @rule(data=st.data())
    def a_child_comes_up_too_late(self, data: st.DataObject) -> None:
        if (known := self.one(data, "told")) is not None:
            self.hear(Started(*known))

    @rule(data=st.data(), rarely=st.integers(0, 2))
    def a_start_is_ignored(self, data: st.DataObject, rarely: int) -> None:
        if rarely == 0 and (known := self.one(data, "starting")) is not None:
            self.world.gone(known)
            self.hear(Ignored(*known))

    @rule(data=st.data(), reason=st.sampled_from(REASONS))
    def a_child_ends(self, data: st.DataObject, reason: ExitReason) -> None:
        if (known := self.one(data, "starting", "up", "told", "killed")) is not None:
            self.world.gone(known)
            self.hear(Exited(*known, reason))

    @rule(data=st.data())
    def a_child_crashes(self, data: st.DataObject) -> None:
        if (known := self.one(data, "up")) is not None:
            self.world.gone(known)
            self.hear(Exited(*known, BOOM))

    @rule(data=st.data(), reason=st.sampled_from(REASONS))
    def a_child_ends_as_it_was_told(self, data: st.DataObject, reason: ExitReason) -> None:
        if (known := self.one(data, "told", "killed")) is not None:
            self.world.gone(known)
            self.hear(Exited(*known, reason))

    @rule(data=st.data())
    def a_child_takes_too_long_to_end(self, data: st.DataObject) -> None:
        if self.world.clocks:
            known = data.draw(st.sampled_from(sorted(self.world.clocks)))
            self.world.clocks.discard(known)
            self.hear(TimedOut(*known))

    @rule(data=st.data())
    def a_restart_is_due(self, data: st.DataObject) -> None:
        if self.world.delays:
            known = data.draw(st.sampled_from(sorted(self.world.delays)))
            self.world.delays.discard(known)
            self.hear(RestartDue(*known))

    @rule()
    def it_tries_again(self) -> None:
        if self.world.deferred:
            self.hear(self.world.deferred.pop(0))

    @rule(data=st.data())
    def a_timer_of_the_past_comes(self, data: st.DataObject) -> None:
        past = [known for known in self.world.launched if known not in self.world.living]
        if past:
            known = data.draw(st.sampled_from(past))
            self.hear(TimedOut(*known))

    @rule(data=st.data())
    def somebody_asks(self, data: st.DataObject) -> None:
        ids = st.sampled_from(self.ids if self.flags.strategy is Strategy.DYNAMIC else IDS)
        started = [*self.world.launched, ("nobody", 1)]
        processes = st.sampled_from(started).map(lambda known: Process(*known, alive=known in self.world.living))
        targets = ids | processes
        starts = st.just(StartChild(None)) | ids.flatmap(lambda name: child_specs(self.flags, name)).map(StartChild)
        request = data.draw(
            st.one_of(
                starts,
                targets.map(TerminateChild),
                ids.map(RestartChild),
                ids.map(DeleteChild),
                targets.map(GetChildSpec),
                st.just(WhichChildren()),
                st.just(CountChildren()),
            )
        )
        if self.world.exit is None:
            self.questions += 1
            self.world.asked.add(self.questions)
            self.hear(Asked(request, self.questions))

    @rule(seconds=st.sampled_from([0.5, 5.0, 5.0, 5.5, 40.0]))
    def time_passes(self, seconds: float) -> None:
        self.now += seconds

    @rule(often=st.integers(0, 24), reason=st.sampled_from(REASONS))
    def it_is_told_to_end(self, often: int, reason: ExitReason) -> None:
        if often == 0:
            self.hear(Stop(reason))

    # -- what always holds --

    @invariant()
    def no_child_is_lost_or_doubled(self) -> None:
        kids = {kid.id: (kid.state, kid.number) for kid in self.model.kids}
        assert len(kids) == len(self.model.kids)
        assert list(self.state.children) == list(kids)
        assert {name: (c.phase.value, c.incarnation) for name, c in self.state.children.items()} == kids
        assert {known[0] for known in self.world.living} <= kids.keys()

    @invariant()
    def what_waits_waits_for_something_and_is_no_more_than_was_put_in(self) -> None:
        assert len(self.state.mailbox) <= self.put_in
        assert self.state.works or not self.state.mailbox
        assert all(work.waiting or work.start for work in self.state.works), "nobody waits for nothing"
        if self.flags.stagger is None:
            assert all(work.waiting for work in self.state.works)

    @invariant()
    def no_two_works_concern_the_same_child(self) -> None:
        concerned = [{*work.waiting, *work.start, *work.stop} for work in self.state.works]
        assert sum(map(len, concerned)) == len(set().union(*concerned))
        assert self.flags.independent or len(concerned) <= 1

    @invariant()
    def every_request_is_answered_once_at_most(self) -> None:
        assert set(self.world.answered.values()) <= {1}

    def teardown(self) -> None:
        """However it got here: told to end, it ends, all its children with it, and nobody waits for an answer."""
        if not hasattr(self, "world"):
            return
        self.hear(Stop(Shutdown()))
        while self.world.exit is None:
            known = min(known for known, how in self.world.living.items() if how in ("told", "killed"))
            self.world.gone(known)
            self.hear(Exited(*known, Shutdown()))
            self.what_waits_waits_for_something_and_is_no_more_than_was_put_in()
        assert self.world.answered.keys() == self.world.asked
        assert not self.state.works
        assert not self.state.mailbox
        assert self.world.outcomes == Counter(self.world.launched), "each had one end, and it was heard"


TestSupervision = Supervision.TestCase
TestSupervision.settings = settings(max_examples=400, stateful_step_count=60, deadline=None)
