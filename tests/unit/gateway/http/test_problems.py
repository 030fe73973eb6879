import json
from typing import Any

import pytest
from aiohttp import web

from gateway.http.problems import KINDS, Refused, kind_of, respond_to
from protocol import errors
from protocol.errors import (
    BusUnavailableError,
    InvalidAddressError,
    InvalidBodyError,
    NotFoundError,
    PlantaoError,
    StoreUnavailableError,
)

EVERY_ERROR = sorted(
    (kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, PlantaoError)),
    key=lambda kind: kind.__name__,
)


def body_of(response: web.Response) -> dict[str, Any]:
    assert isinstance(response.body, bytes)
    found: dict[str, Any] = json.loads(response.body)
    return found


@pytest.mark.parametrize("kind", EVERY_ERROR)
def test_every_error_of_the_vocabulary_has_a_status_of_its_own_choice(kind: type[PlantaoError]) -> None:
    assert kind in KINDS
    assert 400 <= KINDS[kind].status < 600


def test_the_callers_mistakes_are_4xx_and_ours_5xx() -> None:
    for kind in EVERY_ERROR:
        mistake = issubclass(
            kind,
            errors.InvalidInputError
            | errors.ForbiddenError
            | errors.NotFoundError
            | errors.AlreadyExistsError
            | errors.ConflictError,
        )
        assert (KINDS[kind].status < 500) == mistake


def test_an_error_that_is_not_in_the_table_is_answered_as_its_nearest_ancestor() -> None:
    class DiskFullError(StoreUnavailableError):
        pass

    assert kind_of(DiskFullError("full")) is KINDS[StoreUnavailableError]


def test_a_problem_names_the_field_and_what_was_expected() -> None:
    response = respond_to(InvalidBodyError("media.mime", "a MIME type"))

    assert response.content_type == "application/problem+json"
    assert body_of(response) == {
        "type": "urn:plantao:problem:invalid-input",
        "title": "The request is not valid",
        "status": 400,
        "detail": "media.mime: expected a MIME type",
        "field": "media.mime",
        "expected": "a MIME type",
    }


def test_a_problem_without_a_field_has_no_such_member() -> None:
    assert body_of(respond_to(NotFoundError("clinic acme"))).keys() == {"type", "title", "status", "detail"}


def test_a_personal_value_is_not_repeated() -> None:
    assert "98765" not in str(body_of(respond_to(InvalidAddressError("11 98765-4321"))))


def test_what_is_away_for_now_says_when_to_try_again() -> None:
    response = respond_to(BusUnavailableError("NATS is away"))

    assert response.status == 503
    assert int(response.headers["Retry-After"]) > 0


def test_an_unknown_error_is_logged_and_not_described(caplog: pytest.LogCaptureFixture) -> None:
    response = respond_to(ZeroDivisionError("the secret"))

    assert response.status == 500
    body = body_of(response)
    assert "secret" not in str(body)
    assert caplog.records[0].incident == body["incident"]  # type: ignore[attr-defined] # from extra


def test_a_refusal_may_end_the_connection() -> None:
    closing = respond_to(Refused(KINDS[NotFoundError], "gone", headers={"X-Why": "so"}, close=True))

    assert closing.keep_alive is False
    assert closing.headers["X-Why"] == "so"


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (web.HTTPNotFound(), 404),
        (web.HTTPMethodNotAllowed("PUT", ["POST", "GET"]), 405),
        (web.HTTPRequestEntityTooLarge(10, 11), 413),
        (web.HTTPBadRequest(), 400),
        (web.RequestPayloadError("x"), 400),
    ],
)
def test_aiohttps_errors_are_problems_as_well(error: Exception, status: int) -> None:
    response = respond_to(error)

    assert response.status == status
    assert body_of(response)["status"] == status


def test_a_wrong_method_says_which_would_be_right() -> None:
    assert respond_to(web.HTTPMethodNotAllowed("PUT", ["POST", "GET"])).headers["Allow"] == "GET, POST"
