"""Channels that are lazy, idle, or suspended by an operator: who sleeps, why, and who wakes them."""

from dataclasses import replace

import pytest

from actors.channel import life as words
from actors.channel import views
from actors.channel.life import ClosePort, IdleCheckDue, PortPhase, SuspendedBy
from actors.channel.machine import WANTS_PORT
from protocol import port_events
from protocol.channel import ChannelState as S
from protocol.channel import WantedState
from supervisor.breaker import BreakerState
from tests.unit.actors.channel.home import RECORD
from tests.unit.actors.channel.story import POLICY, UP, Story
from tests.unit.actors.channel.test_lifecycle import BEGINNINGS

IDLE_AFTER_S = 300.0


@pytest.fixture
def story() -> Story:
    return Story()


@pytest.fixture
def lazy() -> Story:
    return Story(policy=replace(POLICY, lazy=True))


@pytest.fixture
def tiring() -> Story:
    return Story(policy=replace(POLICY, idle_after_s=IDLE_AFTER_S))


# -- how it begins --


@pytest.mark.parametrize(
    ("lazily", "wanted", "state", "by", "reason"),
    [
        (False, WantedState.CONNECTED, S.INITIALIZING, None, "starting"),
        (True, WantedState.CONNECTED, S.SUSPENDED, SuspendedBy.POLICY, "lazy: waits for a send or connect"),
        (False, WantedState.DISCONNECTED, S.DISCONNECTED, None, "requested before a restart"),
        (True, WantedState.DISCONNECTED, S.DISCONNECTED, None, "requested before a restart"),
        (False, WantedState.SUSPENDED, S.SUSPENDED, SuspendedBy.OPERATOR, "requested before a restart"),
        (True, WantedState.SUSPENDED, S.SUSPENDED, SuspendedBy.OPERATOR, "requested before a restart"),
    ],
)
def test_a_channel_begins_as_it_is_wanted_and_as_the_policy_says(
    lazily: bool, wanted: WantedState, state: S, by: SuspendedBy | None, reason: str
) -> None:
    story = Story(policy=replace(POLICY, lazy=lazily)).begun(wanted)
    assert (story.state, story.life.suspended_by, story.reason) == (state, by, reason)
    assert story.opened == ([1] if state is S.INITIALIZING else [])
    assert story.timers == {}


@pytest.mark.parametrize(
    ("wanted", "state"),
    [
        (WantedState.CONNECTED, S.INITIALIZING),
        (WantedState.DISCONNECTED, S.DISCONNECTED),
        (WantedState.SUSPENDED, S.SUSPENDED),
    ],
)
def test_a_lazy_channel_whose_actor_crashed_while_a_port_was_needed_is_not_left_asleep(
    lazy: Story, wanted: WantedState, state: S
) -> None:
    lazy.do(words.Began(wanted, again=True))
    assert lazy.state is state


def test_a_channel_that_nobody_has_shown_begins_as_its_record_says() -> None:
    assert words.began(RECORD, None) == words.Began(RECORD.wanted, again=False)


@pytest.mark.parametrize("state", S)
def test_its_successor_begins_as_asked_and_knows_whether_a_port_was_needed(state: S) -> None:
    life = replace(Story().life, state=state)
    shown = views.snapshot(
        RECORD,
        life,
        wanted=WantedState.SUSPENDED,
        sending_breaker=BreakerState.CLOSED,
        queued=0,
        last_activity_at=None,
    )
    assert words.began(RECORD, shown) == words.Began(WantedState.SUSPENDED, again=state in WANTS_PORT)


# -- who wakes it --


@pytest.mark.parametrize(
    ("event", "reason"),
    [(words.CommandWaits(), "a command waits"), (words.Open(), "requested"), (words.Open("resumed"), "resumed")],
)
def test_a_lazy_channel_is_woken_by_a_command_or_an_operator(lazy: Story, event: words.LifeEvent, reason: str) -> None:
    lazy.begun().do(event)
    assert (lazy.state, lazy.reason, lazy.opened) == (S.INITIALIZING, reason, [1])
    assert lazy.life.suspended_by is None
    lazy.port_opened().said(UP)
    assert lazy.state is S.CONNECTED


def test_a_command_does_not_wake_what_an_operator_suspended(story: Story) -> None:
    story.connected().do(words.Sleep())
    story.port_exited()
    before = story.life
    assert story.do(words.CommandWaits()) == []
    assert story.life == before
    story.do(words.Open("resumed"))
    assert (story.state, story.opened) == (S.INITIALIZING, [1, 2])


def test_an_operator_may_suspend_what_the_policy_did_and_then_no_command_wakes_it(lazy: Story) -> None:
    lazy.begun().do(words.Sleep())
    assert (lazy.state, lazy.reason, lazy.life.suspended_by) == (S.SUSPENDED, "requested", SuspendedBy.OPERATOR)
    lazy.do(words.CommandWaits())
    assert (lazy.state, lazy.opened) == (S.SUSPENDED, [])


@pytest.mark.parametrize("beginning", BEGINNINGS)
def test_a_command_changes_nothing_unless_the_channel_is_suspended(story: Story, beginning: str) -> None:
    BEGINNINGS[beginning](story)
    before = story.life
    assert story.do(words.CommandWaits()) == []
    assert story.life == before


def test_a_command_does_not_wake_what_was_disconnected(lazy: Story) -> None:
    lazy.begun().do(words.Close())
    lazy.do(words.CommandWaits())
    assert (lazy.state, lazy.life.suspended_by, lazy.opened) == (S.DISCONNECTED, None, [])


# -- an operator suspends --


@pytest.mark.parametrize("beginning", BEGINNINGS)
def test_suspend_closes_the_port_in_an_orderly_way_and_opens_no_other(story: Story, beginning: str) -> None:
    BEGINNINGS[beginning](story)
    story.do(words.Sleep())
    assert (story.state, story.reason, story.timers, story.life.qr) == (S.SUSPENDED, "requested", {}, None)
    assert story.life.next_retry_at is None
    if beginning == "opening":
        story.port_opened()
    elif beginning != "waiting":
        assert story.closed == [ClosePort(1, orderly=True, reason="requested")]
    if beginning != "waiting":
        story.port_exited()
    assert (story.life.phase, story.opened) == (PortPhase.ABSENT, [1])


def test_suspending_a_logged_out_channel_leaves_it_so_and_keeps_the_reason(story: Story) -> None:
    story.connected().said(port_events.LoggedOut(reason="device removed")).port_exited()
    story.do(words.Sleep())
    assert (story.state, story.life.suspended_by) == (S.LOGGED_OUT, None)
    assert story.reason == "logged out by WhatsApp: device removed"


# -- idleness --


def test_by_default_nobody_looks_for_idleness(story: Story) -> None:
    assert story.connected().timers == {}


def test_a_channel_without_traffic_gives_its_port_up_until_a_command_wakes_it(tiring: Story) -> None:
    tiring.connected()
    assert tiring.wait_s(IdleCheckDue) == IDLE_AFTER_S
    tiring.idle_check(quiet_s=IDLE_AFTER_S)
    assert (tiring.state, tiring.life.suspended_by) == (S.SUSPENDED, SuspendedBy.POLICY)
    assert tiring.reason == "idle for 300 s: waits for a send or connect"
    assert tiring.closed == [ClosePort(1, orderly=True, reason=tiring.reason)]
    assert tiring.timers == {}
    tiring.do(words.CommandWaits())
    assert (tiring.state, tiring.opened) == (S.INITIALIZING, [1]), "not before the old port is gone"
    tiring.port_exited().port_opened().said(UP)
    assert (tiring.state, tiring.opened, set(tiring.timers)) == (S.CONNECTED, [1, 2], {IdleCheckDue})


def test_traffic_puts_it_off_until_that_has_been_quiet_for_as_long(tiring: Story) -> None:
    tiring.connected().idle_check(quiet_s=100.0)
    assert (tiring.state, tiring.wait_s(IdleCheckDue)) == (S.CONNECTED, 200.0)


def test_a_channel_that_has_something_to_do_is_not_idle(tiring: Story) -> None:
    tiring.connected().idle_check(quiet_s=1000.0, busy=True)
    assert (tiring.state, tiring.wait_s(IdleCheckDue)) == (S.CONNECTED, IDLE_AFTER_S)


def test_only_a_connected_channel_is_looked_at(tiring: Story) -> None:
    tiring.redialling()
    assert IdleCheckDue not in tiring.timers
    before = tiring.life
    assert tiring.do(words.IdleChecked(1000.0, busy=False)) == []
    assert tiring.life == before
    tiring.said(UP)
    assert tiring.wait_s(IdleCheckDue) == IDLE_AFTER_S
