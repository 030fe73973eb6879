"""Which span is what."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import pytest

from config.log import redact_text
from gateway.telemetry.spans import SpanName, attributes_of, name_of
from protocol.telemetry import Step, Stretch

AT = datetime(2026, 1, 1, tzinfo=UTC)
TRACE, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"


def stretch(step: Step = Step.COMMAND, headers: Mapping[str, str] | None = None, **changes: Any) -> Stretch:
    known: dict[str, Any] = {"clinic": "acme", "channel": "front", "id": "visit-7", "run": 1}
    return Stretch(step=step, begin=AT, end=AT, headers=headers or {}, **{**known, **changes})


@pytest.mark.parametrize("step", [Step.QUEUE, Step.SEND, Step.DELIVERY])
def test_the_steps_of_a_run_are_in_its_command_wherever_they_are_told(step: Step) -> None:
    command, part = name_of(stretch()), name_of(stretch(step))
    assert (part.trace, part.parent, part.span) == (command.trace, command.span, None)
    assert command.parent is None


@pytest.mark.parametrize("changes", [{"run": 2}, {"id": "visit-8"}, {"channel": "back"}, {"clinic": "bela"}])
def test_another_run_is_another_span(changes: dict[str, Any]) -> None:
    assert name_of(stretch(**changes)).span != name_of(stretch()).span


def test_a_command_is_a_child_of_the_span_that_sent_it() -> None:
    name = name_of(stretch(headers={"traceparent": f"00-{TRACE}-{PARENT}-01"}))
    assert (name.trace, name.parent, name.sampled) == (int(TRACE, 16), int(PARENT, 16), True)
    part = name_of(stretch(Step.SEND, headers={"traceparent": f"00-{TRACE}-{PARENT}-01"}))
    assert (part.trace, part.parent) == (name.trace, name.span)


def test_what_nobody_wants_to_see_is_not_sampled() -> None:
    assert not name_of(stretch(headers={"traceparent": f"00-{TRACE}-{PARENT}-00"})).sampled


@pytest.mark.parametrize(
    "given", ["", "nonsense", f"00-{'0' * 32}-{PARENT}-01", f"00-{TRACE}-{'0' * 16}-01", f"00-{TRACE}-{PARENT}"]
)
def test_a_header_that_names_no_trace_is_none(given: str) -> None:
    assert name_of(stretch(headers={"traceparent": given})) == name_of(stretch())


def test_names_are_such_as_can_be_sent() -> None:
    name = name_of(stretch())
    assert name == SpanName(trace=name.trace, span=name.span, parent=None)
    assert 0 < name.trace < 1 << 128
    assert name.span is not None
    assert 0 < name.span < 1 << 64


def test_numbers_in_what_senders_chose_are_masked() -> None:
    headers = {"Plantao-Correlation-Id": "call-5511987654321"}
    said = attributes_of(stretch(id="to-5511987654321", headers=headers, facts={"attempts": 2}), redact_text)
    assert "5511987654321" not in str(said)
    assert (said["plantao.clinic"], said["plantao.attempts"], said["plantao.command.run"]) == ("acme", 2, 1)
