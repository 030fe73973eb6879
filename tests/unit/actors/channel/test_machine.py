import itertools
from typing import get_args

import pytest

from actors.channel import machine
from actors.channel.machine import TRANSITIONS, WANTS_PORT, IllegalTransitionError, MachineEvent, next_state
from protocol.channel import ChannelState as S

EVENTS: tuple[type[MachineEvent], ...] = get_args(MachineEvent)
PAIRS = list(itertools.product(S, EVENTS))


def reachable(start: S) -> set[S]:
    found: set[S] = set()
    new = {start}
    while new:
        found |= new
        new = {after for state in new for after in TRANSITIONS[state].values()} - found
    return found


@pytest.mark.parametrize(("state", "event"), PAIRS, ids=lambda value: getattr(value, "__name__", value))
def test_every_event_in_every_state_is_in_the_table_or_raises(state: S, event: type[MachineEvent]) -> None:
    if event in TRANSITIONS[state]:
        assert next_state(state, event()) is TRANSITIONS[state][event]
        return
    with pytest.raises(IllegalTransitionError) as caught:
        next_state(state, event())
    assert (caught.value.state, type(caught.value.event)) == (state, event)
    assert event.__name__ in str(caught.value)


def test_the_table_covers_all_nine_states_and_names_no_unknown_event() -> None:
    assert set(TRANSITIONS) == set(S)
    assert len(TRANSITIONS) == 9
    assert {event for events in TRANSITIONS.values() for event in events} <= set(EVENTS)


@pytest.mark.parametrize("state", S)
def test_every_other_state_can_be_reached_from_every_state(state: S) -> None:
    assert reachable(state) == set(S)


@pytest.mark.parametrize("state", S)
def test_what_people_ask_for_is_possible_in_every_state(state: S) -> None:
    assert next_state(state, machine.OpenRequested()) is S.INITIALIZING
    assert next_state(state, machine.CloseRequested()) in (S.DISCONNECTED, S.LOGGED_OUT)
    assert next_state(state, machine.SuspendRequested()) in (S.SUSPENDED, S.LOGGED_OUT)


@pytest.mark.parametrize("state", sorted(set(S) - WANTS_PORT))
def test_what_needs_a_port_cannot_happen_where_there_is_none(state: S) -> None:
    asked = {machine.OpenRequested, machine.CloseRequested, machine.SuspendRequested}
    assert set(TRANSITIONS[state]) - {machine.Recalled} == asked | {machine.SessionEnded}


@pytest.mark.parametrize("state", S)
def test_what_condemned_an_earlier_life_is_heard_before_there_is_a_port(state: S) -> None:
    before = {S.INITIALIZING, S.SUSPENDED, S.ERROR}
    assert TRANSITIONS[state].get(machine.Recalled) is (S.ERROR if state in before else None)


@pytest.mark.parametrize("state", S)
def test_that_the_session_was_ended_may_be_heard_in_every_state(state: S) -> None:
    assert next_state(state, machine.SessionEnded()) is S.LOGGED_OUT


@pytest.mark.parametrize("state", sorted(WANTS_PORT))
@pytest.mark.parametrize(
    "event", [machine.PortLost, machine.SocketLost, machine.SessionEnded, machine.Condemned, machine.StoreLost]
)
def test_a_port_may_be_lost_and_a_session_end_in_every_state_that_has_one(state: S, event: type[MachineEvent]) -> None:
    assert event in TRANSITIONS[state]


@pytest.mark.parametrize("state", sorted(set(S) - {S.QR_REQUIRED}))
def test_only_a_code_to_scan_leads_to_qr_required(state: S) -> None:
    assert {event for event, after in TRANSITIONS[state].items() if after is S.QR_REQUIRED} <= {machine.CodeShown}


@pytest.mark.parametrize("state", sorted(WANTS_PORT))
def test_only_coming_up_leads_to_connected(state: S) -> None:
    assert {event for event, after in TRANSITIONS[state].items() if after is S.CONNECTED} == {machine.CameUp}


@pytest.mark.parametrize("state", S)
def test_only_an_operator_or_the_policy_leads_to_suspended(state: S) -> None:
    assert {event for event, after in TRANSITIONS[state].items() if after is S.SUSPENDED} <= {machine.SuspendRequested}
