"""Ports on their way: how long they may take, and what they say before they are known to be open."""

import pytest

from actors.channel.life import ClosePort, PatienceOver, RetryDue
from protocol import port_events
from protocol.channel import ChannelState as S
from tests.unit.actors.channel.story import PAIRED, POLICY, UP, Story, qr

LOST = port_events.Disconnected()


@pytest.fixture
def story() -> Story:
    return Story()


def test_every_port_has_its_full_time_to_connect_however_late_it_opens(story: Story) -> None:
    story.waiting().fire(RetryDue)
    assert story.timers == {}
    story.seconds += 3600.0
    story.port_opened()
    assert (story.state, story.wait_s(PatienceOver)) == (S.RECONNECTING, POLICY.open_s)


def test_a_port_given_up_before_it_is_known_to_be_open_is_closed_when_it_comes(story: Story) -> None:
    story.begun().said(qr()).fire(PatienceOver).fire(RetryDue)
    assert (story.opened, story.closed) == ([1], [])
    story.port_opened()
    assert story.closed == [ClosePort(1, orderly=False, reason="no longer wanted")]
    story.port_exited()
    assert story.opened == [1, 2]


def test_a_port_that_connects_before_it_is_known_to_be_open_can_send_once_it_is(story: Story) -> None:
    story.begun().said(UP)
    assert (story.state, story.life.connected) == (S.CONNECTED, False)
    story.port_opened()
    assert story.life.connected
    assert story.timers == {}


@pytest.mark.parametrize(
    ("early", "wait_s"),
    [([qr(1, 20.0)], 20.0 + POLICY.patience_s), ([qr(), PAIRED], POLICY.pairing_s), ([UP, LOST], POLICY.patience_s)],
    ids=["a code", "paired", "lost again"],
)
def test_a_wait_that_an_early_word_started_is_not_begun_anew_when_the_port_is_known_to_be_open(
    story: Story, early: list[port_events.PortEvent], wait_s: float
) -> None:
    story.begun().said(*early)
    story.seconds += 1.0
    story.port_opened()
    assert story.wait_s(PatienceOver) == wait_s - 1.0
