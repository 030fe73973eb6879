from datetime import UTC, datetime, timedelta

from actors.channel.gaps import Gaps, Report, bare
from protocol.port_events import AlreadyDecrypted, Record
from tests.unit.actors.channel.heard import message, receipt, undecryptable

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


def at(minutes: int) -> datetime:
    return NOON + timedelta(minutes=minutes)


def report(**fields: object) -> Report:
    known: dict[str, object] = {
        "since": None,
        "until": NOON,
        "announced": 0,
        "arrived": 0,
        "undecryptable": 0,
    }
    return Report(**(known | fields))  # type: ignore[arg-type]  # a test's


def thrown(wa_id: str) -> Record:
    return Record(number=1, what=AlreadyDecrypted(wa_id=wa_id, chat="c@lid", sender="c@lid"))


def session(gaps: Gaps, minutes: int) -> Report:
    gaps.came_up()
    gaps.deliver()
    assert gaps.due
    return gaps.report(at(minutes))


def test_a_report_is_due_when_there_is_a_session_and_its_backlog_is_in() -> None:
    gaps = Gaps()
    gaps.deliver()
    before = gaps.due
    gaps.came_up()
    between = gaps.due
    gaps.report(NOON)
    assert (before, between, gaps.due) == (False, True, False)


def test_what_came_before_the_session_was_announced_counts() -> None:
    gaps = Gaps()
    gaps.announce(3)
    gaps.hear(message("A", backlog=True))
    assert gaps.awaited == 3
    gaps.came_up()
    gaps.hear(undecryptable("B"))
    gaps.hear(message("live"))
    gaps.hear(receipt("X"))
    gaps.deliver()
    assert gaps.awaited == 0
    assert gaps.report(NOON) == report(announced=3, arrived=2, undecryptable=1)


def test_a_message_that_comes_several_times_counts_once() -> None:
    gaps = Gaps()
    gaps.announce(2)
    for _ in range(2):
        gaps.hear(undecryptable("A"))
    gaps.hear(message("A", backlog=True))
    assert session(gaps, 0) == report(announced=2, arrived=1, undecryptable=1)


def test_what_comes_after_the_report_does_not_count_for_the_next() -> None:
    gaps = Gaps()
    session(gaps, 0)
    gaps.hear(message("late", backlog=True))
    gaps.ended(at(1))
    assert session(gaps, 2) == report(since=at(1), until=at(2))


def test_a_session_that_ends_before_its_backlog_is_in_lengthens_the_gap() -> None:
    gaps = Gaps()
    session(gaps, 0)
    gaps.ended(at(1))
    gaps.announce(5)
    gaps.came_up()
    gaps.ended(at(2))
    assert session(gaps, 3) == report(since=at(1), until=at(3))


def test_two_reports_become_one() -> None:
    first = report(since=at(0), until=at(1), announced=2, arrived=1)
    second = report(since=at(2), until=at(3), announced=1, arrived=1, undecryptable=1)
    assert first.joined(second) == report(since=at(0), until=at(3), announced=3, arrived=2, undecryptable=1)


def test_what_was_thrown_away_is_told_with_the_report_or_astray_after_it() -> None:
    gaps = Gaps()
    gaps.throw(thrown("A"))
    assert session(gaps, 0).thrown == (thrown("A"),)
    gaps.throw(thrown("B"))
    assert gaps.reported
    assert gaps.report(at(1)) == report(until=at(1), thrown=(thrown("B"),), stray=True)


def test_a_jid_without_its_device() -> None:
    assert [bare(jid) for jid in ("5511:3@lid", "5511.0:3@lid", "5511@lid")] == ["5511@lid"] * 3
