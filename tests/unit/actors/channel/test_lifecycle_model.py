"""The life of a channel against ports that do whatever a port can do, at any moment."""

from dataclasses import dataclass, replace
from enum import Enum

import hypothesis.strategies as st
from hypothesis import settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from actors.channel import life as words
from actors.channel.life import IdleCheckDue, PatienceOver, PortPhase, RetryDue, SuspendedBy
from actors.channel.machine import WANTS_PORT
from protocol import port_events
from protocol.channel import ChannelState as S
from protocol.channel import WantedState
from tests.unit.actors.channel.story import PAIRED, POLICY, UP, Story, exited, qr


class Stage(Enum):
    """How far a port has come, which decides what it can say."""

    UNPAIRED = "unpaired"
    PAIRED = "paired"
    USELESS = "useless"
    """It will say nothing more but that it ended."""


@dataclass
class ModelPort:
    """One port: ``known`` once the channel was told that it opened."""

    incarnation: int
    stage: Stage
    known: bool = False
    keep_alives_missed: int = 0


LAST_WORDS: list[port_events.PortEvent] = [
    port_events.Replaced(),
    port_events.Banned(code=101, expires_in_s=60.0),
    port_events.Outdated(),
    port_events.ConnectRefused(reason="500"),
    port_events.StoreUnusable(reason="x.db"),
    port_events.LoggedOut(reason="401"),
]
AT = Story().now.wall
RARELY = st.sampled_from([True, False, False, False, False, False])
"""People do not ask all the time: else no port would come far."""


class Lifecycle(RuleBasedStateMachine):
    """``paired``: whether the session store holds credentials; ``model``: the port that is there or being opened;
    ``ghosts``: ports that ended before the channel was told that they had opened; ``sleeper``: who has suspended it.
    """

    @initialize(
        paired=st.booleans(),
        max_attempts=st.sampled_from([0, 3]),
        lazy=st.booleans(),
        idle_after_s=st.sampled_from([0.0, 300.0]),
        wanted=st.sampled_from(WantedState),
        again=st.booleans(),
    )
    def begin(
        self, paired: bool, max_attempts: int, lazy: bool, idle_after_s: float, wanted: WantedState, again: bool
    ) -> None:
        policy = replace(POLICY, max_attempts=max_attempts, lazy=lazy, idle_after_s=idle_after_s)
        self.story = Story(policy=policy)
        self.paired = paired
        self.model: ModelPort | None = None
        self.ghosts: set[int] = set()
        self.sleeper: SuspendedBy | None = None
        if wanted is WantedState.SUSPENDED:
            self.sleeper = SuspendedBy.OPERATOR
        elif wanted is WantedState.CONNECTED and lazy and not again:
            self.sleeper = SuspendedBy.POLICY
        self.do(words.Began(wanted, again))
        assert (self.story.state is S.INITIALIZING) == (wanted is WantedState.CONNECTED and self.sleeper is None)

    def do(self, event: words.LifeEvent) -> None:
        for effect in self.story.do(event):
            match effect:
                case words.OpenPort(incarnation=incarnation):
                    assert self.model is None, "at most one port"
                    self.model = ModelPort(incarnation, Stage.PAIRED if self.paired else Stage.UNPAIRED)
                case words.ClosePort(incarnation=incarnation):
                    if incarnation in self.ghosts:
                        continue
                    assert self.model is not None
                    assert (self.model.incarnation, self.model.known) == (incarnation, True)
                case words.ProbePort(incarnation=incarnation):
                    assert self.model is not None
                    assert self.model.incarnation == incarnation

    def say(self, event: port_events.PortEvent) -> None:
        assert self.model is not None
        self.do(words.FromPort(self.model.incarnation, event))

    @property
    def speaks(self) -> bool:
        return self.model is not None and self.model.stage is not Stage.USELESS

    # -- what ports do --

    @precondition(lambda self: self.model is not None and not self.model.known)
    @rule()
    def the_port_is_open(self) -> None:
        assert self.model is not None
        self.model.known = True
        self.do(words.PortOpened(self.model.incarnation))

    @precondition(lambda self: self.model is not None and not self.model.known)
    @rule()
    def the_port_cannot_be_opened(self) -> None:
        assert self.model is not None
        incarnation, self.model = self.model.incarnation, None
        self.do(words.PortNotOpened(incarnation, "the nursery is away"))

    @precondition(lambda self: self.model is not None)
    @rule()
    def the_port_ends(self) -> None:
        assert self.model is not None
        ended, self.model = self.model, None
        if not ended.known:
            self.ghosts.add(ended.incarnation)
        self.do(words.FromPort(ended.incarnation, exited()))

    @precondition(lambda self: self.ghosts)
    @rule(opened=st.booleans())
    def news_come_of_the_opening_of_a_port_that_has_ended(self, opened: bool) -> None:
        incarnation, before = min(self.ghosts), self.story.life
        self.do(words.PortOpened(incarnation) if opened else words.PortNotOpened(incarnation, "it died"))
        self.ghosts.discard(incarnation)
        assert self.story.life == before

    @precondition(lambda self: self.speaks and self.model.stage is Stage.UNPAIRED)
    @rule(number=st.integers(1, 3))
    def codes_are_shown(self, number: int) -> None:
        for _ in range(number):
            self.say(qr(number))

    @precondition(lambda self: self.speaks and self.model.stage is Stage.UNPAIRED)
    @rule()
    def a_phone_accepts(self) -> None:
        assert self.model is not None
        self.say(qr())
        if self.speaks:
            self.paired = True
            self.model.stage = Stage.PAIRED
            self.say(PAIRED)

    @precondition(lambda self: self.speaks and self.model.stage is Stage.UNPAIRED)
    @rule(status=st.sampled_from(["timeout", "client_outdated", "refused", "unexpected"]))
    def pairing_fails(self, status: str) -> None:
        assert self.model is not None
        self.model.stage = Stage.USELESS
        self.say(port_events.PairingFailed(status=status))  # type: ignore[arg-type]  # drawn from its literals

    @precondition(lambda self: self.speaks and self.model.stage is Stage.PAIRED)
    @rule()
    def the_port_connects(self) -> None:
        assert self.model is not None
        self.model.keep_alives_missed = 0
        self.say(UP)

    @precondition(lambda self: self.speaks and self.model.stage is Stage.PAIRED)
    @rule(
        event=st.sampled_from(
            [
                port_events.Disconnected(),
                port_events.StreamFailed(code="503"),
                port_events.KeepAliveRestored(),
                port_events.BacklogAnnounced(messages=1, receipts=0),
                port_events.BacklogDelivered(count=1),
                port_events.Record(number=1, what=port_events.Undecryptable(wa_id="A", chat="c", sender="s", at=AT)),
            ]
        )
    )
    def something_happens_to_the_socket(self, event: port_events.PortEvent) -> None:
        self.say(event)

    @precondition(lambda self: self.speaks and self.model.stage is Stage.PAIRED)
    @rule()
    def a_keep_alive_is_missed(self) -> None:
        assert self.model is not None
        self.model.keep_alives_missed += 1
        self.say(port_events.KeepAliveMissed(count=self.model.keep_alives_missed))

    @precondition(lambda self: self.speaks)
    @rule(event=st.sampled_from(LAST_WORDS), now=RARELY)
    def the_port_says_its_last_words(self, event: port_events.PortEvent, now: bool) -> None:
        if not now:
            return
        assert self.model is not None
        self.model.stage = Stage.USELESS
        self.paired = self.paired and not isinstance(event, port_events.LoggedOut)
        self.say(event)

    @rule(event=st.sampled_from([UP, qr(), PAIRED, exited(), port_events.Disconnected(), port_events.Replaced()]))
    def an_old_port_speaks(self, event: port_events.PortEvent) -> None:
        old = self.story.life.incarnation - 1
        before = self.story.life
        self.do(words.FromPort(old, event))
        assert self.story.life == before

    @precondition(lambda self: self.model is not None and self.model.stage is not Stage.USELESS)
    @rule()
    def all_goes_well(self) -> None:
        assert self.model is not None
        if not self.model.known:
            self.the_port_is_open()
        if self.speaks and self.model is not None and self.model.stage is Stage.UNPAIRED:
            self.a_phone_accepts()
        if self.speaks and self.story.life.phase is PortPhase.UP and not self.story.life.connected:
            self.the_port_connects()
            assert self.story.life.connected

    # -- what people and time do --

    @rule(now=RARELY)
    def somebody_asks_to_connect(self, now: bool) -> None:
        if now or self.story.state not in WANTS_PORT:
            self.sleeper = None
            self.do(words.Open())
            assert self.story.state is self.opened_state

    @rule(now=RARELY)
    def somebody_asks_to_disconnect(self, now: bool) -> None:
        if now:
            self.sleeper = None
            self.do(words.Close())

    @rule(now=RARELY)
    def somebody_suspends_it(self, now: bool) -> None:
        if now:
            self.sleeper = SuspendedBy.OPERATOR if self.story.state is not S.LOGGED_OUT else None
            self.do(words.Sleep())

    @rule()
    def a_command_waits(self) -> None:
        before, asleep = self.story.life, self.sleeper is SuspendedBy.POLICY
        self.sleeper = None if asleep else self.sleeper
        self.do(words.CommandWaits())
        assert self.story.state is self.opened_state if asleep else self.story.life == before

    @rule(now=RARELY)
    def somebody_logged_it_out(self, now: bool) -> None:
        if now:
            self.paired = False
            self.sleeper = None
            self.do(words.LoggedOutByUs())
            assert self.story.state is S.LOGGED_OUT

    @precondition(lambda self: self.story.timers)
    @rule(quiet_s=st.sampled_from([0.0, 299.0, 300.0, float("inf")]), busy=st.booleans())
    def the_next_timer_is_due(self, quiet_s: float, busy: bool) -> None:
        timers = self.story.timers
        kind = min(timers, key=lambda kind: timers[kind])
        self.story.seconds = max(self.story.seconds, timers.pop(kind))
        if kind is not IdleCheckDue:
            self.do(kind())
            return
        if not busy and quiet_s >= 300.0:
            self.sleeper = SuspendedBy.POLICY
        self.do(words.IdleChecked(quiet_s, busy))

    @rule(seconds=st.floats(0.0, 60.0))
    def time_passes(self, seconds: float) -> None:
        latest = min(self.story.timers.values(), default=float("inf"))
        self.story.seconds = min(self.story.seconds + seconds, latest)

    # -- the store --

    @property
    def opened_state(self) -> S:
        return S.INITIALIZING if self.story.life.trouble is None else S.ERROR

    @rule(now=RARELY, reason=st.sampled_from(["disk full", "locked"]))
    def nothing_can_be_stored(self, now: bool, reason: str) -> None:
        if not now:
            return
        wanted = self.story.state in WANTS_PORT or self.story.life.halted
        before = self.story.state
        self.do(words.StoreFailed(reason))
        assert self.story.state is (S.ERROR if wanted else before)
        if wanted:
            assert self.story.reason == f"cannot store: {reason}"

    @precondition(lambda self: self.story.life.trouble is not None)
    @rule()
    def it_can_be_stored_again(self) -> None:
        before = self.story.life
        self.do(words.StoreWorks())
        assert self.story.state is (S.INITIALIZING if before.halted else before.state)

    # -- what always holds --

    @invariant()
    def no_port_is_wanted_while_nothing_can_be_stored(self) -> None:
        life = self.story.life
        if life.trouble is not None:
            assert life.state not in WANTS_PORT
        assert not life.halted or (life.state is S.ERROR and life.trouble is not None)

    @invariant()
    def the_channel_knows_its_port(self) -> None:
        phase = self.story.life.phase
        if self.model is None:
            assert phase is PortPhase.ABSENT
        elif self.model.known:
            assert phase in (PortPhase.UP, PortPhase.CLOSING)
        else:
            assert phase in (PortPhase.OPENING, PortPhase.CLOSING)
        if phase is PortPhase.CLOSING and self.model is not None and self.model.known:
            assert any(closed.incarnation == self.model.incarnation for closed in self.story.closed)

    @invariant()
    def a_wanted_port_is_there_or_will_be(self) -> None:
        life, timers = self.story.life, self.story.timers
        if life.state not in WANTS_PORT:
            assert life.phase in (PortPhase.ABSENT, PortPhase.CLOSING)
            assert timers == {}
            assert life.next_retry_at is None
            return
        assert life.phase is not PortPhase.ABSENT or RetryDue in timers
        assert (RetryDue in timers) == (life.next_retry_at is not None)
        assert (IdleCheckDue in timers) == (life.state is S.CONNECTED and self.story.policy.idle_after_s > 0)
        spoke = life.state in (S.QR_REQUIRED, S.PAIRING, S.CONNECTED) or life.connected_since is not None
        if life.phase is PortPhase.UP or (life.phase is PortPhase.OPENING and spoke):
            assert (PatienceOver in timers) == (life.state is not S.CONNECTED), "nobody waits for ever"
        else:
            assert PatienceOver not in timers

    @invariant()
    def it_is_suspended_by_whoever_suspended_it(self) -> None:
        assert self.story.life.suspended_by is self.sleeper
        assert (self.story.state is S.SUSPENDED) == (self.sleeper is not None)

    @invariant()
    def a_code_is_shown_only_while_one_is_wanted(self) -> None:
        assert (self.story.life.qr is not None) == (self.story.state is S.QR_REQUIRED)

    @invariant()
    def messages_flow_only_through_an_open_port(self) -> None:
        if self.story.life.connected:
            assert self.model is not None
            assert self.model.known

    def teardown(self) -> None:
        """Whatever happened: asked to connect, with ports that work, it connects."""
        if not hasattr(self, "story"):
            return
        self.do(words.StoreWorks())
        self.do(words.Open())
        for _ in range(3):
            if self.model is not None and not self.model.known:
                self.the_port_is_open()
            if self.story.life.phase is PortPhase.CLOSING:
                self.the_port_ends()
        assert self.model is not None
        self.model.stage = Stage.PAIRED
        self.say(UP)
        assert self.story.life.connected


TestLifecycle = Lifecycle.TestCase
TestLifecycle.settings = settings(max_examples=200, stateful_step_count=60, deadline=None)
