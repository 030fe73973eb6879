"""What ends without an attempt: expired, cancelled, not wanted, of another number."""

from datetime import timedelta
from random import Random

from msgspec.structs import replace

from actors.channel.expiry import GRACE
from actors.channel.parcel import Disowned, Ended
from protocol.codes import ErrorCode
from protocol.ledger import Contact
from supervisor.backoff import Backoff
from tests.unit.actors.channel.box import A, B, Box, C, in_doubt, soon
from tests.unit.actors.channel.commands import AT, SENT, accepted, at, failed


def test_what_has_expired_is_taken_out_and_never_sent() -> None:
    box = Box(accepted("1", A, **soon(0)), accepted("2", A, **soon(1)))
    assert box.sweep(0.0) == [("1", "expired")]
    assert box.take() == ["2"]
    assert box.sweep(1e5) == [], "what is with the port is not expired"
    box.settle("2", failed("not_connected"), 1e5)
    assert box.sweep(1e5) == [("2", "expired")], "what has come back is"


def test_what_may_have_been_sent_and_has_expired_is_not_sent_again_and_the_result_says_so() -> None:
    box = in_doubt(**soon(1))
    ended = box.box.waited(box.parcel("1"), at(5.0), "")
    assert isinstance(ended, Ended)
    assert (ended.status, ended.code) == ("expired", ErrorCode.OUTCOME_UNKNOWN)
    box = in_doubt(**soon(1))
    box.box.waited(box.parcel("1"), at(0.0), "")
    (ended,) = box.box.sweep(at(1.0))
    assert (ended.status, ended.code) == ("expired", ErrorCode.OUTCOME_UNKNOWN)


def test_what_is_in_doubt_when_it_expires_has_a_while_for_a_sign_and_ends_then() -> None:
    for restarted in (False, True):
        box = in_doubt(**soon(1))
        if restarted:
            box = Box(accepted("1", A, uncertain=True, secret=b"s", **soon(1)), accepted("2", A))
        grace_s = GRACE.total_seconds()
        assert box.sweep(1.0) == box.sweep(grace_s) == []
        assert box.box.wait(at(grace_s)) == 1.0
        (ended,) = box.box.sweep(at(1.0 + grace_s))
        assert (ended.parcel.id, ended.status, ended.code) == ("1", "expired", ErrorCode.OUTCOME_UNKNOWN)
        assert (box.box.doubts, box.take(1e3)) == (0, ["2"])


def test_one_in_doubt_that_was_never_sent_ends_at_once_if_it_expired() -> None:
    box = in_doubt(**soon(1))
    assert box.sweep(2.0) == []
    box.box.absent(box.parcel("1"), at(2.0), Random(1))
    assert box.sweep(2.0) == [("1", "expired")]
    assert box.sweep(1e6) == []


def test_the_pause_of_a_command_that_expired_holds_up_nobody() -> None:
    box = Box(accepted("1", A, **soon(1)), accepted("2", A), backoff=Backoff(base_s=1000.0, cap_s=1000.0))
    box.take()
    box.settle("1", failed("server_error"))
    assert box.box.wait(at(0.0)) == 1.0, "its expiry"
    box.sweep(1.0)
    assert box.take(1.0) == ["2"]


def test_those_that_ended_before_they_expired_are_not_kept() -> None:
    box = Box()
    for number in range(500):
        box.box.add([accepted(str(number), A, **soon(1e6))], at(0.0))
        assert box.take() == [str(number)]
        box.settle(str(number), SENT)
    assert len(box.box._expiry) < 100


def test_a_person_who_wants_no_more_gets_none() -> None:
    box = Box(accepted("1", A, contact=Contact(opted_out=True)), accepted("2", B), accepted("3", B), accepted("4", C))
    assert box.sweep(0.0) == [("1", "failed")]
    box.take()
    box.box.wrote([f"{B}@s.whatsapp.net"], True, at(0.0))
    assert box.sweep(0.0) == [("3", "failed")]
    box.settle("2", failed("not_connected"))
    (end,) = box.box.sweep(at(0.0))
    assert (end.parcel.id, end.code) == ("2", ErrorCode.OPTED_OUT)


def test_an_operators_word_counts_as_much_as_the_persons_own() -> None:
    box = Box(accepted("1", A), accepted("2", B))
    box.box.consented([f"{A}@s.whatsapp.net", "77@lid"], True)
    assert box.sweep(0.0) == [("1", "failed")]
    box.box.consented([f"{A}@s.whatsapp.net"], False)
    box.box.add([accepted("3", A)], at(0.0))
    assert box.take() == ["2", "3"]


def test_a_command_that_waits_can_be_cancelled() -> None:
    box = Box(accepted("1", A), accepted("2", A), accepted("3", A))
    box.take()
    assert box.box.cancel(box.parcel("1"), at(0.0)) is None
    end = box.box.cancel(box.parcel("2"), at(0.0))
    assert end is not None
    assert (end.status, end.code) == ("failed", ErrorCode.CANCELLED)
    box.settle("1", SENT)
    assert box.take() == ["3"]


def test_one_in_doubt_can_be_cancelled_and_the_result_says_so() -> None:
    box = in_doubt()
    end = box.box.cancel(box.parcel("1"), at(0.0))
    assert end is not None
    assert (end.status, end.code) == ("failed", ErrorCode.CANCELLED)
    assert "may have sent it" in end.message
    assert (box.box.doubts, box.take()) == (0, ["2"])


def test_what_was_queued_before_another_number_was_paired_is_not_sent_from_that_one() -> None:
    box = Box(*(accepted(name, f"551190000000{name}") for name in "123"))
    box.take(most=1)
    box.take(most=1)
    box.settle("2", failed("outcome_unknown"))
    ended = box.box.disown(Disowned(AT + timedelta(seconds=1), ErrorCode.OTHER_NUMBER), at(1.0))
    assert [(end.parcel.id, end.code) for end in ended] == [
        ("2", ErrorCode.OTHER_NUMBER),
        ("3", ErrorCode.OTHER_NUMBER),
    ]
    assert ("may have sent" in ended[0].message, "may have sent" in ended[1].message) == (True, False)
    box.settle("1", failed("server_error"), 1.0)
    assert box.sweep(1.0) == [("1", "held")], "what comes back is not sent again either"
    later = replace(accepted("4", A), queued_at=AT + timedelta(seconds=2))
    box.box.add([accepted("5", B), later], at(3.0))
    assert box.sweep(3.0) == [("5", "held")]
    assert box.take(3.0) == ["4"]


def test_what_was_queued_before_the_clinic_was_put_back_is_held_unless_it_was_not_to_be_sent_before() -> None:
    put_back = AT + timedelta(seconds=10)
    due = {"1": None, "2": put_back, "3": put_back + timedelta(seconds=1)}
    made = [accepted(name, f"551190000000{name}") for name in due]
    made = [replace(one, command=replace(one.command, not_before=due[one.command.id])) for one in made]
    box = Box()
    assert box.box.disown(Disowned(put_back, ErrorCode.RESTORED), at(10.0)) == []
    box.box.add(made, at(12.0))
    ended = box.box.sweep(at(12.0))
    assert [(end.parcel.id, end.status, end.code) for end in ended] == [
        ("1", "held", ErrorCode.RESTORED),
        ("2", "held", ErrorCode.RESTORED),
    ]
    assert box.take(12.0) == ["3"]
    assert [end.code for end in box.box.disown(Disowned(put_back, ErrorCode.OTHER_NUMBER), at(13.0))] == []
