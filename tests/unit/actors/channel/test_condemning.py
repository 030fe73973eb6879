"""What only a person can mend, over restarts: the table, and lives that follow each other."""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from random import Random

import hypothesis.strategies as st
import pytest
from hypothesis import given, settings

from actors.channel import life as words
from actors.channel.condemning import HOLDS, Cause, Holds, condemnation, holds
from actors.channel.life import begin
from protocol import port_events
from protocol.channel import ChannelState as S
from protocol.channel import WantedState
from protocol.condemnation import Condemnation
from tests.unit.actors.channel.story import EPOCH, POLICY, UP, Story

LATER = EPOCH + timedelta(hours=1)
POLICY_1 = replace(POLICY, client="1", max_attempts=1)
BANNED = Condemnation(reason="banned by WhatsApp (code 101)", since=EPOCH)


@pytest.mark.parametrize("cause", Cause)
def test_the_table_says_what_the_next_life_has_to_know(cause: Cause) -> None:
    known = condemnation(cause, "why", EPOCH, until=LATER, client="1")
    match HOLDS[cause]:
        case Holds.OVER_RESTARTS:
            assert known == Condemnation(reason="why", since=EPOCH, until=LATER)
        case Holds.UNTIL_UPGRADED:
            assert known == Condemnation(reason="why", since=EPOCH, client="1")
        case Holds.THIS_LIFE:
            assert known is None


def test_a_ban_and_a_session_that_is_used_elsewhere_hold_over_restarts() -> None:
    assert {cause for cause, until in HOLDS.items() if until is Holds.OVER_RESTARTS} == {Cause.BANNED, Cause.REPLACED}
    assert set(HOLDS) == set(Cause)


@pytest.mark.parametrize(
    ("before", "at", "client", "still"),
    [
        (BANNED, LATER + timedelta(days=9999), "2", True),
        (replace(BANNED, until=LATER), LATER - timedelta(seconds=1), "1", True),
        (replace(BANNED, until=LATER), LATER, "1", False),
        (replace(BANNED, client="1"), LATER, "1", True),
        (replace(BANNED, client="1"), LATER, "2", False),
    ],
)
def test_it_holds_until_its_time_is_over_or_the_client_is_another(
    before: Condemnation, at: datetime, client: str, still: bool
) -> None:
    assert holds(before, at, client) is still


@pytest.fixture
def story() -> Story:
    """A life that does not know yet what earlier ones left."""
    story = Story(policy=POLICY_1)
    story.life = replace(story.life, ready=False)
    return story


@pytest.mark.parametrize("lazy", [False, True])
def test_who_was_condemned_is_in_error_with_reason_and_since_and_opens_no_port(story: Story, lazy: bool) -> None:
    story.policy, story.seconds = replace(POLICY_1, lazy=lazy), 60.0
    story.begun().do(words.Ready(BANNED))
    assert (story.state, story.reason, story.life.since) == (S.ERROR, BANNED.reason, EPOCH)
    story.do(words.CommandWaits())
    assert (story.state, story.life.condemned, story.opened, story.timers) == (S.ERROR, BANNED, [], {})


@pytest.mark.parametrize("wanted", [WantedState.DISCONNECTED, WantedState.SUSPENDED])
def test_who_was_put_to_rest_by_an_operator_stays_so_and_is_condemned_no_more(
    story: Story, wanted: WantedState
) -> None:
    story.begun(wanted)
    before = story.state
    story.do(words.Ready(BANNED))
    assert (story.state, story.life.condemned) == (before, None)


@pytest.mark.parametrize("lazy", [False, True])
def test_an_operator_may_ask_before_it_is_known_what_was(story: Story, lazy: bool) -> None:
    story.policy = replace(POLICY_1, lazy=lazy)
    story.begun().do(words.Open())
    story.do(words.Ready(BANNED))
    assert (story.state, story.life.condemned, story.opened) == (S.INITIALIZING, None, [1])


def test_who_could_store_nothing_when_it_began_is_in_error_for_what_it_was(story: Story) -> None:
    story.begun().do(words.StoreFailed("locked"))
    story.do(words.Ready(BANNED))
    story.do(words.StoreWorks())
    assert (story.state, story.reason, story.opened) == (S.ERROR, BANNED.reason, [])
    story.do(words.Open())
    assert (story.state, story.life.condemned, story.opened) == (S.INITIALIZING, None, [1])


Forbidden = tuple[tuple[str, datetime], Callable[[Story, int], bool]]
"""Reason and since, and whether it still holds for a later story with this client."""
LAST_WORDS: list[port_events.PortEvent] = [
    port_events.Replaced(),
    port_events.Banned(code=101, expires_in_s=0.0),
    port_events.Banned(code=101, expires_in_s=60.0),
    port_events.Outdated(),
    port_events.StoreUnusable(reason="x.db"),
    port_events.LoggedOut(reason="401"),
    port_events.PairingFailed(status="client_outdated"),
    UP,
]
OPERATORS: list[tuple[words.LifeEvent, WantedState | None]] = [
    (words.Open(), WantedState.CONNECTED),
    (words.Close(), WantedState.DISCONNECTED),
    (words.Sleep(), WantedState.SUSPENDED),
    (words.LoggedOutByUs(), None),
]


_NOTHING: Forbidden | None = None


@given(seed=st.integers(0, 2**32), steps=st.integers(1, 40), lazy=st.booleans())
@settings(max_examples=150, deadline=None)
def test_lives_that_follow_each_other_dial_only_when_nothing_that_harms_forbids_it(
    seed: int, steps: int, lazy: bool
) -> None:
    """``forbidden``: what the last life to dial was told, until when, with which client; kept beside the product."""
    random, client = Random(seed), 1
    story = Story(policy=replace(POLICY_1, lazy=lazy)).begun()
    wanted, forbidden = WantedState.CONNECTED, _NOTHING
    for _ in range(steps):
        match random.choice(["port", "operator", "time", "restart", "upgrade"]):
            case "port" if story.life.phase is words.PortPhase.OPENING:
                said = random.choice(LAST_WORDS)
                story.port_opened().said(said)
                forbidden = _forbids(said, story, client)
            case "operator":
                event, to = random.choice(OPERATORS)
                story.do(event)
                wanted, forbidden = to or wanted, None
            case "time":
                story.seconds = min([story.seconds + random.uniform(0, 40), *story.timers.values()])
            case "restart" | "upgrade" as how:
                client += how == "upgrade"
                if forbidden is not None and not forbidden[1](story, client):
                    forbidden = None
                story = _next_life(story, wanted, client)
                if wanted is not WantedState.CONNECTED:
                    forbidden = None
                assert (story.opened == [1]) == (wanted is WantedState.CONNECTED and not forbidden and not lazy)
        if forbidden is not None:
            assert (story.state, story.reason, story.life.since) == (S.ERROR, *forbidden[0])
        assert (story.life.condemned is not None) == (forbidden is not None)


def _forbids(said: port_events.PortEvent, story: Story, client: int) -> Forbidden | None:
    told = (story.reason, story.now.wall)
    match said:
        case port_events.Banned(expires_in_s=expires) if expires:
            until = story.seconds + expires
            return told, lambda later, _: later.seconds < until
        case port_events.Banned() | port_events.Replaced():
            return told, lambda *_: True
        case port_events.Outdated() | port_events.PairingFailed():
            return told, lambda _, by: by == client
    return None


def _next_life(story: Story, wanted: WantedState, client: int) -> Story:
    after = Story(policy=replace(story.policy, client=str(client)), seconds=story.seconds)
    after.life = begin(after.now, after.breaker)
    after.begun(wanted).do(words.Ready(story.life.condemned))
    return after
