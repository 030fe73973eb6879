from datetime import timedelta

import pytest

from actors.channel.lines import PATIENCE
from actors.channel.pacing import Hold, Stop
from actors.channel.parcel import Again, Parcel
from protocol.ledger import Contact
from protocol.subjects import Priority
from tests.unit.actors.channel.box import MANY, A, B, Box, C, one_by_one
from tests.unit.actors.channel.commands import AT, SENT, accepted, at, failed, names

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
