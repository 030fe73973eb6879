"""The description of the API is fit to be read and to make clients from: rules of our own, beyond what is valid."""

import re
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

import msgspec
import pytest

from gateway.http.app import table
from gateway.http.openapi import describe
from gateway.http.surround import HttpLimits
from tests.unit.gateway.http.fake_node import fake_backends

PROBLEM: Final = "application/problem+json"


def _document() -> Any:
    with ThreadPoolExecutor(1) as executor:
        routes = table(fake_backends(), HttpLimits(), executor, {})
    return msgspec.json.decode(msgspec.json.encode(describe(routes)))


DOCUMENT: Final = _document()
OPERATIONS: Final = {
    f"{method.upper()} {path}": operation
    for path, methods in DOCUMENT["paths"].items()
    for method, operation in methods.items()
}


def references(value: Any) -> Iterator[str]:
    match value:
        case {"$ref": str(to)}:
            yield to
        case dict():
            for inner in value.values():
                yield from references(inner)
        case list():
            for inner in value:
                yield from references(inner)


@pytest.mark.parametrize("name", OPERATIONS)
def test_every_operation_says_what_it_is(name: str) -> None:
    operation = OPERATIONS[name]
    assert re.fullmatch(r"[a-z]+(_[a-z]+)+", operation["operationId"])
    assert re.fullmatch(r"[A-Z`].{6,}[.)]", operation["summary"])
    assert operation["description"].startswith("Needs ")
    assert len(operation["tags"]) == 1


@pytest.mark.parametrize("name", OPERATIONS)
def test_every_operation_answers_errors_with_problems(name: str) -> None:
    responses = OPERATIONS[name]["responses"]
    refused = [status for status in responses if int(status) >= 400 and "content" not in responses[status]]
    assert {"401", "429", "500", "503"} <= set(responses)
    for status in refused:
        answer = DOCUMENT["components"]["responses"][responses[status]["$ref"].rpartition("/")[2]]
        assert list(answer["content"]) == [PROBLEM]
        assert ("Retry-After" in answer.get("headers", {})) is (status in ("429", "503"))


@pytest.mark.parametrize("name", OPERATIONS)
def test_every_parameter_says_what_it_is_and_stands_in_the_path_if_it_is_of_it(name: str) -> None:
    parameters = OPERATIONS[name]["parameters"]
    assert all(one["description"] and one["schema"] for one in parameters)
    of_path = [one["name"] for one in parameters if one["in"] == "path"]
    assert of_path == re.findall(r"\{(\w+)\}", name)
    assert max(Counter(one["name"] for one in parameters).values(), default=1) == 1


@pytest.mark.parametrize("name", OPERATIONS)
def test_what_is_made_says_where_it_is_and_what_is_no_more_says_nothing(name: str) -> None:
    responses = OPERATIONS[name]["responses"]
    assert all("Location" in responses[status]["headers"] for status in responses if status == "201")
    good = [status for status in responses if int(status) < 300]
    assert all(("content" in responses[status]) is (status != "204") for status in good)


def test_lists_have_items_and_next() -> None:
    for name, schema in DOCUMENT["components"]["schemas"].items():
        if name.endswith(("List", "Page")):
            assert set(schema["properties"]) == {"items", "next"}, name


def test_paths_are_of_names_and_plain_words() -> None:
    for path in DOCUMENT["paths"]:
        assert re.fullmatch(r"(/([a-z0-9]+([._][a-z0-9]+)*|\{[a-z]+\}))*/?", path), path
        assert path == "/" or not path.endswith("/")


def test_tags_are_declared_used_and_described() -> None:
    declared = [tag["name"] for tag in DOCUMENT["tags"]]
    assert len(set(declared)) == len(declared)
    assert set(declared) == {tag for operation in OPERATIONS.values() for tag in operation["tags"]}
    assert all(len(tag["description"]) > 10 for tag in DOCUMENT["tags"])


def test_all_that_is_referred_to_is_there_and_all_that_is_there_is_referred_to() -> None:
    used = set(references(DOCUMENT))
    there = {
        f"#/components/{kind}/{name}" for kind in ("schemas", "responses") for name in DOCUMENT["components"][kind]
    }
    assert used == there


def test_every_object_and_choice_says_what_it_is() -> None:
    silent = [
        name
        for name, schema in DOCUMENT["components"]["schemas"].items()
        if not schema.get("description") and "anyOf" not in schema
    ]
    assert silent == []


def test_all_that_is_secured_can_be_opened() -> None:
    schemes = set(DOCUMENT["components"]["securitySchemes"])
    for operation in OPERATIONS.values():
        assert {name for one in operation["security"] for name in one} == schemes
