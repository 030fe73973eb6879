"""The line of sends, as main sees it."""

from datetime import UTC, datetime

from gateway.whatsapp.send_line import SendLine
from protocol.interfaces import SendOutcome
from protocol.port import Failed, SendText, Sent

SENT = Sent(wa_id="3A", at=datetime(2026, 1, 1, tzinfo=UTC))


def texts(*keys: str) -> list[SendText]:
    return [SendText(key=key, secret=b"s" * 32, to="1@lid", text="x") for key in keys]


def ignore(_: object) -> None:
    """Nobody listens."""


def other(_: object) -> None:
    """Nobody listens here either."""


def test_outcomes_are_gathered_by_whom_they_are_for() -> None:
    line = SendLine()
    line.join(texts("a", "b"), ignore, 5.0, 0.0)
    line.join(texts("c"), other, 5.0, 0.0)
    for key in "acb":
        line.answered(key, SENT, ord(key), 1.0)
    line.answered("nobody's", SENT, 1, 1.0)
    assert line.take_outcomes() == {
        ignore: [SendOutcome(key="a", answer=SENT, record=97), SendOutcome(key="b", answer=SENT, record=98)],
        other: [SendOutcome(key="c", answer=SENT, record=99)],
    }
    assert line.take_outcomes() == {}
    assert len(line) == 0


def test_the_head_of_the_line_is_late_so_long_after_the_last_one_was_answered() -> None:
    line = SendLine()
    assert line.due() is None
    line.join(texts("a"), ignore, 5.0, 10.0)
    line.join(texts("b"), ignore, 7.0, 12.0)
    assert line.due() == 15.0
    assert line.late() == ("a", 5.0)
    line.answered("a", SENT, 1, 13.0)
    assert line.due() == 20.0
    line.answered("b", SENT, 1, 14.0)
    assert line.due() is None
    line.join(texts("c"), ignore, 1.0, 100.0)
    assert line.due() == 101.0


def test_who_is_left_at_the_end_is_not_known_of() -> None:
    line = SendLine()
    line.join(texts("a", "b"), ignore, 5.0, 0.0)
    line.end("killed by signal 9", late="a")
    (outcomes,) = line.take_outcomes().values()
    assert [(outcome.key, outcome.cut, outcome.record) for outcome in outcomes] == [
        ("a", False, None),
        ("b", True, None),
    ]
    assert {outcome.answer for outcome in outcomes} == {
        Failed(code="outcome_unknown", message="the port is gone: killed by signal 9")
    }
    assert len(line) == 0


def test_one_that_may_take_longer_leaves_those_behind_it_their_own_time() -> None:
    line = SendLine()
    line.join(texts("image"), ignore, 140.0, 0.0)
    line.join(texts("text"), ignore, 80.0, 10.0)
    assert line.due() == 140.0
    line.answered("image", SENT, 1, 130.0)
    assert line.due() == 210.0
