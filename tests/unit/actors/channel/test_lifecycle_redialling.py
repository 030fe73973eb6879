"""One owner of reconnection: whatsmeow dials again by itself, unseen and without a pause; how far it may go."""

import pytest

from actors.channel.life import ClosePort, RetryDue
from protocol import port_events
from protocol.channel import ChannelState as S
from tests.unit.actors.channel.story import UP, Story


@pytest.fixture
def story() -> Story:
    return Story()


@pytest.mark.parametrize(
    "said", [port_events.Disconnected(), port_events.StreamFailed(code="503")], ids=["closed", "stream error"]
)
@pytest.mark.parametrize("failures", [0, 1])
def test_a_port_that_is_not_let_in_is_replaced_in_our_own_time(
    story: Story, said: port_events.PortEvent, failures: int
) -> None:
    """whatsmeow dials again after a 503 at the login, and says nothing of it."""
    story.opening_done()
    for _ in range(failures):
        story.port_exited().fire(RetryDue).port_opened()
    story.said(said)
    assert (story.state, story.life.failures) == (S.RECONNECTING, failures + 1)
    assert story.life.next_retry_at == story.now.after(story.wait_s(RetryDue))
    assert [(closed.incarnation, closed.orderly) for closed in story.closed] == [(failures + 1, False)]
    story.port_exited().fire(RetryDue)
    assert story.opened[-1] == failures + 2


def test_whatsmeow_may_bring_back_a_connection_once_and_one_that_was_stable_again(story: Story) -> None:
    story.redialling().said(UP)
    story.seconds += 30.0
    story.said(port_events.Disconnected(), UP)
    assert (story.state, story.closed) == (S.CONNECTED, [])
    story.seconds += 29.0
    story.said(port_events.Disconnected())
    assert (story.state, story.reason) == (S.RECONNECTING, "connection lost")
    assert story.closed == [ClosePort(1, orderly=False, reason="connection lost")]
    assert RetryDue in story.timers


def test_whatsmeow_may_log_in_anew_unseen_but_not_again_and_again(story: Story) -> None:
    story.connected().said(UP)
    assert (story.state, story.closed) == (S.CONNECTED, [])
    story.said(UP)
    assert (story.state, story.reason) == (S.RECONNECTING, "stream error 515")
    assert RetryDue in story.timers
