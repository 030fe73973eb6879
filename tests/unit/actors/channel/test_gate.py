import pytest

from actors.channel.gate import WAY, Gate, Way
from protocol.codes import ErrorCode, Permanence
from protocol.port import Failed, Sent
from supervisor.breaker import Breaker, BreakerState, Consecutive
from tests.unit.actors.channel.commands import SENT, failed

IN_FLIGHT = 4
BAD = failed("server_error")


def gate() -> Gate:
    return Gate(Breaker(trip=Consecutive(2), pause_s=30.0), IN_FLIGHT)


def tripped(*under_way: str) -> Gate:
    """Open since 0.0, with these still with the port."""
    shut = gate()
    shut.let_through(["1", "2", *under_way])
    shut.settle("1", BAD, 0.0)
    assert shut.settle("2", BAD, 0.0)
    assert shut.breaker.state is BreakerState.OPEN
    return shut


def probing(*under_way: str) -> Gate:
    shut = tripped(*under_way)
    shut.let_through(["probe"])
    assert shut.breaker.state is BreakerState.HALF_OPEN
    return shut


def test_every_code_says_something_of_the_way_and_only_what_may_pass_by_itself_fails_it() -> None:
    assert set(WAY) == set(ErrorCode)
    for code, way in WAY.items():
        if way is Way.FAILS:
            assert code.permanence in (Permanence.TRANSIENT, Permanence.UNKNOWN)
        if way is Way.WORKS:
            assert code.permanence in (Permanence.PERMANENT, Permanence.RESTRICTED)


def test_a_closed_gate_breaker_lets_as_many_through_as_may_be_in_flight() -> None:
    assert (gate().room(0.0), gate().wait(0.0)) == (IN_FLIGHT, 0.0)


def test_an_open_one_lets_nothing_through_before_its_pause_and_then_one() -> None:
    assert [tripped().room(now) for now in (0.0, 29.9, 30.0)] == [0, 0, 1]
    assert tripped().wait(10.0) == 20.0
    assert probing().room(1e9) == 0


@pytest.mark.parametrize(
    ("answer", "cut", "state", "room"),
    [
        (SENT, False, BreakerState.CLOSED, IN_FLIGHT),
        (failed("not_on_whatsapp"), False, BreakerState.CLOSED, IN_FLIGHT),
        (BAD, False, BreakerState.OPEN, 0),
        (failed("outcome_unknown"), False, BreakerState.OPEN, 0),
        (failed("outcome_unknown"), True, BreakerState.OPEN, 1),
        (failed("not_connected"), False, BreakerState.OPEN, 1),
        (failed("media_invalid"), False, BreakerState.OPEN, 1),
    ],
)
def test_what_comes_of_the_probe_decides(answer: Sent | Failed, cut: bool, state: BreakerState, room: int) -> None:
    shut = probing()
    assert shut.settle("probe", answer, 31.0, cut=cut)
    assert (shut.breaker.state, shut.room(31.0)) == (state, room)


@pytest.mark.parametrize("answer", [SENT, BAD, failed("not_connected")])
@pytest.mark.parametrize("shut", [tripped("late"), probing("late")], ids=["open", "half open"])
def test_an_answer_to_what_began_before_it_opened_changes_nothing(shut: Gate, answer: Sent | Failed) -> None:
    before = shut.breaker
    assert not shut.settle("late", answer, 40.0)
    assert shut.breaker == before


def test_nor_does_it_once_the_probe_has_closed_it() -> None:
    shut = probing("late")
    shut.settle("probe", SENT, 31.0)
    assert not shut.settle("late", BAD, 40.0)
    assert shut.breaker.failures == 0


def test_an_answer_that_comes_twice_counts_once() -> None:
    twice = gate()
    twice.let_through(["1"])
    twice.settle("1", BAD, 0.0)
    assert not twice.settle("1", BAD, 0.0)
    assert twice.breaker.state is BreakerState.CLOSED
