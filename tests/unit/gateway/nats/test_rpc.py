"""How errors become refusals."""

import pytest

from gateway.nats.rpc import Refusal
from protocol.errors import (
    AlreadyExistsError,
    BusUnavailableError,
    CallTimeoutError,
    ConflictError,
    InvalidBodyError,
    NotFoundError,
)


@pytest.mark.parametrize(
    ("error", "code", "status"),
    [
        (InvalidBodyError("phone", "digits"), "invalid_request", 400),
        (NotFoundError("channel x"), "not_found", 404),
        (ConflictError("paired already"), "conflict", 409),
        (AlreadyExistsError("x"), "conflict", 409),
        (BusUnavailableError("away"), "unavailable", 503),
        (TimeoutError(), "timeout", 504),
        (CallTimeoutError("x"), "failed", 500),
        (KeyError("secret"), "internal", 500),
    ],
)
def test_every_error_has_a_code_a_status_and_words(error: Exception, code: str, status: int) -> None:
    refusal = Refusal.of(error)
    assert (refusal.code, refusal.status) == (code, status)
    assert refusal.message
    assert "secret" not in refusal.message


def test_the_field_is_named_where_there_is_one() -> None:
    assert Refusal.of(InvalidBodyError("phone", "digits")).body()["error"]["field"] == "phone"
    assert "field" not in Refusal.of(NotFoundError("x")).body()["error"]
