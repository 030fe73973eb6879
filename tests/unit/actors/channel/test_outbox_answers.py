"""What follows from an answer."""

import pytest

from actors.channel.outbox import NOT_CONNECTED_PAUSE_S, RESTRICTED_PAUSE_S
from actors.channel.parcel import Again, Doubted, Ended, Place
from protocol.codes import ErrorCode, Permanence
from tests.unit.actors.channel.box import AT_ONCE, A, B, Box
from tests.unit.actors.channel.commands import accepted, at, failed


@pytest.mark.parametrize("code", ErrorCode, ids=lambda code: code.value)
def test_the_permanence_of_the_code_decides_what_follows(code: ErrorCode) -> None:
    box = Box(accepted("1", A))
    box.take()
    settled = box.settle("1", failed(code.value))
    match code.permanence:
        case Permanence.PERMANENT if code is not ErrorCode.EXPIRED:
            assert isinstance(settled, Ended)
            assert (settled.status, settled.code, settled.parcel.attempts, settled.message) == (
                "failed",
                code,
                1,
                "why",
            )
        case Permanence.PERMANENT:
            assert isinstance(settled, Ended)
            assert (settled.status, settled.parcel.attempts) == ("expired", 0)
        case Permanence.UNKNOWN:
            assert isinstance(settled, Doubted)
            assert settled.parcel.place is Place.DOUBT
            assert box.take(1000.0) == []
        case Permanence.NOT_CONNECTED | Permanence.RESTRICTED:
            assert isinstance(settled, Again)
            pause = NOT_CONNECTED_PAUSE_S if code is ErrorCode.NOT_CONNECTED else RESTRICTED_PAUSE_S
            assert (settled.parcel.attempts, settled.delay_s, settled.spent) == (0, pause, False)
        case Permanence.TRANSIENT:
            assert isinstance(settled, Again)
            assert (settled.parcel.attempts, settled.spent, settled.in_doubt) == (1, True, False)
            assert settled.error is not None
            assert settled.error.code == code.value


def test_after_the_last_attempt_the_command_has_failed_and_those_before_a_restart_count() -> None:
    box = Box(accepted("1", A, attempts=1), attempts=3, backoff=AT_ONCE)
    box.take()
    assert isinstance(box.settle("1", failed("server_error")), Again)
    box.take()
    ended = box.settle("1", failed("server_error"))
    assert isinstance(ended, Ended)
    assert (ended.status, ended.code, ended.parcel.attempts) == ("failed", ErrorCode.SERVER_ERROR, 3)


def test_being_disconnected_costs_no_attempt_however_often() -> None:
    box = Box(accepted("1", A), attempts=1)
    for number in range(20):
        assert box.take(number) == ["1"]
        assert box.parcel("1").attempts == 1
        assert isinstance(box.settle("1", failed("not_connected"), number), Again)


def test_an_outcome_is_only_of_the_attempt_that_it_names() -> None:
    box = Box(accepted("1", A), backoff=AT_ONCE)
    box.box.take(at(0.0), 1)[0].begin(b"first secret")
    first = box.parcel("1").key
    box.settle("1", failed("server_error"))
    assert box.box.away(first) is None
    box.box.take(at(0.0), 1)[0].begin(b"second secret")
    assert box.box.away(first) is None
    assert box.box.away(box.parcel("1").key) is box.parcel("1")


def test_one_that_whatsapp_refuses_to_a_new_contact_waits_until_that_writes() -> None:
    box = Box(accepted("1", A), accepted("2", B))
    box.take()
    box.settle("1", failed("restricted"))
    assert box.take(RESTRICTED_PAUSE_S - 1.0) == []
    box.box.wrote([f"{A}@s.whatsapp.net"], None, at(1.0))
    assert box.take(1.0) == ["1"]
