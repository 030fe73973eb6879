"""Which headers go on."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.nats.headers import passed_on


def test_correlation_goes_on_under_its_proper_name_and_nothing_else_does() -> None:
    given = {"Traceparent": "00-a", "plantao-correlation-id": "b", "Nats-Msg-Id": "c", "Nats-TTL": "1"}
    assert passed_on(given) == {"traceparent": "00-a", "Plantao-Correlation-Id": "b"}
    assert passed_on(None) == {}


@pytest.mark.parametrize("value", ["x" * 1025, "é" * 513, "\ud800", "a\udcffb"])
def test_a_value_that_is_too_long_or_no_text_is_left_out(value: str) -> None:
    given = {"traceparent": value, "Plantao-Correlation-Id": "kept"}
    assert passed_on(given) == {"Plantao-Correlation-Id": "kept"}


@pytest.mark.parametrize("value", ["", "x" * 1024, "é" * 512, "😀", "\ufffd"])
def test_any_other_text_goes_on_whole(value: str) -> None:
    assert passed_on({"traceparent": value}) == {"traceparent": value}


@given(st.dictionaries(st.sampled_from(["traceparent", "x", "PLANTAO-CORRELATION-ID"]), st.text(st.characters())))
def test_what_goes_on_can_always_be_written_down(headers: dict[str, str]) -> None:
    for value in passed_on(headers).values():
        assert len(value.encode()) <= 1024
