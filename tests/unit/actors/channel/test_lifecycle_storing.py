"""A session and what has to be stored: no port before it is known what was left, none while nothing can be stored."""

from dataclasses import replace

import pytest

from actors.channel import life as words
from actors.channel.life import PortPhase
from protocol import port_events
from protocol.channel import ChannelState as S
from protocol.channel import WantedState
from tests.unit.actors.channel.story import UP, Story
from tests.unit.actors.channel.test_lifecycle import BEGINNINGS

FULL = words.StoreFailed("disk full")


@pytest.fixture
def story() -> Story:
    return Story()


def test_no_port_is_opened_before_it_is_known_what_was_left(story: Story) -> None:
    story.life = replace(story.life, ready=False)
    story.begun()
    story.do(words.Open())
    assert (story.state, story.opened) == (S.INITIALIZING, [])
    story.do(words.Ready())
    assert story.opened == [1]


@pytest.mark.parametrize("beginning", BEGINNINGS)
def test_who_can_store_nothing_hangs_up_and_opens_a_port_when_it_can(story: Story, beginning: str) -> None:
    BEGINNINGS[beginning](story)
    phase, opened = story.life.phase, len(story.opened)
    story.do(FULL)
    assert (story.state, story.reason, story.timers) == (S.ERROR, "cannot store: disk full", {})
    if phase is PortPhase.UP:
        assert (story.closed[-1].orderly, story.closed[-1].reason) == (True, "cannot store: disk full")
    if phase is PortPhase.OPENING:
        story.port_opened()
    if phase is not PortPhase.ABSENT:
        story.said(port_events.PortExited(reason="stopped", expected=True))
    assert len(story.opened) == opened
    story.do(words.StoreWorks())
    assert (story.state, len(story.opened)) == (S.INITIALIZING, opened + 1)
    story.port_opened().said(UP)
    assert story.state is S.CONNECTED


def test_a_port_that_is_still_closing_is_waited_for(story: Story) -> None:
    story.connected()
    story.do(FULL)
    story.do(words.StoreWorks())
    assert story.opened == [1]
    story.said(port_events.PortExited(reason="stopped", expected=True))
    assert story.opened == [1, 2]


def test_another_reason_is_told(story: Story) -> None:
    story.connected()
    story.do(FULL)
    story.do(words.StoreFailed("locked"))
    assert (story.state, story.reason) == (S.ERROR, "cannot store: locked")


@pytest.mark.parametrize("wanted", [WantedState.DISCONNECTED, WantedState.SUSPENDED])
def test_who_is_at_rest_stays_so(story: Story, wanted: WantedState) -> None:
    story.begun(wanted)
    before = story.state
    story.do(FULL)
    assert story.state is before
    story.do(words.StoreWorks())
    assert (story.state, story.opened) == (before, [])


def test_who_is_asked_to_connect_meanwhile_does_when_it_can(story: Story) -> None:
    story.begun(WantedState.DISCONNECTED)
    story.do(FULL)
    story.do(words.Open())
    assert (story.state, story.opened) == (S.ERROR, [])
    story.do(words.StoreWorks())
    assert (story.state, story.opened) == (S.INITIALIZING, [1])


def test_an_error_of_another_kind_is_not_mended_by_a_store_that_works(story: Story) -> None:
    story.connected().said(port_events.Outdated())
    story.do(FULL)
    story.do(words.StoreWorks())
    assert (story.state, story.reason) == (S.ERROR, "client outdated: upgrade Plantão")
