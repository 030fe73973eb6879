"""The core against an independent model of OTP's supervisor, and a world of children that do as chance has it."""

from collections import Counter

import hypothesis.strategies as st
from hypothesis import settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from supervisor import core
from supervisor.api import (
    CountChildren,
    DeleteChild,
    GetChildSpec,
    Process,
    RestartChild,
    StartChild,
    TerminateChild,
    WhichChildren,
)
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
    SignalShutdown,
    Started,
    Stop,
    TimedOut,
)
from tests.unit.supervisor.deeds import deed, sorted_out
from tests.unit.supervisor.driver import BOOM, REASONS, never_started
from tests.unit.supervisor.otp_model import Model

Incarnation = tuple[str, int]
IDS = ("a", "b", "c", "d", "x")
BACKOFF = Backoff(stable_s=10.0)
QUARANTINE = Quarantine(restarts=1, period_s=5.0, release_s=4.0)


@st.composite
def child_specs(draw: st.DrawFn, flags: Flags, id: str) -> ChildSpec:
    restart = draw(st.sampled_from(Restart))
    may_matter = flags.auto_shutdown is not AutoShutdown.NEVER and restart is not Restart.PERMANENT
    extensions = [(None, QUARANTINE), (BACKOFF, None), (BACKOFF, QUARANTINE), (None, None), (None, None), (None, None)]
    backoff, quarantine = draw(st.sampled_from(extensions))
    spec = ChildSpec(
        id=id,
        start=never_started,
        restart=restart,
        shutdown=draw(st.sampled_from([None, 0.5, INFINITY, ABANDON])),
        significant=may_matter and draw(st.booleans()),
        backoff=backoff,
        quarantine=quarantine,
    )
    return check_child_spec(spec, flags.auto_shutdown)


@st.composite
def all_flags(draw: st.DrawFn) -> Flags:
    strategy = draw(st.sampled_from(Strategy))
    independent = strategy is Strategy.ONE_FOR_ONE and draw(st.booleans())
    flags = Flags(
        strategy=strategy,
        intensity=draw(st.sampled_from([100, 3, 1, 0])),
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


class Supervision(RuleBasedStateMachine):
    """Every event goes to the core and to the model, which have to do the same."""

    @initialize(data=st.data(), flags=all_flags(), many=st.sampled_from([3, 4, 2, 1, 0]))
    def begins(self, data: st.DataObject, flags: Flags, many: int) -> None:
        ids = ("t",) if flags.strategy is Strategy.DYNAMIC else IDS[:many]
        self.flags, self.now, self.questions = flags, 100.0, 0
        self.specs = [data.draw(child_specs(flags, name)) for name in ids]
        self.begin()

    def begin(self) -> None:
        self.put_in = 0
        self.world, self.state = World(self.flags), core.begin(self.flags, self.specs)
        self.model = Model(self.flags, self.specs)
        self.hear(Begin())

    def hear(self, event: Event) -> None:
        if self.world.exit is not None:
            return  # nobody is there any more
        self.put_in += 1
        self.state, effects = core.step(self.state, event, self.now)
        for effect in effects:
            self.world.perform(effect)
        done, answers = sorted_out([deed(effect) for effect in effects])
        expected, expected_answers = sorted_out(self.model.hear(event, self.now))
        assert done == expected
        assert answers == expected_answers

    # -- what can happen --

    def those(self, *how: str) -> list[Incarnation]:
        return sorted(known for known, state in self.world.living.items() if state in how)

    def ends(self, known: Incarnation, reason: ExitReason) -> None:
        self.world.gone(known)
        self.hear(Exited(*known, reason))

    @precondition(lambda self: self.those("starting"))
    @rule(data=st.data())
    def a_child_comes_up(self, data: st.DataObject) -> None:
        known = data.draw(st.sampled_from(self.those("starting")))
        self.world.living[known] = "up"
        self.hear(Started(*known))

    @precondition(lambda self: self.those("starting"))
    @rule(data=st.data(), chance=st.integers(0, 5), reason=st.sampled_from(REASONS))
    def a_start_goes_otherwise(self, data: st.DataObject, chance: int, reason: ExitReason) -> None:
        known = data.draw(st.sampled_from(self.those("starting")))
        if chance == 0:
            self.world.gone(known)
            self.hear(Ignored(*known))
        elif chance == 1 or self.world.booted:
            self.ends(known, reason)

    @precondition(lambda self: self.those("up"))
    @rule(data=st.data(), reason=st.sampled_from([*REASONS, BOOM]))
    def a_child_ends_by_itself(self, data: st.DataObject, reason: ExitReason) -> None:
        self.ends(data.draw(st.sampled_from(self.those("up"))), reason)

    @precondition(lambda self: self.those("up"))
    @rule()
    def the_first_child_crashes(self) -> None:
        self.ends(self.those("up")[0], BOOM)

    @precondition(lambda self: self.those("starting"))
    @rule()
    def all_that_are_starting_come_up(self) -> None:
        while (starting := self.those("starting")) and self.world.exit is None:
            self.world.living[starting[0]] = "up"
            self.hear(Started(*starting[0]))

    @precondition(lambda self: self.those("told", "killed"))
    @rule(data=st.data(), reason=st.sampled_from(REASONS))
    def a_child_ends_as_it_was_told(self, data: st.DataObject, reason: ExitReason) -> None:
        self.ends(data.draw(st.sampled_from(self.those("told", "killed"))), reason)

    @precondition(lambda self: self.those("told"))
    @rule(data=st.data())
    def a_child_comes_up_too_late(self, data: st.DataObject) -> None:
        self.hear(Started(*data.draw(st.sampled_from(self.those("told")))))

    @precondition(lambda self: self.world.clocks)
    @rule(data=st.data())
    def a_child_takes_too_long_to_end(self, data: st.DataObject) -> None:
        known = data.draw(st.sampled_from(sorted(self.world.clocks)))
        self.world.clocks.discard(known)
        self.hear(TimedOut(*known))

    @precondition(lambda self: self.world.delays)
    @rule(data=st.data())
    def a_restart_is_due(self, data: st.DataObject) -> None:
        known = data.draw(st.sampled_from(sorted(self.world.delays)))
        self.world.delays.discard(known)
        self.hear(RestartDue(*known))

    @precondition(lambda self: self.world.deferred)
    @rule()
    def it_tries_again(self) -> None:
        self.hear(self.world.deferred.pop(0))

    @precondition(lambda self: self.world.launched)
    @rule(data=st.data(), chance=st.integers(0, 5))
    def a_timer_of_the_past_comes(self, data: st.DataObject, chance: int) -> None:
        known = data.draw(st.sampled_from(self.world.launched))
        if known not in self.world.living and chance >= 4:
            self.hear(TimedOut(*known) if chance == 4 else RestartDue(*known))

    @rule(data=st.data())
    def somebody_asks(self, data: st.DataObject) -> None:
        ids = st.sampled_from([*self.state.children, *self.state.children, "t", "x"])
        known = st.sampled_from([*self.world.launched[-8:], ("nobody", 1)])
        processes = known.map(lambda known: Process(*known, alive=known in self.world.living))
        targets = ids | processes
        specs = st.sampled_from(IDS).flatmap(lambda name: child_specs(self.flags, name))
        request = data.draw(
            st.one_of(
                specs.map(StartChild),
                targets.map(TerminateChild),
                ids.map(RestartChild),
                ids.map(RestartChild),
                ids.map(DeleteChild),
                targets.map(GetChildSpec),
                st.sampled_from([WhichChildren(), CountChildren(), StartChild(None)]),
            )
        )
        if self.world.exit is None:
            self.questions += 1
            self.world.asked.add(self.questions)
            self.hear(Asked(request, self.questions))

    @rule(seconds=st.sampled_from([0.5, 5.0, 5.5, 40.0]))
    def time_passes(self, seconds: float) -> None:
        self.now += seconds

    @precondition(lambda self: self.world.exit is None)
    @rule(chance=st.integers(0, 39), reason=st.sampled_from(REASONS))
    def it_is_told_to_end(self, chance: int, reason: ExitReason) -> None:
        if chance == 39:
            self.hear(Stop(reason))

    @precondition(lambda self: self.world.exit is not None)
    @rule()
    def it_begins_anew(self) -> None:
        self.nothing_is_left()
        self.begin()

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

    def nothing_is_left(self) -> None:
        assert self.world.answered.keys() == self.world.asked
        assert not self.state.works
        assert not self.state.mailbox
        assert self.world.outcomes == Counter(self.world.launched), "each had one end, and it was heard"

    def teardown(self) -> None:
        """However it got here: told to end, it ends, all its children with it, and nobody waits for an answer."""
        if not hasattr(self, "world"):
            return
        if self.world.exit is None:
            self.hear(Stop(Shutdown()))
        while self.world.exit is None:
            self.ends(self.those("told", "killed")[0], Shutdown())
            self.what_waits_waits_for_something_and_is_no_more_than_was_put_in()
        self.nothing_is_left()


TestSupervision = Supervision.TestCase
TestSupervision.settings = settings(max_examples=300, stateful_step_count=100, deadline=None)
