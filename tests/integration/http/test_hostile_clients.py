import asyncio
import gc
import json
import time
from types import FrameType

import aiohttp
import pytest

from gateway.http.requests import read_body
from gateway.http.server import AdminServer
from tests.integration.http.conftest import LIMITS, exchange
from tests.integration.http.test_routes import API, FRONT, ask
from tests.unit.gateway.http.fake_node import FakeOperations


def post(key: str, path: str, *headers: str) -> bytes:
    lines = [f"POST {path} HTTP/1.1", "Host: localhost", f"X-API-Key: {key}", *headers, "", ""]
    return "\r\n".join(lines).encode()


def problem_of(raw: bytes) -> tuple[int, dict[str, object]]:
    head, _, body = raw.partition(b"\r\n\r\n")
    return int(head.split()[1]), json.loads(body)


async def test_a_connection_that_says_nothing_is_closed(server: AdminServer) -> None:
    assert await exchange(server) == b""


async def test_a_head_that_comes_drop_by_drop_is_not_waited_for(server: AdminServer) -> None:
    began = time.monotonic()

    assert await exchange(server, b"GET /health HT", b"TP/1.1\r\nHost") == b""
    assert time.monotonic() - began < 4


async def test_a_body_that_never_comes_is_given_up(server: AdminServer, key: str) -> None:
    head = post(key, f"{API}/clinics", "Content-Type: application/json", "Content-Length: 100")

    status, problem = problem_of(await exchange(server, head, b'{"id"'))

    assert (status, problem["status"]) == (408, 408)


async def test_a_body_that_is_announced_too_large_is_refused_unread(server: AdminServer, key: str) -> None:
    head = post(key, f"{API}/clinics", "Content-Type: application/json", "Content-Length: 500000")

    status, problem = problem_of(await exchange(server, head))

    assert (status, problem["detail"]) == (413, f"at most {LIMITS.body_bytes} bytes")


async def test_a_body_that_turns_out_too_large_is_refused(server: AdminServer, key: str) -> None:
    head = post(key, f"{API}/clinics", "Content-Type: application/json", "Transfer-Encoding: chunked")
    chunk = b"1000\r\n" + b" " * 4096 + b"\r\n"

    assert problem_of(await exchange(server, head, chunk, chunk, b"0\r\n\r\n"))[0] == 413


async def test_what_was_read_of_a_body_that_is_refused_is_not_left_to_the_garbage(
    server: AdminServer, key: str
) -> None:
    head = post(key, f"{API}/clinics", "Content-Type: application/json", "Transfer-Encoding: chunked")
    gc.disable()
    try:
        await exchange(server, head, b"1001\r\n" + b" " * 4097 + b"\r\n0\r\n\r\n")
        await exchange(server, post(key, f"{API}/clinics", "Connection: close"))  # by then the first is dealt with
        assert not any(isinstance(one, FrameType) and one.f_code is read_body.__code__ for one in gc.get_objects())
    finally:
        gc.enable()


async def test_a_broken_transfer_coding_is_a_problem(server: AdminServer, key: str) -> None:
    head = post(key, f"{API}/clinics", "Content-Type: application/json", "Transfer-Encoding: chunked")

    assert problem_of(await exchange(server, head, b"zz\r\n"))[0] == 400


async def test_who_expects_to_continue_is_told_before_the_body(server: AdminServer, key: str) -> None:
    large = post(key, f"{API}/clinics", "Expect: 100-continue", "Content-Length: 99999")
    strange = post(key, f"{API}/clinics", "Expect: miracles", "Connection: close")
    body = b'{"id": "nova", "name": "N"}'
    right = post(key, f"{API}/clinics", "Expect: 100-continue", f"Content-Length: {len(body)}", "Connection: close")

    assert problem_of(await exchange(server, large))[0] == 413
    assert problem_of(await exchange(server, strange))[0] == 417
    answer = await exchange(server, right, body)
    assert answer.startswith(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 201 Created")


async def test_who_sends_an_archive_may_expect_to_continue_however_large_it_is(server: AdminServer, key: str) -> None:
    head = post(key, f"{API}/restore", "Expect: 100-continue", "Content-Type: text/plain")
    large = head.replace(b"\r\n\r\n", b"\r\nContent-Length: 500000\r\n\r\n")

    assert (await exchange(server, large)).startswith(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 415 ")


@pytest.mark.parametrize(
    "garbage",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03 TLS\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"NONSENSE\r\n\r\n",
        b"GET /health HTTP/1.1\r\nHost: localhost\r\nA" + b"a" * 20_000 + b"\r\n\r\n",
        b"GET /health HTTP/1.1\r\nHost: localhost\r\nContent-Length: -5\r\n\r\n",
        b"GET /health HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
    ],
)
async def test_what_is_not_http_is_answered_with_a_problem(server: AdminServer, garbage: bytes) -> None:
    raw = await exchange(server, garbage)

    assert problem_of(raw)[0] == 400
    assert b"Server: plantao" in raw
    assert b"aiohttp" not in raw
    assert b"Traceback" not in raw


async def test_a_request_that_hangs_in_the_node_is_given_up_and_cancelled(
    operator: aiohttp.ClientSession, operations: FakeOperations
) -> None:
    operations.hanging.add("connect")

    status, problem = await ask(operator, "POST", f"{FRONT}/connect")

    assert (status, problem["type"]) == (504, "urn:plantao:problem:no-answer")
    assert operations.cancelled.is_set()


async def test_other_clients_are_served_while_one_is_slow(
    server: AdminServer, stranger: aiohttp.ClientSession, key: str
) -> None:
    head = post(key, f"{API}/clinics", "Content-Type: application/json", "Content-Length: 100")
    slow = asyncio.create_task(exchange(server, head))

    assert (await ask(stranger, "GET", "/health"))[0] == 200
    assert not slow.done()
    await slow
