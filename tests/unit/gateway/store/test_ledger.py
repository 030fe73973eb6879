from dataclasses import replace
from datetime import UTC, datetime

import pytest

from gateway.store.ledger import Known, judge
from gateway.store.rows import content_of
from protocol.commands import SendCommand
from protocol.events import ResultEvent
from protocol.ledger import Accepted, Conflicted, Offer, Repeated
from protocol.subjects import Priority

RESULT = ResultEvent(clinic="acme", channel="recepcao", id="a", status="sent", wa_id="WA1")


def offer(id: str, text: str = "Olá") -> Offer:
    command = SendCommand(v=1, id=id, to="5511987654321", type="text", text=text)
    return Offer(command=command, body=b"", priority=Priority.HIGH, queued_at=datetime.now(UTC), headers={"h": "1"})


def known(offer: Offer, result: ResultEvent | None = None) -> dict[str, Known]:
    return {offer.command.id: Known(content_of(offer.command), result)}


def test_an_unknown_id_is_accepted_for_its_first_run_and_stored() -> None:
    given = offer("a")
    verdicts, fresh = judge("recepcao", [given], {})
    assert fresh == [given]
    assert verdicts == [
        Accepted(
            channel="recepcao",
            command=given.command,
            run=1,
            priority=Priority.HIGH,
            attempts=0,
            uncertain=False,
            queued_at=given.queued_at,
            headers={"h": "1"},
        )
    ]


@pytest.mark.parametrize("result", [None, RESULT])
def test_a_known_id_with_the_same_content_repeats_what_is_known(result: ResultEvent | None) -> None:
    assert judge("recepcao", [offer("a")], known(offer("a"), result)) == ([Repeated(id="a", result=result)], [])


@pytest.mark.parametrize("result", [None, RESULT])
def test_a_known_id_with_other_content_is_a_conflict(result: ResultEvent | None) -> None:
    assert judge("recepcao", [offer("a", "Tchau")], known(offer("a"), result)) == ([Conflicted(id="a")], [])


def test_the_first_of_a_batch_decides_for_those_after_it() -> None:
    first = offer("a")
    verdicts, fresh = judge("recepcao", [first, offer("a", "Tchau"), offer("a")], {})
    assert [type(verdict) for verdict in verdicts] == [Accepted, Conflicted, Repeated]
    assert fresh == [first]


def test_priority_time_and_headers_are_no_part_of_the_content() -> None:
    other = replace(offer("a"), priority=Priority.BULK, queued_at=datetime(2030, 1, 1, tzinfo=UTC), headers={})
    assert judge("recepcao", [other], known(offer("a"))) == ([Repeated(id="a", result=None)], [])
