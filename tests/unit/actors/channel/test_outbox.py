from dataclasses import replace
from datetime import timedelta
from random import Random
from typing import Any

import pytest

from actors.channel.expiry import GRACE
from actors.channel.lines import PATIENCE
from actors.channel.outbox import FREE_ABSENCES, NOT_CONNECTED_PAUSE_S, RESTRICTED_PAUSE_S, Outbox, OutboxPolicy
from actors.channel.pacing import Hold, Stop
from actors.channel.parcel import Again, Doubted, Ended, Parcel, Place, Settled
from protocol.codes import ErrorCode, Permanence
from protocol.ledger import Accepted, Contact
from protocol.port import Failed, Sent
from protocol.subjects import Priority
from supervisor.backoff import Backoff
from tests.unit.actors.channel.commands import AT, SENT, accepted, at, failed, names

A, B, C = "5511900000001", "5511900000002", "5511900000003"
MANY = 1000
AT_ONCE = Backoff(base_s=0.0)


class Box:
    """An outbox, with the names of commands for parcels and seconds for times."""

    def __init__(self, *commands: Accepted, **policy: object) -> None:
        self.box = Outbox(OutboxPolicy(**policy))  # type: ignore[arg-type]  # a test's settings
        self.box.add(commands, at(0.0))

    def take(self, now: float = 0.0, most: int = MANY) -> list[str]:
        taken = self.box.take(at(now), most)
        for parcel in taken:
            parcel.begin(b"secret of " + parcel.id.encode())
        return names(taken)

    def parcel(self, id: str) -> Parcel:
        found = self.box.find(id)
        assert found is not None
        return found

    def settle(self, id: str, answer: Sent | Failed, now: float = 0.0) -> Settled:
        return self.box.settle(self.parcel(id), answer, at(now), Random(1))

    def sweep(self, now: float) -> list[tuple[str, str]]:
        return [(end.parcel.id, end.status) for end in self.box.sweep(at(now))]


def soon(seconds: float) -> dict[str, Any]:
    return {"expires_at": AT + timedelta(seconds=seconds)}


# -- order --


def test_commands_of_one_chat_go_one_after_another_in_order() -> None:
    box = Box(accepted("1", A), accepted("2", A), accepted("3", A))
    for number in ("1", "2", "3"):
        assert box.take() == [number]
        assert box.take() == []
        box.settle(number, SENT)
    assert len(box.box) == 0


def test_other_chats_go_on_while_one_waits() -> None:
    box = Box(accepted("a1", A), accepted("a2", A), accepted("b1", B), accepted("b2", B))
    assert box.take() == ["a1", "b1"]
    assert isinstance(box.settle("a1", failed("server_error")), Again)
    box.settle("b1", SENT)
    assert box.take() == ["b2"]


def test_no_more_is_given_than_is_asked_for_or_may_be_in_flight() -> None:
    box = Box(*(accepted(f"{number}", f"55119000000{number:02}") for number in range(20)), in_flight=3)
    assert [len(box.take(most=most)) for most in (0, 1, MANY, MANY)] == [0, 1, 2, 0]
    assert box.box.flying == 3
    box.settle("0", SENT)
    assert len(box.take()) == 1


def test_it_is_due_while_something_waits_that_is_not_pausing() -> None:
    box = Box()
    assert not box.box.due(at(0.0))
    box.box.add([accepted("1", A)], at(0.0))
    assert box.box.due(at(0.0))
    box.take()
    assert not box.box.due(at(0.0))
    again = box.settle("1", failed("server_error"))
    assert isinstance(again, Again)
    assert (box.box.due(at(0.0)), box.box.due(at(again.delay_s))) == (False, True)


def test_a_retry_comes_before_what_was_accepted_later_and_waits_for_its_delay() -> None:
    box = Box(accepted("1", A), accepted("2", A))
    box.take()
    again = box.settle("1", failed("server_error"), 10.0)
    assert isinstance(again, Again)
    assert 0.0 < again.delay_s <= 1.0
    assert box.box.wait(at(10.0)) == pytest.approx(again.delay_s)
    assert box.take(10.0) == []
    assert box.take(10.0 + again.delay_s) == ["1"]
    assert box.box.wait(at(10.0 + again.delay_s)) is None


def test_high_goes_before_normal_before_bulk_within_and_between_chats() -> None:
    box = Box(
        accepted("bulk", A, priority=Priority.BULK),
        accepted("normal", A),
        accepted("other", B),
        accepted("high", A, priority=Priority.HIGH),
        in_flight=1,
    )
    assert one_by_one(box) == ["high", "other", "normal", "bulk"]


def one_by_one(box: Box) -> list[str]:
    order = []
    while taken := box.take():
        order += taken
        for name in taken:
            box.settle(name, SENT)
    return order


def test_one_number_in_two_spellings_is_one_chat() -> None:
    box = Box(accepted("1", A), accepted("2", f"+{A}"), accepted("3", f"{A}@s.whatsapp.net"))
    assert box.take() == ["1"]


def test_chats_take_turns() -> None:
    box = Box(*(accepted(f"{to}-{n}", to) for n in range(3) for to in (A, B, C)), in_flight=1)
    assert [name[:-2] for name in one_by_one(box)] == [A, B, C] * 3


def test_no_rank_is_passed_over_for_ever() -> None:
    chats = [f"55119000000{number:02}" for number in range(30)]
    high = [accepted(f"high-{to}-{n}", to, priority=Priority.HIGH) for n in range(10) for to in chats]
    others = accepted("normal", "5511900000098"), accepted("bulk", "5511900000099", priority=Priority.BULK)
    order = one_by_one(Box(*high, *others, in_flight=1))
    assert max(order.index("normal"), order.index("bulk")) <= PATIENCE + 1


def test_no_line_of_a_chat_is_passed_over_for_ever() -> None:
    high = [accepted(f"high-{n}", A, priority=Priority.HIGH) for n in range(30)]
    box = Box(*high, accepted("normal", A), accepted("bulk", A, priority=Priority.BULK))
    order = one_by_one(box)
    assert max(order.index("normal"), order.index("bulk")) <= PATIENCE + 1


def test_a_chat_whose_person_wrote_today_counts_as_high_as_a_whole() -> None:
    today, long_ago = Contact(last_in=AT - timedelta(hours=23)), Contact(last_in=AT - timedelta(hours=25))
    box = Box(
        accepted("stranger", A),
        accepted("before", B, contact=long_ago),
        accepted("bulk", C, priority=Priority.BULK, contact=today),
        in_flight=1,
    )
    assert one_by_one(box) == ["bulk", "stranger", "before"]


def test_so_does_one_whose_person_writes_now() -> None:
    box = Box(accepted("1", A), accepted("2", B, priority=Priority.BULK), in_flight=1)
    box.box.wrote([f"{B}@s.whatsapp.net", "7@lid"], None, at(0.0))
    assert one_by_one(box) == ["2", "1"]


# -- the window --


def test_the_room_is_the_window_less_what_can_go_now() -> None:
    box = Box(*(accepted(f"{n}", A) for n in range(100)), accepted("b", B), window=8)
    assert box.box.room == 6, "of each chat the head"
    box.take()
    assert box.box.room == 5, "what is with the port, and who is next in its chat"
    box.settle("0", failed("server_error"))
    assert box.box.room == 7, "a chat that pauses fills nothing"


def test_a_chat_that_waits_for_a_retry_or_a_sign_or_pacing_fills_no_window() -> None:
    box = Box(*(accepted(f"{to}-{n}", to) for to in (A, B, C) for n in range(50)), window=4)
    assert box.box.room == 1
    box.box.take(at(0.0), 1, lambda _, __: Hold(60.0))
    assert box.box.room == 4
    box = Box(*(accepted(f"{to}-{n}", to) for to in (A, B, C) for n in range(50)), window=4)
    box.take()
    for to in (A, B, C):
        box.settle(f"{to}-0", failed("outcome_unknown"))
    assert (box.box.room, box.box.doubts, box.box.flying) == (4, 3, 0)


def test_all_that_is_held_is_bounded_in_number_and_bytes() -> None:
    box = Box(*(accepted(f"{n}", A) for n in range(9)), window=8, backlog=10)
    assert box.box.room == 0, "less than a quarter of the window"
    box.take()
    box.settle("0", SENT)
    assert box.box.room == 2
    assert Box(accepted("1", A, text="x" * 2000), window=8, bytes=2000).box.room == 0


# -- what follows from an answer --


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


# -- doubt --


def in_doubt(**policy: Any) -> Box:
    box = Box(accepted("1", A, **policy), accepted("2", A), attempts=3)
    box.take()
    box.settle("1", failed("outcome_unknown"))
    return box


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


# -- ending without an attempt --


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
    ended = box.box.disown(AT + timedelta(seconds=1), at(1.0))
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


# -- pacing --


def test_who_is_held_by_pacing_holds_up_no_other_and_is_asked_for_again_in_time() -> None:
    box = Box(accepted("1", A), accepted("2", B))
    held = {"1"}

    def pace(parcel: Parcel, _: object) -> Hold | None:
        return Hold(60.0) if parcel.id in held else None

    assert names(box.box.take(at(0.0), MANY, pace)) == ["2"]
    assert box.box.wait(at(0.0)) == 60.0
    held.clear()
    assert names(box.box.take(at(59.0), MANY, pace)) == []
    assert names(box.box.take(at(60.0), MANY, pace)) == ["1"]


def test_what_pacing_holds_is_asked_for_again_when_its_person_writes_or_the_rules_change() -> None:
    for change in ("wrote", "reconsider"):
        box = Box(accepted("1", A))
        box.box.take(at(0.0), MANY, lambda _, __: Hold(1e6))
        assert box.take(1.0) == []
        if change == "wrote":
            box.box.wrote([f"{A}@s.whatsapp.net"], None, at(1.0))
        else:
            box.box.reconsider(at(1.0))
        assert box.take(1.0) == ["1"]


def test_when_pacing_stops_all_nobody_goes_until_then() -> None:
    box = Box(accepted("1", A), accepted("2", B))
    assert box.box.take(at(0.0), MANY, lambda _, __: Stop(5.0)) == []
    assert box.box.wait(at(0.0)) == 5.0
    assert box.take(4.9) == []
    assert box.take(5.0) == ["1", "2"]
