from datetime import timedelta
from random import Random

import pytest

from actors.channel.outbox import NOT_CONNECTED_PAUSE_S, Again, Ended, Outbox, OutboxPolicy
from protocol.codes import ErrorCode, Permanence
from protocol.ledger import Accepted
from protocol.subjects import Priority
from supervisor.backoff import Backoff
from tests.unit.actors.channel.commands import AT, SENT, accepted, failed, ids

A, B, C = "5511900000001", "5511900000002", "5511900000003"
RANDOM = Random(1)
MANY = 1000


def outbox(*commands: Accepted, **policy: object) -> Outbox:
    box = Outbox(OutboxPolicy(**policy))  # type: ignore[arg-type]  # a test's settings
    box.add(commands)
    return box


def test_commands_of_one_chat_go_one_after_another_in_order() -> None:
    box = outbox(accepted("1", A), accepted("2", A), accepted("3", A))
    for number in ("1", "2", "3"):
        assert ids(box.take(0.0, MANY)) == [number]
        assert box.take(0.0, MANY) == []
        box.settle(number, SENT, 0.0, RANDOM)
    assert len(box) == 0


def test_other_chats_go_on_while_one_waits() -> None:
    box = outbox(accepted("a1", A), accepted("a2", A), accepted("b1", B), accepted("b2", B))
    assert ids(box.take(0.0, MANY)) == ["a1", "b1"]
    assert isinstance(box.settle("a1", failed("server_error"), 0.0, RANDOM), Again)
    box.settle("b1", SENT, 0.0, RANDOM)
    assert ids(box.take(0.0, MANY)) == ["b2"]


def test_no_more_is_given_than_is_asked_for() -> None:
    box = outbox(*(accepted(chat, chat) for chat in (A, B, C)))
    assert box.take(0.0, 0) == []
    assert ids(box.take(0.0, 1)) == [A]
    assert ids(box.take(0.0, 2)) == [B, C]


def test_it_is_due_while_something_waits_that_is_not_pausing() -> None:
    box = outbox()
    assert not box.due(0.0)
    box.add([accepted("1", A)])
    assert box.due(0.0)
    box.take(0.0, MANY)
    assert not box.due(0.0)
    again = box.settle("1", failed("server_error"), 0.0, RANDOM)
    assert isinstance(again, Again)
    assert (box.due(0.0), box.due(again.delay_s)) == (False, True)


def test_a_retry_comes_before_what_was_accepted_later() -> None:
    box = outbox(accepted("1", A), accepted("2", A), backoff=Backoff(base_s=0.0))
    box.take(0.0, MANY)
    box.settle("1", failed("server_error"), 5.0, RANDOM)
    assert ids(box.take(5.0, MANY)) == ["1"]


def test_a_retry_waits_for_its_delay_and_says_how_long() -> None:
    box = outbox(accepted("1", A), accepted("2", A))
    box.take(0.0, MANY)
    again = box.settle("1", failed("server_error"), 10.0, RANDOM)
    assert isinstance(again, Again)
    assert 0.0 < again.delay_s <= 1.0
    assert box.wait(10.0) == pytest.approx(again.delay_s)
    assert box.take(10.0, MANY) == []
    assert ids(box.take(10.0 + again.delay_s, MANY)) == ["1"]
    assert box.wait(10.0 + again.delay_s) is None


def test_high_goes_before_normal_before_bulk_within_and_between_chats() -> None:
    box = outbox(
        accepted("bulk", A, priority=Priority.BULK),
        accepted("normal", A),
        accepted("other", B),
        accepted("high", A, priority=Priority.HIGH),
        in_flight=1,
    )
    order = []
    while taken := box.take(0.0, MANY):
        order += ids(taken)
        box.settle(taken[0].command.id, SENT, 0.0, RANDOM)
    assert order == ["high", "normal", "other", "bulk"]


def test_one_number_in_two_spellings_is_one_chat() -> None:
    box = outbox(accepted("1", A), accepted("2", f"+{A}"), accepted("3", f"{A}@s.whatsapp.net"))
    assert ids(box.take(0.0, MANY)) == ["1"]


def test_no_more_than_the_limit_are_in_flight() -> None:
    box = outbox(*(accepted(str(number), f"55119000000{number:02}") for number in range(20)), in_flight=3)
    assert len(box.take(0.0, MANY)) == 3
    assert box.take(0.0, MANY) == []
    assert box.flying == 3
    box.settle("0", SENT, 0.0, RANDOM)
    assert len(box.take(0.0, MANY)) == 1


def test_chats_take_turns() -> None:
    box = outbox(*(accepted(f"{to}-{n}", to) for n in range(3) for to in (A, B, C)), in_flight=1)
    chats = []
    while taken := box.take(0.0, MANY):
        chats.append(taken[0].command.to)
        box.settle(taken[0].command.id, SENT, 0.0, RANDOM)
    assert chats == [A, B, C] * 3


def test_the_room_is_the_window_less_what_is_held() -> None:
    box = outbox(accepted("1", A), accepted("2", A), window=3)
    assert box.room == 1
    box.take(0.0, MANY)
    assert box.room == 1
    box.settle("1", SENT, 0.0, RANDOM)
    assert box.room == 2
    box.add(accepted(str(number), A) for number in range(10, 20))
    assert box.room == 0


@pytest.mark.parametrize("on_uncertain", ["resend", "hold"])
@pytest.mark.parametrize("code", ErrorCode, ids=lambda code: code.value)
def test_the_permanence_of_the_code_decides_what_follows(code: ErrorCode, on_uncertain: str) -> None:
    box = outbox(accepted("1", A, on_uncertain=on_uncertain))
    box.take(0.0, MANY)
    settled = box.settle("1", failed(code.value), 0.0, RANDOM)
    match code.permanence:
        case Permanence.PERMANENT:
            assert isinstance(settled, Ended)
            assert (settled.status, settled.code, settled.attempts, settled.message) == ("failed", code, 1, "why")
        case Permanence.UNKNOWN if on_uncertain == "hold":
            assert isinstance(settled, Ended)
            assert (settled.status, settled.code) == ("held", code)
        case Permanence.NOT_CONNECTED:
            assert isinstance(settled, Again)
            assert (settled.accepted.attempts, settled.delay_s, settled.nothing_sent) == (
                0,
                NOT_CONNECTED_PAUSE_S,
                True,
            )
        case Permanence.UNKNOWN | Permanence.TRANSIENT:
            assert isinstance(settled, Again)
            assert settled.accepted.attempts == 1
            assert settled.nothing_sent == (code.permanence is Permanence.TRANSIENT)


def test_the_channels_policy_decides_where_the_command_does_not() -> None:
    box = outbox(accepted("1", A), accepted("2", B, on_uncertain="resend"), on_uncertain="hold")
    box.take(0.0, MANY)
    held = box.settle("1", failed("outcome_unknown"), 0.0, RANDOM)
    assert isinstance(held, Ended)
    assert held.status == "held"
    assert isinstance(box.settle("2", failed("outcome_unknown"), 0.0, RANDOM), Again)


def test_after_the_last_attempt_the_command_has_failed() -> None:
    box = outbox(accepted("1", A), attempts=3, backoff=Backoff(base_s=0.0))
    for _ in range(2):
        box.take(0.0, MANY)
        assert isinstance(box.settle("1", failed("server_error"), 0.0, RANDOM), Again)
    box.take(0.0, MANY)
    ended = box.settle("1", failed("server_error"), 0.0, RANDOM)
    assert isinstance(ended, Ended)
    assert (ended.status, ended.code, ended.attempts) == ("failed", ErrorCode.SERVER_ERROR, 3)


def test_being_disconnected_costs_no_attempt_however_often() -> None:
    box = outbox(accepted("1", A), attempts=1)
    for number in range(20):
        (taken,) = box.take(number, MANY)
        assert taken.attempts == 1
        assert isinstance(box.settle("1", failed("not_connected"), number, RANDOM), Again)


def test_attempts_from_before_a_restart_count() -> None:
    box = outbox(accepted("1", A, attempts=4), attempts=5)
    box.take(0.0, MANY)
    assert isinstance(box.settle("1", failed("server_error"), 0.0, RANDOM), Ended)


def test_what_has_expired_is_taken_out_and_never_sent() -> None:
    box = outbox(accepted("1", A, expires_at=AT), accepted("2", A, expires_at=AT + timedelta(seconds=1)))
    (ended,) = box.expire(AT)
    assert (ended.accepted.command.id, ended.status, ended.code) == ("1", "expired", ErrorCode.EXPIRED)
    assert ids(box.take(0.0, MANY)) == ["2"]
    assert box.expire(AT + timedelta(days=1)) == [], "what is with the port is not expired"


def test_what_may_have_been_sent_and_has_expired_is_not_sent_again_and_the_result_says_so() -> None:
    box = outbox(accepted("1", A, expires_at=AT, uncertain=True))
    (ended,) = box.expire(AT)
    assert (ended.status, ended.code) == ("expired", ErrorCode.OUTCOME_UNKNOWN)


def test_an_unknown_outcome_in_this_life_is_remembered_when_the_command_expires() -> None:
    box = outbox(accepted("1", A, expires_at=AT + timedelta(seconds=1)))
    box.take(0.0, MANY)
    box.settle("1", failed("outcome_unknown"), 0.0, RANDOM)
    (ended,) = box.expire(AT + timedelta(seconds=1))
    assert ended.code is ErrorCode.OUTCOME_UNKNOWN


def test_what_is_uncertain_after_a_restart_is_held_or_sent_again_as_its_sender_wants() -> None:
    hold = accepted("hold", A, uncertain=True, on_uncertain="hold", attempts=1)
    resend = accepted("resend", A, uncertain=True, attempts=1)
    fresh = accepted("fresh", B, on_uncertain="hold")
    box = outbox(hold, resend, fresh)
    (held,) = box.hold_uncertain()
    assert (held.accepted, held.status, held.code) == (hold, "held", ErrorCode.OUTCOME_UNKNOWN)
    assert ids(box.take(0.0, MANY)) == ["resend", "fresh"]


def test_an_answer_that_comes_twice_or_for_nobody_is_dropped() -> None:
    box = outbox(accepted("1", A))
    assert box.settle("1", SENT, 0.0, RANDOM) is None
    box.take(0.0, MANY)
    ended = box.settle("1", SENT, 0.0, RANDOM)
    assert ended == Ended(accepted("1", A, attempts=1), "sent", 1, wa_id="WA", sent_at=AT)
    assert box.settle("1", failed("server_error"), 0.0, RANDOM) is None
    assert len(box) == 0


def test_the_pause_of_a_command_that_expired_holds_up_nobody() -> None:
    soon = AT + timedelta(seconds=1)
    box = outbox(accepted("1", A, expires_at=soon), accepted("2", A), backoff=Backoff(base_s=1000.0, cap_s=1000.0))
    box.take(0.0, MANY)
    box.settle("1", failed("server_error"), 0.0, RANDOM)
    box.expire(soon)
    assert ids(box.take(1.0, MANY)) == ["2"]


def test_there_is_no_room_until_a_quarter_of_the_window_is_free() -> None:
    box = outbox(*(accepted(str(number), A) for number in range(7)), window=8)
    assert box.room == 0
    box.take(0.0, MANY)
    box.settle("0", SENT, 0.0, RANDOM)
    assert box.room == 2
