from typing import Any

import aiohttp
import pytest
from yarl import URL

from tests.integration.http.test_routes import API, COMMAND, FRONT, ask
from tests.unit.gateway.http.fake_node import FakeOperations

CLINICS = f"{API}/clinics"


@pytest.mark.parametrize(
    ("method", "path", "options", "status", "field"),
    [
        ("POST", CLINICS, {"json": {"id": "Acme", "name": "A"}}, 400, "id"),
        ("POST", CLINICS, {"json": {"name": "A"}}, 400, "id"),
        ("POST", CLINICS, {"json": {"id": "a", "name": ""}}, 400, "name"),
        ("POST", CLINICS, {"json": {"id": "a", "name": 3}}, 400, "name"),
        ("POST", CLINICS, {"json": [1]}, 400, "body"),
        ("POST", CLINICS, {}, 400, "body"),
        ("POST", CLINICS, {"data": b"{" * 4000, "headers": {"Content-Type": "application/json"}}, 400, "body"),
        ("POST", CLINICS, {"data": b'{"id": "\xff"}', "headers": {"Content-Type": "application/json"}}, 400, "body"),
        ("POST", CLINICS, {"json": {"id": "acme", "name": "A"}}, 409, None),
        ("GET", f"{CLINICS}/UPPER", {}, 400, "clinic"),
        ("GET", f"{CLINICS}/..%2Fadmin", {}, 400, "clinic"),
        ("GET", f"{CLINICS}/a%00b", {}, 400, "clinic"),
        ("GET", f"{CLINICS}/nobody", {}, 404, None),
        ("DELETE", f"{CLINICS}/nobody", {}, 404, None),
        ("GET", f"{CLINICS}/nobody/channels", {}, 404, None),
        ("POST", f"{CLINICS}/nobody/channels", {"json": {"id": "x"}}, 404, None),
        ("POST", f"{CLINICS}/acme/channels", {"json": {"id": "x y"}}, 400, "id"),
        ("POST", f"{CLINICS}/acme/channels", {"json": {"id": "front", "name": "Another"}}, 409, None),
        ("GET", f"{CLINICS}/acme/channels/nobody", {}, 404, None),
        ("GET", f"{CLINICS}/acme/channels/-x", {}, 400, "channel"),
        ("GET", f"{API}/channels?state=sleepy", {}, 400, "state"),
        ("GET", f"{API}/channels?clinic=UPPER", {}, 400, "clinic"),
        ("POST", f"{FRONT}/pair", {"json": {"phone": "12"}}, 400, "phone"),
        ("POST", f"{FRONT}/pair", {"json": {"phone": "1-2@g.us"}}, 400, "phone"),
        ("POST", f"{FRONT}/send", {}, 400, "body"),
        ("POST", f"{FRONT}/send?priority=urgent", {"json": COMMAND}, 400, "priority"),
        ("POST", f"{FRONT}/send", {"json": COMMAND | {"v": 2}}, 400, "v"),
        ("POST", f"{FRONT}/send", {"json": COMMAND | {"to": "11 9876"}}, 400, "to"),
        ("POST", f"{FRONT}/send", {"json": COMMAND | {"text": None}}, 400, "text"),
        ("POST", f"{CLINICS}/acme/channels/nobody/send", {"json": COMMAND}, 404, None),
    ],
)
async def test_bad_input_is_a_problem_that_names_the_field(
    operator: aiohttp.ClientSession, method: str, path: str, options: dict[str, Any], status: int, field: str | None
) -> None:
    async with operator.request(method, URL(path, encoded=True), **options) as response:
        problem = await response.json(content_type="application/problem+json")

    assert (response.status, problem["status"], problem.get("field")) == (status, status, field)
    assert problem["detail"]
    assert "Traceback" not in str(problem)


async def test_a_duplicate_changes_nothing(operator: aiohttp.ClientSession, operations: FakeOperations) -> None:
    await ask(operator, "POST", CLINICS, json={"id": "acme", "name": "Another"})

    assert operations.names["acme"] == "acme"


@pytest.mark.parametrize("content_type", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data"])
async def test_a_body_of_another_type_is_refused(operator: aiohttp.ClientSession, content_type: str) -> None:
    status, problem = await ask(operator, "POST", CLINICS, data=b"{}", headers={"Content-Type": content_type})

    assert (status, problem["status"]) == (415, 415)
    assert "application/json" in problem["detail"]


async def test_a_compressed_body_is_refused_unread(operator: aiohttp.ClientSession) -> None:
    headers = {"Content-Type": "application/json", "Content-Encoding": "gzip"}

    assert (await ask(operator, "POST", CLINICS, data=b"\x1f\x8b", headers=headers))[0] == 415


@pytest.mark.parametrize("path", ["/page", "/nowhere", f"{API}/nowhere", f"{FRONT}/explode", "/api/v1/clinics/"])
async def test_an_unknown_route_is_a_404_problem(operator: aiohttp.ClientSession, path: str) -> None:
    status, problem = await ask(operator, "POST" if path.endswith("explode") else "GET", path)

    assert (status, problem["type"]) == (404, "urn:plantao:problem:not-found")


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("PUT", CLINICS, "GET, HEAD, OPTIONS, POST"),
        ("GET", f"{FRONT}/connect", "OPTIONS, POST"),
        ("POST", "/health", "GET, HEAD, OPTIONS"),
    ],
)
async def test_a_wrong_method_is_a_405_problem_that_says_the_right_ones(
    operator: aiohttp.ClientSession, method: str, path: str, allowed: str
) -> None:
    async with operator.request(method, path) as response:
        assert response.status == 405
        assert response.headers["Allow"] == allowed
        assert (await response.json(content_type="application/problem+json"))["status"] == 405


async def test_head_is_get_without_a_body(operator: aiohttp.ClientSession) -> None:
    async with operator.head(CLINICS) as response:
        assert response.status == 200
        assert await response.read() == b""


@pytest.mark.parametrize("path", ["/metrics", CLINICS, FRONT, f"{FRONT}/qr.png", "/page", "/nowhere"])
async def test_without_a_key_everything_but_the_probes_is_refused(stranger: aiohttp.ClientSession, path: str) -> None:
    async with stranger.get(path) as response:
        assert response.status == 401
        assert response.headers["WWW-Authenticate"].startswith("Bearer")


@pytest.mark.parametrize("path", ["/ready", "/health", "/metrics", CLINICS])
@pytest.mark.parametrize(
    "headers",
    [{"Authorization": "Bearer wrong"}, {"Authorization": "Basic YTpi"}, {"X-API-Key": "wrong"}, {"X-API-Key": ""}],
)
async def test_a_wrong_key_is_refused_everywhere(
    stranger: aiohttp.ClientSession, path: str, headers: dict[str, str]
) -> None:
    assert (await ask(stranger, "GET", path, headers=headers))[0] == 401


async def test_a_key_may_come_in_either_header(stranger: aiohttp.ClientSession, key: str) -> None:
    assert (await ask(stranger, "GET", CLINICS, headers={"X-API-Key": key}))[0] == 200


@pytest.mark.parametrize(("path", "status"), [(CLINICS, 200), ("/nowhere", 404), (f"{FRONT}/connect", 405)])
async def test_every_answer_has_the_security_headers(operator: aiohttp.ClientSession, path: str, status: int) -> None:
    async with operator.get(path) as response:
        assert response.status == status
        assert response.headers["X-Content-Type-Options"] == "nosniff"
        assert response.headers["Cache-Control"] == "no-store"
        assert response.headers["Server"] == "plantao"
        assert "default-src 'none'" in response.headers["Content-Security-Policy"]
