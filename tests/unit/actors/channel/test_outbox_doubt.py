"""What may have been sent: it waits for a sign, and ends or goes again."""

from datetime import timedelta
from random import Random

from actors.channel.outbox import FREE_ABSENCES
from actors.channel.parcel import Again, Ended
from protocol.codes import ErrorCode
from tests.unit.actors.channel.box import AT_ONCE, A, B, Box, in_doubt, one_by_one
from tests.unit.actors.channel.commands import AT, SENT, accepted, at, failed


def never_sent(box: Box, code: str, *, cut: bool) -> Again | Ended:
    """It is given to the port, comes back unknown, and is not in the session store."""
    assert box.take() == ["1"]
    box.box.settle(box.parcel("1"), failed(code), at(0.0), Random(1), cut=cut)
    return box.box.absent(box.parcel("1"), at(0.0), Random(1))


def test_what_was_never_sent_goes_first_again_at_no_cost() -> None:
    box = Box(accepted("1", A), accepted("2", A))
    again = never_sent(box, "outcome_unknown", cut=True)
    assert isinstance(again, Again)
    assert (again.spent, again.parcel.attempts) == (False, 0)
    assert box.take() == ["1"]


def test_one_that_kills_every_port_does_not_do_so_for_ever() -> None:
    box = Box(accepted("1", A), attempts=2, backoff=AT_ONCE)
    for _ in range(FREE_ABSENCES):
        never_sent(box, "outcome_unknown", cut=True)
    again, ended = (never_sent(box, "outcome_unknown", cut=True) for _ in range(2))
    assert isinstance(again, Again)
    assert (again.spent, again.parcel.attempts) == (True, 2)
    assert isinstance(ended, Ended)
    assert (ended.status, ended.code) == ("failed", ErrorCode.OUTCOME_UNKNOWN)


def test_an_unknown_error_of_a_living_port_counts_even_if_nothing_was_sent() -> None:
    box = Box(accepted("1", A), attempts=2, backoff=AT_ONCE)
    assert isinstance(never_sent(box, "internal", cut=False), Again)
    ended = never_sent(box, "internal", cut=False)
    assert isinstance(ended, Ended)
    assert (ended.status, ended.code, ended.parcel.attempts) == ("failed", ErrorCode.INTERNAL, 2)


def test_after_the_wait_it_is_sent_again_or_held_as_its_sender_wants() -> None:
    box = in_doubt()
    again = box.box.waited(box.parcel("1"), at(0.0), "why")
    assert isinstance(again, Again)
    assert (again.in_doubt, again.parcel.attempts) == (True, 1)
    assert box.take() == ["1"]
    box = in_doubt(on_uncertain="hold")
    held = box.box.waited(box.parcel("1"), at(0.0), "why")
    assert isinstance(held, Ended)
    assert (held.status, held.code) == ("held", ErrorCode.OUTCOME_UNKNOWN)
    assert box.take() == ["2"]


def test_the_channels_policy_decides_where_the_command_does_not() -> None:
    box = Box(accepted("1", A), accepted("2", B, on_uncertain="resend"), on_uncertain="hold")
    box.take()
    for name, kind in (("1", Ended), ("2", Again)):
        box.settle(name, failed("outcome_unknown"))
        assert isinstance(box.box.waited(box.parcel(name), at(0.0), ""), kind)


def test_after_the_last_attempt_what_is_in_doubt_has_failed() -> None:
    box = Box(accepted("1", A), attempts=1)
    box.take()
    box.settle("1", failed("outcome_unknown"))
    ended = box.box.waited(box.parcel("1"), at(0.0), "why")
    assert isinstance(ended, Ended)
    assert (ended.status, ended.code) == ("failed", ErrorCode.OUTCOME_UNKNOWN)


def test_a_receipt_shows_that_it_was_sent_also_when_it_waits_to_be_sent_again() -> None:
    for wait in (False, True):
        box = in_doubt()
        if wait:
            box.box.waited(box.parcel("1"), at(0.0), "")
        assert box.box.shown("1", 2, "WA", at(1.0)) is None, "another run"
        end = box.box.shown("1", 1, "WA", at(1.0))
        assert end is not None
        assert (end.status, end.wa_id, end.sent_at) == ("sent", "WA", AT + timedelta(seconds=1))
        assert box.take() == ["2"]


def test_a_receipt_says_nothing_of_what_is_with_the_port_or_gone() -> None:
    box = Box(accepted("1", A))
    box.take()
    assert box.box.shown("1", 1, "WA", at(0.0)) is None
    box.settle("1", SENT)
    assert box.box.shown("1", 1, "WA", at(0.0)) is None


def test_what_a_restart_finds_in_doubt_holds_up_its_chat_alone() -> None:
    box = Box(accepted("b", B))
    uncertain = accepted("1", A, uncertain=True, secret=b"s" * 32, attempts=1)
    (parcel,) = box.box.add([uncertain, accepted("2", A)], at(0.0))
    assert parcel.id == "1"
    assert box.take() == ["b"]
    box.box.unsent(parcel, at(0.0))
    assert box.take() == ["1"]


def test_several_in_doubt_in_a_chat_come_back_in_order() -> None:
    box = Box()
    uncertain = [accepted(n, A, uncertain=True, secret=n.encode() * 32, attempts=1) for n in "12"]
    one, two = box.box.add([*uncertain, accepted("3", A)], at(0.0))
    box.box.unsent(one, at(0.0))
    assert box.take() == []
    box.box.unsent(two, at(0.0))
    assert one_by_one(box) == ["1", "2", "3"]
