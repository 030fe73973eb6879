from collections.abc import Sequence
from datetime import timedelta

import hypothesis.strategies as st
import pytest
from hypothesis import given
from structlog.testing import capture_logs

from actors.channel.fitting import TOO_LARGE, publish_fitting, tried
from protocol.bus import Publication
from protocol.codes import ErrorCode
from protocol.errors import BusUnavailableError, InvalidInputError
from protocol.events import ErrorBody, Event, GapEvent, LostMessage, ResultEvent
from protocol.subjects import EventKind
from tests.unit.actors.channel.bench import CHANNEL, CLINIC, Bench
from tests.unit.actors.channel.commands import AT

LIMIT = 600
LARGE = {"large": "x" * 1000}


def result(id: str, meta: dict[str, str] | None = None, error: ErrorBody | None = None) -> Publication:
    status = "sent" if error is None else "failed"
    return of(id, ResultEvent(clinic=CLINIC, channel=CHANNEL, id=id, status=status, meta=meta, error=error))  # type: ignore[arg-type]  # one of two


def gap(id: str, names: int) -> Publication:
    """An event from which nothing can be left out."""
    lost = [LostMessage(wa_id=f"L{number}", chat="5511900000001", from_="5511900000001") for number in range(names)]
    event = GapEvent(
        clinic=CLINIC, channel=CHANNEL, since=AT, until=AT, announced=0, arrived=0, undecryptable=0, lost=lost
    )
    return of(id, event)


def of(id: str, event: Event) -> Publication:
    return Publication(channel=CHANNEL, kind=EventKind.RESULT, event=event, message_id=id, headers={})


@pytest.fixture
def bench() -> Bench:
    bench = Bench()
    bench.bus.max_bytes = LIMIT
    return bench


async def test_what_fits_is_published_as_it_is_in_one_go(bench: Bench) -> None:
    publications = [result("1"), gap("2", 1), result("3", {"small": "x"})]
    await publish_fitting(bench.context, publications)
    assert (bench.bus.published, bench.bus.publish_calls) == (publications, 1)


async def test_what_is_reduced_or_dropped_is_said_and_what_is_behind_it_is_looked_up(bench: Bench) -> None:
    with capture_logs() as logs:
        await publish_fitting(bench.context, [result("1"), result("2", LARGE), gap("3", 50), result("4")])
    assert [one.message_id for one in bench.bus.published] == ["1", "2", "4"]
    assert bench.bus.looked_up == ["3", "4", "4"], "as they may be stored; not what was refused, nor what is before it"
    assert [line["event"] for line in logs] == [
        "event reduced: NATS cannot take it",
        "event dropped: NATS cannot take it",
    ]


async def test_a_result_says_that_something_was_left_out_unless_it_says_more(bench: Bench) -> None:
    rejected = ErrorBody.of(ErrorCode.REJECTED, "no")
    await publish_fitting(bench.context, [result("1", LARGE), result("2", LARGE, rejected)])
    first, second = bench.bus.results()
    assert (first.meta, first.error, first.status) == (None, ErrorBody.of(ErrorCode.INTERNAL, TOO_LARGE), "sent")
    assert (second.meta, second.error) == (None, rejected)


async def test_a_refusal_of_none_of_these_leaves_nothing_out(bench: Bench) -> None:
    async def refuse(batch: Sequence[Publication]) -> None:
        raise InvalidInputError("channel", "one that is served")

    bench.bus.publish = refuse  # type: ignore[method-assign]  # a mistake
    with pytest.raises(BusUnavailableError, match="one that is served"):
        await publish_fitting(bench.context, [result("1", LARGE)])


async def test_a_bus_that_goes_in_between_is_told(bench: Bench) -> None:
    bench.bus.breaking = 1
    with pytest.raises(BusUnavailableError):
        await publish_fitting(bench.context, [result("1"), result("2", LARGE)])


def test_what_may_have_been_published_before_is_looked_up_since_then() -> None:
    once = tried(result("1"), AT)
    assert (once.since, tried(once, AT + timedelta(hours=1)).since) == (AT, AT)


@given(sizes=st.lists(st.tuples(st.booleans(), st.booleans()), max_size=8))
async def test_in_order_all_but_what_cannot_be_reduced_are_told_once(sizes: list[tuple[bool, bool]]) -> None:
    """(whether it can be reduced, whether it is large) of each."""
    bench = Bench()
    bench.bus.max_bytes = LIMIT
    publications = [
        result(str(place), LARGE if large else None) if reducible else gap(str(place), 50 if large else 1)
        for place, (reducible, large) in enumerate(sizes)
    ]
    await publish_fitting(bench.context, publications)
    told = [str(place) for place, (reducible, large) in enumerate(sizes) if reducible or not large]
    assert [one.message_id for one in bench.bus.published] == told
