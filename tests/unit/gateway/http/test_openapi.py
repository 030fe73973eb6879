"""The description of the API says what the table and the types say."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import msgspec
import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator

from gateway.http.app import table
from gateway.http.openapi import describe
from gateway.http.routes import CHANNEL, Route
from gateway.http.surround import HttpLimits
from protocol.access import Permission
from tests.unit.gateway.http.fake_node import fake_backends


@pytest.fixture(scope="module")
def routes() -> list[Route]:
    with ThreadPoolExecutor(1) as executor:
        return list(table(fake_backends(), HttpLimits(), executor, {}))


@pytest.fixture(scope="module")
def described(routes: list[Route]) -> Any:
    return msgspec.json.decode(msgspec.json.encode(describe(routes)))


def test_it_is_valid_openapi(described: Any) -> None:
    assert list(OpenAPIV31SpecValidator(described).iter_errors()) == []


def test_every_route_is_in_it_with_what_it_takes(routes: list[Route], described: Any) -> None:
    found = {(path, method) for path, methods in described["paths"].items() for method in methods}
    assert found == {(route.path, route.method.lower()) for route in routes}
    for route in routes:
        operation = described["paths"][route.path][route.method.lower()]
        assert operation["x-permission"] == route.permission.name.lower()
        assert ({} in operation["security"]) is (route.permission is Permission.OPEN)
        assert operation["summary"]
        assert str(route.status) in operation["responses"]


def test_every_route_states_its_answer_and_every_change_that_has_one_its_body(routes: list[Route]) -> None:
    assert not [route.path for route in routes if route.answer is None and route.status != 204]


def test_names_are_unique(described: Any) -> None:
    names = [operation["operationId"] for methods in described["paths"].values() for operation in methods.values()]

    assert len(set(names)) == len(names)
    assert "channel_pair" in names


def test_a_body_that_may_be_left_out_is_not_required(described: Any) -> None:
    assert described["paths"][f"{CHANNEL}/pair"]["post"]["requestBody"]["required"] is False
    assert described["paths"][f"{CHANNEL}/send"]["post"]["requestBody"]["required"] is True


def test_what_answers_in_one_of_several_ways_says_so(described: Any) -> None:
    answer = described["paths"][f"{CHANNEL}/pair"]["post"]["responses"]["200"]
    assert len(answer["content"]["application/json"]["schema"]["anyOf"]) == 2
    picture = described["paths"][f"{CHANNEL}/qr.png"]["get"]["responses"]["200"]
    assert list(picture["content"]) == ["image/png"]
