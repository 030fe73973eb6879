"""Which headers go on."""

from gateway.nats.headers import passed_on


def test_correlation_goes_on_under_its_proper_name_and_nothing_else_does() -> None:
    given = {"Traceparent": "00-a", "plantao-correlation-id": "b", "Nats-Msg-Id": "c", "Nats-TTL": "1"}
    assert passed_on(given) == {"traceparent": "00-a", "Plantao-Correlation-Id": "b"}
    assert passed_on(None) == {}


def test_a_long_value_is_cut() -> None:
    assert len(passed_on({"traceparent": "x" * 10_000})["traceparent"]) == 512
