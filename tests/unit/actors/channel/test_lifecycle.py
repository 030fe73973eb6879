from dataclasses import replace

import pytest

from actors.channel import life as words
from actors.channel.life import ClosePort, PatienceOver, PortPhase, RetryDue
from protocol import port_events
from protocol.channel import ChannelState as S
from protocol.channel import QrCode, WantedState
from supervisor.breaker import Breaker, BreakerState
from tests.unit.actors.channel.story import PAIRED, POLICY, UP, Story, exited, qr

BEGINNINGS = {
    "opening": Story.begun,
    "opened": Story.opening_done,
    "showing a code": Story.showing_code,
    "pairing": Story.pairing,
    "connected": Story.connected,
    "redialling": Story.redialling,
    "waiting": Story.waiting,
}


@pytest.fixture
def story() -> Story:
    return Story()


# -- the good days --


def test_a_channel_that_begins_opens_a_port_and_gives_it_time_to_connect_once_it_is_there(story: Story) -> None:
    story.begun()
    assert (story.state, story.opened, story.life.phase) == (S.INITIALIZING, [1], PortPhase.OPENING)
    assert story.timers == {}, "it may be in line"
    story.seconds += 3600.0
    story.port_opened()
    assert story.wait_s(PatienceOver) == POLICY.open_s


def test_a_channel_that_is_not_to_be_connected_opens_none(story: Story) -> None:
    story.do(words.Began(WantedState.DISCONNECTED))
    assert (story.state, story.opened, story.timers) == (S.DISCONNECTED, [], {})


def test_pairing_by_qr_leads_over_pairing_to_connected(story: Story) -> None:
    story.opening_done().said(qr(1, 60.0))
    assert (story.state, story.reason) == (S.QR_REQUIRED, "waiting for a phone")
    assert story.life.qr == QrCode(code="code-1", expires_at=story.now.after(60.0))
    story.said(PAIRED)
    assert (story.state, story.code) == (S.PAIRING, None)
    story.said(port_events.StreamFailed(code="515"), port_events.Disconnected())
    assert story.state is S.PAIRING, "whatsmeow connects anew after a pairing"
    story.said(UP)
    assert (story.state, story.reason, story.life.connected) == (S.CONNECTED, "", True)
    assert (story.life.phone, story.life.jid, story.life.profile_name) == (UP.phone, UP.jid, "Acme")
    assert story.timers == {}


def test_a_channel_with_a_session_connects_without_a_code(story: Story) -> None:
    story.connected()
    assert (story.state, story.life.last_connected_at, story.timers) == (S.CONNECTED, story.now.wall, {})


@pytest.mark.parametrize(
    "event",
    [
        port_events.KeepAliveRestored(),
        port_events.BacklogAnnounced(messages=3, receipts=1),
        port_events.BacklogDelivered(count=4),
        port_events.Record(
            number=1, what=port_events.Undecryptable(wa_id="A", chat="c", sender="s", at=Story().now.wall)
        ),
    ],
    ids=lambda event: type(event).__name__,
)
@pytest.mark.parametrize("beginning", BEGINNINGS)
def test_news_that_say_nothing_of_the_session_change_nothing(
    story: Story, beginning: str, event: port_events.PortEvent
) -> None:
    BEGINNINGS[beginning](story)
    before = story.life
    story.said(event)
    assert story.life == before


# -- codes --


def test_each_code_replaces_the_one_before(story: Story) -> None:
    story.showing_code().said(qr(2))
    assert story.life.qr is not None
    assert story.life.qr.code == "code-2"


def test_after_the_most_codes_the_channel_is_disconnected_and_shows_none(story: Story) -> None:
    story.opening_done().said(*(qr(number) for number in range(1, POLICY.max_codes + 2)))
    assert (story.state, story.reason, story.life.qr) == (S.DISCONNECTED, "qr_expired", None)
    assert story.closed == [ClosePort(1, orderly=True, reason="qr_expired")]
    story.port_exited()
    assert (story.life.phase, story.timers, story.opened) == (PortPhase.ABSENT, {}, [1])


@pytest.mark.parametrize(
    ("status", "state", "reason"),
    [
        ("timeout", S.DISCONNECTED, "qr_expired"),
        ("refused", S.DISCONNECTED, "pairing_refused"),
        ("client_outdated", S.ERROR, "client outdated: upgrade Plantão"),
        ("unexpected", S.RECONNECTING, "pairing failed: unexpected"),
    ],
)
def test_a_pairing_that_fails_says_why(story: Story, status: str, state: S, reason: str) -> None:
    event = port_events.PairingFailed(status=status)  # type: ignore[arg-type]  # parametrised
    story.showing_code().said(event)
    assert (story.state, story.reason, story.life.qr) == (state, reason, None)


def test_a_code_that_expires_without_a_successor_ends_its_port(story: Story) -> None:
    story.opening_done().said(qr(1, 60.0))
    assert story.wait_s(PatienceOver) == 60.0 + POLICY.patience_s
    story.fire(PatienceOver)
    assert (story.state, story.life.qr) == (S.RECONNECTING, None)
    assert story.closed == [ClosePort(1, orderly=False, reason="the code expired, and no other came")]


def test_the_codes_of_a_new_port_are_counted_anew(story: Story) -> None:
    story.opening_done().said(*(qr(number) for number in range(1, POLICY.max_codes + 1)))
    story.port_exited().fire(RetryDue).port_opened().said(qr(1))
    assert (story.state, story.life.codes) == (S.QR_REQUIRED, 1)


def test_a_channel_paired_but_never_connected_opens_a_new_port(story: Story) -> None:
    story.pairing().fire(PatienceOver)
    assert (story.state, story.reason) == (S.RECONNECTING, "paired, but not connected within 10 s")
    assert story.closed == [ClosePort(1, orderly=False, reason=story.reason)]
    story.port_exited().fire(RetryDue).port_opened().said(UP)
    assert (story.state, story.opened) == (S.CONNECTED, [1, 2])


# -- bad days --


def test_whatsmeow_may_redial_for_as_long_as_patience_lasts(story: Story) -> None:
    story.redialling()
    assert (story.state, story.life.connected, story.closed) == (S.RECONNECTING, False, [])
    assert story.wait_s(PatienceOver) == POLICY.patience_s
    story.said(port_events.StreamFailed(code="503"), port_events.Disconnected(), UP)
    assert (story.state, story.timers, story.opened) == (S.CONNECTED, {}, [1])


def test_further_losses_do_not_prolong_patience(story: Story) -> None:
    story.redialling()
    story.seconds += 9.0
    story.said(port_events.Disconnected())
    assert story.wait_s(PatienceOver) == 1.0


def test_when_patience_is_over_the_port_is_killed_and_another_opened_in_time(story: Story) -> None:
    story.redialling().fire(PatienceOver)
    assert story.reason == "not reconnected within 10 s (connection lost)"
    assert story.closed == [ClosePort(1, orderly=False, reason=story.reason)]
    assert 0.0 <= story.wait_s(RetryDue) <= 1.0
    assert story.life.next_retry_at == story.now.after(story.wait_s(RetryDue))
    story.said(exited(expected=True)).fire(RetryDue)
    assert (story.opened, story.life.failures) == ([1, 2], 1)


def test_the_next_port_is_not_opened_before_the_last_is_gone(story: Story) -> None:
    story.redialling().fire(PatienceOver).fire(RetryDue)
    assert story.opened == [1]
    story.port_exited()
    assert story.opened == [1, 2]


def test_a_port_that_dies_by_itself_is_followed_by_another(story: Story) -> None:
    story.waiting()
    assert (story.state, story.reason, story.life.attempt) == (S.RECONNECTING, "killed", 1)
    story.fire(RetryDue).port_opened().said(UP)
    assert (story.state, story.life.attempt) == (S.CONNECTED, 0)


def test_a_port_that_cannot_be_opened_is_tried_again(story: Story) -> None:
    story.begun().do(words.PortNotOpened(1, "the nursery is away"))
    assert (story.state, story.reason) == (S.RECONNECTING, "the nursery is away")
    story.fire(RetryDue)
    assert story.opened == [1, 2]


def test_a_port_that_is_open_but_never_connects_is_replaced(story: Story) -> None:
    story.opening_done().fire(PatienceOver)
    assert story.closed == [ClosePort(1, orderly=False, reason="not connected within 60 s")]


def lose(story: Story, times: int) -> list[float]:
    """Lose as many ports in a row; the delay before each next one."""
    delays = []
    for _ in range(times):
        story.port_exited()
        delays.append(story.wait_s(RetryDue))
        if S.RECONNECTING is story.state:
            story.fire(RetryDue).port_opened()
    return delays


def test_delays_grow_until_the_breaker_opens_and_then_probe(story: Story) -> None:
    story.opening_done()
    delays = lose(story, 4)
    assert all(delay <= 2**attempt for attempt, delay in enumerate(delays))
    states = [story.breaker_state]
    story.port_exited()
    states.append(story.breaker_state)
    assert states == [BreakerState.CLOSED, BreakerState.OPEN]
    assert story.wait_s(RetryDue) >= story.breaker.pause_s
    states = [story.fire(RetryDue).breaker_state]
    states.append(story.port_opened().said(UP).breaker_state)
    assert states == [BreakerState.HALF_OPEN, BreakerState.CLOSED]


def test_a_session_that_was_stable_begins_the_count_anew(story: Story) -> None:
    story.opening_done()
    lose(story, 3)
    story.said(UP)
    story.seconds += 30.1
    story.port_exited()
    assert story.life.failures == 1


def test_a_session_that_was_not_stable_does_not(story: Story) -> None:
    story.opening_done()
    lose(story, 3)
    story.said(UP)
    story.seconds += 29.0
    story.port_exited()
    assert story.life.failures == 4


def test_time_before_a_disconnect_by_request_does_not_make_the_next_session_stable(story: Story) -> None:
    story.connected()
    story.seconds += 1000.0
    story.do(words.Close())
    story.port_exited()
    story.do(words.Open())
    story.port_opened()
    lose(story, 2)
    assert story.life.failures == 2


def test_after_the_most_attempts_the_channel_is_in_error_and_says_so() -> None:
    story = Story(policy=replace(POLICY, max_attempts=3))
    story.opening_done()
    lose(story, 3)
    story.port_exited("no route")
    assert (story.state, story.reason) == (S.ERROR, "gave up after 3 attempts: no route")
    assert (story.timers, story.life.next_retry_at) == ({}, None)
    story.do(words.Open())
    assert (story.state, story.life.failures, story.life.phase) == (S.INITIALIZING, 0, PortPhase.OPENING)


def test_a_missed_keep_alive_is_probed_and_a_second_one_ends_the_port(story: Story) -> None:
    story.connected().said(port_events.KeepAliveMissed(count=1))
    assert (story.state, story.probed, story.closed) == (S.CONNECTED, [1], [])
    story.said(port_events.KeepAliveMissed(count=2))
    assert (story.state, story.reason) == (S.RECONNECTING, "2 keep-alives unanswered")
    assert story.closed == [ClosePort(1, orderly=False, reason="2 keep-alives unanswered")]


def test_a_refused_login_is_tried_again_with_a_new_port(story: Story) -> None:
    story.opening_done().said(port_events.ConnectRefused(reason="405"))
    assert (story.state, story.reason) == (S.RECONNECTING, "login refused: 405")


@pytest.mark.parametrize(
    ("event", "state", "reason"),
    [
        (port_events.LoggedOut(reason="401"), S.LOGGED_OUT, "logged out by WhatsApp: 401"),
        (port_events.Replaced(), S.ERROR, "session used elsewhere (replaced)"),
        (port_events.Banned(code=101, expires_in_s=3600.0), S.ERROR, "banned by WhatsApp (code 101) for 3600 s"),
        (port_events.Banned(code=101, expires_in_s=0.0), S.ERROR, "banned by WhatsApp (code 101)"),
        (port_events.Outdated(), S.ERROR, "client outdated: upgrade Plantão"),
        (
            port_events.StoreUnusable(reason="x.db is no database"),
            S.ERROR,
            "session store unusable: x.db is no database",
        ),
    ],
    ids=lambda value: type(value).__name__ if not isinstance(value, str) else None,
)
@pytest.mark.parametrize("beginning", [name for name in BEGINNINGS if name not in ("waiting",)])
def test_what_only_a_person_can_mend_closes_the_port_for_good(
    story: Story, beginning: str, event: port_events.PortEvent, state: S, reason: str
) -> None:
    BEGINNINGS[beginning](story)
    story.said(event)
    assert (story.state, story.reason, story.timers) == (state, reason, {})
    if beginning == "opening":
        story.port_opened()
    assert [closed.incarnation for closed in story.closed] == [1]
    story.port_exited()
    assert (story.state, story.opened, story.timers) == (state, [1], {})


# -- what people ask for --


@pytest.mark.parametrize("beginning", BEGINNINGS)
def test_disconnect_closes_the_port_in_an_orderly_way_and_opens_no_other(story: Story, beginning: str) -> None:
    BEGINNINGS[beginning](story)
    story.do(words.Close())
    assert (story.state, story.reason, story.timers, story.life.qr) == (S.DISCONNECTED, "requested", {}, None)
    assert story.life.next_retry_at is None
    if beginning == "opening":
        story.port_opened()
    elif beginning != "waiting":
        assert story.closed == [ClosePort(1, orderly=True, reason="requested")]
    if beginning != "waiting":
        story.port_exited()
    assert (story.life.phase, story.opened) == (PortPhase.ABSENT, [1])


@pytest.mark.parametrize("beginning", BEGINNINGS)
def test_connect_replaces_a_live_port_and_forgets_past_failures(story: Story, beginning: str) -> None:
    BEGINNINGS[beginning](story)
    story.do(words.Open())
    assert (story.state, story.reason, story.life.failures) == (S.INITIALIZING, "requested", 0)
    assert story.life.breaker == Breaker()
    if beginning == "waiting":
        assert story.opened == [1, 2]
        return
    assert story.timers == {}, "nothing is due while the old port ends"
    assert story.opened == [1]
    if beginning == "opening":
        story.port_opened()
    story.port_exited()
    assert (story.opened, story.life.phase, story.timers) == ([1, 2], PortPhase.OPENING, {})
    assert story.port_opened().wait_s(PatienceOver) == POLICY.open_s


def test_disconnect_while_opening_closes_the_port_that_comes(story: Story) -> None:
    story.begun().do(words.Close())
    story.port_opened()
    assert story.closed == [ClosePort(1, orderly=False, reason="no longer wanted")]


def test_disconnect_while_opening_is_done_when_the_port_does_not_come(story: Story) -> None:
    story.begun().do(words.Close())
    story.do(words.PortNotOpened(1, "the nursery is away"))
    assert (story.state, story.life.phase, story.life.failures) == (S.DISCONNECTED, PortPhase.ABSENT, 0)


def test_connect_after_disconnect_waits_for_the_old_port_to_end(story: Story) -> None:
    story.connected().do(words.Close())
    story.do(words.Open())
    assert story.opened == [1]
    story.port_exited()
    assert story.opened == [1, 2]


def test_a_logged_out_channel_opens_no_port_until_asked(story: Story) -> None:
    story.connected().do(words.LoggedOutByUs())
    assert (story.state, story.reason) == (S.LOGGED_OUT, "logout")
    story.port_exited()
    assert story.opened == [1]
    story.do(words.Open("pairing requested"))
    assert (story.state, story.opened) == (S.INITIALIZING, [1, 2])


def test_disconnecting_a_logged_out_channel_keeps_the_reason(story: Story) -> None:
    story.connected().said(port_events.LoggedOut(reason="device removed")).port_exited()
    story.do(words.Close("shutting down"))
    assert (story.state, story.reason) == (S.LOGGED_OUT, "logged out by WhatsApp: device removed")


# -- old news --


@pytest.mark.parametrize("event", [UP, qr(), PAIRED, port_events.Disconnected(), exited(), port_events.Replaced()])
def test_what_an_old_incarnation_says_is_dropped(story: Story, event: port_events.PortEvent) -> None:
    story.waiting().fire(RetryDue).port_opened()
    before = story.life
    assert story.do(words.FromPort(1, event)) == []
    assert story.life == before


def test_an_old_port_that_opens_late_is_closed(story: Story) -> None:
    story.begun().said(exited("died at once")).fire(RetryDue)
    story.do(words.PortOpened(1))
    assert story.closed == [ClosePort(1, orderly=False, reason="stale")]
    assert story.life.phase is PortPhase.OPENING


@pytest.mark.parametrize("event", [UP, qr(), PAIRED, port_events.Disconnected(), port_events.LoggedOut(reason="x")])
def test_what_a_port_says_while_it_is_being_closed_is_dropped(story: Story, event: port_events.PortEvent) -> None:
    story.connected().do(words.Close())
    before = story.life
    assert story.said(event).life == before


def test_since_is_the_time_of_the_last_change_of_state(story: Story) -> None:
    story.redialling()
    since = story.life.since
    story.seconds += 3.0
    story.said(port_events.StreamFailed(code="503"))
    assert (story.life.since, story.reason) == (since, "stream error 503")
