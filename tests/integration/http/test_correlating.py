"""A request's name: in its answer, with the command that it sends, and in the lines that it causes."""

import aiohttp
import pytest
import structlog

from protocol.errors import UnavailableError
from tests.unit.gateway.http.fake_node import FakeOperations

FRONT = "/api/v1/clinics/acme/channels/front"
COMMAND = {"v": 1, "id": "1", "to": "5511988887777", "type": "text", "text": "Olá"}
NAME = "Plantao-Correlation-Id"
TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


async def test_a_command_goes_on_under_the_name_of_its_request(
    operator: aiohttp.ClientSession, operations: FakeOperations
) -> None:
    headers = {NAME: "visit-7", "traceparent": TRACE}
    async with operator.post(f"{FRONT}/send", json=COMMAND, headers=headers) as response:
        assert (response.status, response.headers[NAME]) == (202, "visit-7")
    assert operations.headers == [headers]


@pytest.mark.parametrize("given", [None, "", "two words", "x" * 129, "canção"])
async def test_a_request_without_a_name_that_can_be_used_gets_one(
    operator: aiohttp.ClientSession, operations: FakeOperations, given: str | None
) -> None:
    names = set()
    for _ in range(2):
        headers = {} if given is None else {NAME: given}
        async with operator.post(f"{FRONT}/send", json=COMMAND, headers=headers) as response:
            names.add(response.headers[NAME])
    assert names == {sent[NAME] for sent in operations.headers}
    assert len(names) == 2
    assert given not in names


@pytest.mark.parametrize("path", ["/health", "/api/v1/nada", "/api/v1/clinics", "/metrics"])
async def test_every_answer_says_what_its_request_is_called(operator: aiohttp.ClientSession, path: str) -> None:
    async with operator.get(path, headers={NAME: "visit-7"}) as response:
        assert response.headers[NAME] == "visit-7"


async def test_what_is_logged_while_it_is_answered_bears_its_name(
    operator: aiohttp.ClientSession, operations: FakeOperations, monkeypatch: pytest.MonkeyPatch
) -> None:
    bound: list[object] = []

    async def fails(*_: object) -> None:
        bound.append(structlog.contextvars.get_contextvars().get("correlation_id"))
        raise UnavailableError("not now")

    monkeypatch.setattr(operations, "channel", fails)
    for name in ("visit-7", "visit-8"):
        async with operator.get(FRONT, headers={NAME: name}) as response:
            assert response.status == 503
    assert bound == ["visit-7", "visit-8"]
