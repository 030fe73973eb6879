"""Spans on their way to a collector, over HTTP."""

import asyncio
import socket
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import pytest

from gateway.telemetry.export import END_S, SpanExport
from protocol.telemetry import Step, Stretch
from tests.fakes.collector import Collector

AT = datetime(2026, 1, 1, tzinfo=UTC)
TRACE, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"


@pytest.fixture
async def collector() -> AsyncIterator[Collector]:
    async with Collector() as running:
        yield running


def stretch(step: Step, begin_s: float = 0.0, end_s: float = 1.0, **facts: str | int) -> Stretch:
    return Stretch(
        step=step,
        clinic="acme",
        channel="front",
        id="visit-7",
        run=1,
        begin=AT + timedelta(seconds=begin_s),
        end=AT + timedelta(seconds=end_s),
        headers={"traceparent": f"00-{TRACE}-{PARENT}-01"},
        facts=facts,
    )


async def exported(collector: Collector, *stretches: Stretch) -> None:
    export = SpanExport(collector.url, "1.2.3", lambda text: text)
    await export.start()
    for each in stretches:
        export.went(each)
    await export.stop(timeout=10.0)


async def test_a_way_is_one_trace_with_its_steps_in_the_command(collector: Collector) -> None:
    await exported(
        collector,
        stretch(Step.QUEUE, 0, 0.25),
        stretch(Step.SEND, 0.5, 0.75),
        stretch(Step.COMMAND, 0, 1, status="sent"),
        stretch(Step.DELIVERY, 1, 4),
    )
    [command] = collector.named("plantao.command")
    assert (command["trace"], command["parent"]) == (TRACE, PARENT)
    assert command["resource"] == {"service.name": "plantao", "service.version": "1.2.3"}
    assert command["attributes"]["plantao.status"] == "sent"
    assert command["end"] - command["begin"] == 1_000_000_000
    assert command["begin"] == AT.timestamp() * 1_000_000_000
    others = [span for span in collector.spans if span is not command]
    assert {span["name"] for span in others} == {"plantao.queue", "plantao.send", "plantao.delivery"}
    assert {(span["trace"], span["parent"]) for span in others} == {(TRACE, command["id"])}
    assert len({span["id"] for span in collector.spans}) == 4


async def test_what_failed_is_an_error(collector: Collector) -> None:
    await exported(collector, stretch(Step.COMMAND, error_code="opted_out"), stretch(Step.SEND))
    assert [(span["name"], span["error"]) for span in collector.spans] == [
        ("plantao.command", "opted_out"),
        ("plantao.send", ""),
    ]


async def test_a_time_that_ends_before_it_begins_took_none(collector: Collector) -> None:
    await exported(collector, stretch(Step.DELIVERY, 5, 4))
    [span] = collector.spans
    assert span["begin"] == span["end"]


async def test_a_collector_that_takes_nothing_is_no_trouble(collector: Collector) -> None:
    collector.refusing = True
    await exported(collector, stretch(Step.COMMAND))
    assert (collector.spans, collector.asked > 0) == ([], True)


async def test_a_collector_that_never_answers_does_not_hold_up_the_end() -> None:
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        export = SpanExport(f"http://127.0.0.1:{deaf.getsockname()[1]}", "1.2.3", lambda text: text)
        await export.start()
        export.went(stretch(Step.COMMAND))
        async with asyncio.timeout(END_S * 3):
            await export.stop(timeout=60.0)


async def test_before_it_starts_and_after_it_ended_nothing_is_kept(collector: Collector) -> None:
    export = SpanExport(collector.url, "1.2.3", lambda text: text)
    export.went(stretch(Step.COMMAND))
    await export.start()
    await export.stop(timeout=10.0)
    export.went(stretch(Step.COMMAND))
    await export.stop(timeout=10.0)
    assert collector.spans == []


async def test_it_may_be_started_again(collector: Collector) -> None:
    export = SpanExport(collector.url, "1.2.3", lambda text: text)
    for _ in range(2):
        await export.start()
        export.went(stretch(Step.COMMAND))
        await export.stop(timeout=10.0)
    assert len(collector.spans) == 2


async def test_what_goes_to_this_machine_goes_through_no_proxy(
    collector: Collector, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    await exported(collector, stretch(Step.COMMAND))
    assert [span["name"] for span in collector.spans] == ["plantao.command"]
