"""The table of faults, and who they strike how often."""

from typing import get_args

import msgspec
import pytest

from tests.emulator.faults import (
    STRIKES,
    AckError,
    AnyFault,
    Delay,
    Drop,
    Fault,
    Faults,
    IqError,
    Moment,
    NoAck,
)  # fmt: skip
from tests.emulator.feed import Feed


@pytest.fixture
def faults() -> Faults:
    return Faults(Feed(lambda: 0.0))


def test_the_table_holds_every_kind_once() -> None:
    kinds = set(get_args(AnyFault))
    assert kinds == set(STRIKES) == set(Fault.__subclasses__())
    assert len({kind.__struct_config__.tag for kind in kinds}) == len(kinds)


def test_a_kind_is_told_by_its_name() -> None:
    fault = msgspec.json.decode(b'{"kind":"ack_error","code":463,"phone":"5511900000001"}', type=AnyFault)
    assert fault == AckError(code=463, phone="5511900000001")


@pytest.mark.parametrize(
    "body",
    [
        b'{"kind":"unheard_of"}',
        b'{"kind":"ack_error"}',
        b'{"kind":"drop","how":"gently"}',
        b'{"kind":"drop","phone":"+55"}',
        b'{"kind":"drop","count":0}',
        b'{"kind":"drop","colour":"red"}',
        b'{"kind":"delay","seconds":-1}',
    ],
)
def test_what_no_fault_is_like_is_refused(body: bytes) -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.json.decode(body, type=AnyFault)


def test_without_faults_nothing_strikes(faults: Faults) -> None:
    assert [faults.strike(moment, "1") for moment in Moment] == [None] * len(Moment)


def test_a_fault_strikes_at_its_moment_until_it_is_deleted(faults: Faults) -> None:
    armed = faults.arm(NoAck())
    assert faults.strike(Moment.LOGIN, "1") is None
    assert [faults.strike(Moment.MESSAGE, "1") for _ in range(3)] == [armed.fault] * 3
    assert faults.disarm(armed.id) == [armed.id]
    assert faults.strike(Moment.MESSAGE, "1") is None
    assert faults.disarm(armed.id) == []


def test_a_counted_fault_strikes_each_phone_that_often(faults: Faults) -> None:
    faults.arm(NoAck(count=2))
    struck = [faults.strike(Moment.MESSAGE, phone) is not None for phone in "1121212"]
    assert struck == [True, True, True, False, True, False, False]


def test_a_fault_for_one_phone_strikes_nobody_else(faults: Faults) -> None:
    faults.arm(Drop(phone="5511900000001"))
    assert faults.strike(Moment.ONLINE, "5511900000002") is None
    assert faults.strike(Moment.ONLINE, "") is None
    assert faults.strike(Moment.ONLINE, "5511900000001") is not None


def test_looking_does_not_count(faults: Faults) -> None:
    faults.arm(Delay(seconds=1, count=1))
    assert faults.holds(Moment.FRAME, "1") is not None
    assert faults.strike(Moment.FRAME, "1") is not None
    assert faults.holds(Moment.FRAME, "1") is None


def test_a_refused_query_is_one_of_its_namespace(faults: Faults) -> None:
    faults.arm(IqError(xmlns="usync"))
    assert faults.strike(Moment.IQ, "1", "encrypt") is None
    assert faults.strike(Moment.IQ, "1", "usync") is not None
