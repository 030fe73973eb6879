from datetime import UTC, datetime, timedelta

import pytest
from msgspec.structs import replace

from gateway.store.commands import Known, due_later, judge
from gateway.store.rows import content_of, micros
from protocol.commands import SendCommand
from protocol.events import ResultEvent
from protocol.ledger import Conflicted, Offer, Repeated
from protocol.subjects import Priority

RESULT = ResultEvent(clinic="acme", channel="recepcao", id="a", status="sent", wa_id="WA1")
NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)


def offer(id: str, text: str = "Olá", not_before: datetime | None = None) -> Offer:
    command = SendCommand(v=1, id=id, to="5511987654321", type="text", text=text, not_before=not_before)
    return Offer(command=command, body=b"", priority=Priority.HIGH, queued_at=NOW, headers={"h": "1"})


def known(offer: Offer, result: ResultEvent | None = None) -> dict[str, Known]:
    """As it is known that was queued a second before."""
    return {offer.command.id: Known(content_of(offer.command), micros(offer.queued_at) - 1_000_000, result)}


def test_an_unknown_id_is_new() -> None:
    given = offer("a")
    assert judge([given], {}) == [given]


@pytest.mark.parametrize("result", [None, RESULT])
def test_a_known_id_with_the_same_content_repeats_what_is_known(result: ResultEvent | None) -> None:
    assert judge([offer("a")], known(offer("a"), result)) == [Repeated(id="a", result=result)]


def test_what_the_queue_gives_twice_is_told_nothing() -> None:
    given = offer("a")
    before = {"a": Known(content_of(given.command), micros(given.queued_at), RESULT)}
    assert judge([given], before) == [Repeated(id="a", result=None)]


@pytest.mark.parametrize("result", [None, RESULT])
def test_a_known_id_with_other_content_is_a_conflict(result: ResultEvent | None) -> None:
    assert judge([offer("a", "Tchau")], known(offer("a"), result)) == [Conflicted(id="a")]


def test_the_first_of_a_batch_decides_for_those_after_it() -> None:
    first = offer("a")
    verdicts = judge([first, offer("a", "Tchau"), offer("a")], {})
    assert verdicts == [first, Conflicted(id="a"), Repeated(id="a", result=None)]


def test_priority_time_and_headers_are_no_part_of_the_content() -> None:
    other = replace(offer("a"), priority=Priority.BULK, queued_at=datetime(2030, 1, 1, tzinfo=UTC), headers={})
    assert judge([other], known(offer("a"))) == [Repeated(id="a", result=None)]


@pytest.mark.parametrize(("after_s", "later"), [(None, False), (-1, False), (0, False), (1, True)])
def test_what_is_not_to_be_sent_yet_is_what_has_its_time_before_it(after_s: int | None, later: bool) -> None:
    not_before = None if after_s is None else NOW + timedelta(seconds=after_s)
    assert due_later(offer("a", not_before=not_before).command, NOW) is later
