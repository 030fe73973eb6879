"""The admin endpoint with TLS, and the command line against it."""

import asyncio
import json
import os
import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path

import aiohttp
import pytest
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    load_pem_private_key,
)
from msgspec.structs import replace
from typer.testing import CliRunner, Result

from config.cli.app import app
from gateway.access.api_keys import ApiKeys
from gateway.http.server import AdminServer
from gateway.http.tls import server_context
from protocol.errors import InvalidInputError
from tests.emulator.certificates import write_tls_certificate
from tests.integration.http.conftest import LIMITS
from tests.unit.gateway.http.fake_node import FakeHealth, FakeOperations, fake_backends

CONNECTIONS = 4


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A certificate for 127.0.0.1, and its key."""
    return write_tls_certificate(tmp_path_factory.mktemp("tls"))


@pytest.fixture
async def server(
    operations: FakeOperations, health: FakeHealth, keys: ApiKeys, files: tuple[Path, Path]
) -> AsyncIterator[AdminServer]:
    served = AdminServer(
        "127.0.0.1",
        0,
        fake_backends(operations=operations, keys=keys, health=health),
        limits=replace(LIMITS, connections=CONNECTIONS, idle_s=1.5),
        tls=server_context(*files),
    )
    await served.start()
    yield served
    await served.stop(timeout=1.0)


def trusting(certificate: Path) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=certificate)


async def test_it_is_served_with_tls_and_says_that_it_always_will_be(
    server: AdminServer, files: tuple[Path, Path], key: str
) -> None:
    async with (
        aiohttp.ClientSession(server.url, headers={"X-API-Key": key}) as operator,
        operator.get("/api/v1/clinics", ssl=trusting(files[0])) as response,
    ):
        assert server.url.startswith("https://127.0.0.1:")
        assert response.status == 200
        assert response.headers["Strict-Transport-Security"].startswith("max-age=")


async def test_a_session_is_for_this_name_and_tls_alone(
    server: AdminServer, files: tuple[Path, Path], key: str
) -> None:
    path, tls, page = "/api/v1/session", trusting(files[0]), {"Origin": server.url}
    async with aiohttp.ClientSession(server.url, cookie_jar=aiohttp.DummyCookieJar()) as browser:
        async with browser.post(path, json={"key": key}, headers=page, ssl=tls) as response:
            said = response.headers["Set-Cookie"]
        assert said.startswith("__Host-plantao_session=plantao_")
        assert {"Secure", "HttpOnly", "Path=/", "SameSite=Strict"} <= set(said.split("; "))
        secret = said.partition(";")[0].partition("=")[2]
        for name, origin, status in (
            ("plantao_session", server.url, 401),
            ("__Host-plantao_session", server.url.replace("https", "http"), 403),
            ("__Host-plantao_session", server.url, 204),
        ):
            headers = {"Cookie": f"{name}={secret}", "Origin": origin}
            async with browser.delete(path, headers=headers, ssl=tls) as response:
                assert response.status == status


async def test_what_is_older_than_tls_1_2_is_refused(server: AdminServer, files: tuple[Path, Path]) -> None:
    old = trusting(files[0])
    old.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED
    with pytest.warns(DeprecationWarning, match="deprecated"):
        old.maximum_version = ssl.TLSVersion.TLSv1_1
    port = int(server.url.rsplit(":", 1)[1])

    with pytest.raises((ssl.SSLError, ConnectionError)):
        await asyncio.open_connection("127.0.0.1", port, ssl=old)


async def test_without_tls_nothing_is_answered(server: AdminServer) -> None:
    port = int(server.url.rsplit(":", 1)[1])
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n")

    assert b"200" not in await asyncio.wait_for(reader.read(), 5)
    writer.close()


async def test_handshakes_that_are_never_finished_shut_nobody_out_and_are_given_up(
    server: AdminServer, files: tuple[Path, Path]
) -> None:
    port = int(server.url.rsplit(":", 1)[1])
    silent = [await asyncio.open_connection("127.0.0.1", port) for _ in range(CONNECTIONS)]

    async with (
        aiohttp.ClientSession(server.url) as stranger,
        stranger.get("/health", ssl=trusting(files[0])) as response,
    ):
        assert response.status == 200
        for reader, writer in silent:
            assert await asyncio.wait_for(reader.read(), 5) == b""
            writer.close()


async def test_stopping_gives_up_handshakes_that_are_under_way(server: AdminServer) -> None:
    port = int(server.url.rsplit(":", 1)[1])
    silent = [await asyncio.open_connection("127.0.0.1", port) for _ in range(CONNECTIONS + 1)]
    assert await silent[0][0].read() == b"", "it made way, so the others have a place by now"

    await server.stop(timeout=1.0)

    for reader, writer in silent:
        assert await reader.read() == b""
        writer.close()
    assert not [task for task in asyncio.all_tasks() if task.get_name() == "greeting"]


async def test_what_comes_with_the_end_of_the_handshake_is_answered(
    server: AdminServer, files: tuple[Path, Path]
) -> None:
    head = b"GET /health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
    answers = await asyncio.to_thread(at_once, int(server.url.rsplit(":", 1)[1]), files[0], head)
    assert answers == [b"HTTP/1.1 200 OK"] * 10


def at_once(port: int, certificate: Path, head: bytes) -> list[bytes]:
    """How ``head`` is answered that is sent in one piece with what ends the handshake, ten times."""
    answers = []
    for _ in range(10):
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        tls = trusting(certificate).wrap_bio(incoming, outgoing, server_hostname="127.0.0.1")
        with socket.create_connection(("127.0.0.1", port), 5) as raw:
            done = False
            while not done:
                with suppress(ssl.SSLWantReadError):
                    tls.do_handshake()
                    done = tls.write(head) > 0
                raw.sendall(outgoing.read())
                if not done:
                    incoming.write(raw.recv(65536))
            answer = b""
            while b"\r\n" not in answer:
                with suppress(ssl.SSLWantReadError):
                    answer += tls.read()
                    continue
                incoming.write(raw.recv(65536))
            answers.append(answer.split(b"\r\n")[0])
    return answers


async def said(*arguments: str, **environment: str) -> Result:
    return await asyncio.to_thread(CliRunner().invoke, app, list(arguments), env=environment)


async def test_the_command_line_finds_a_node_of_this_machine_and_knows_its_certificate(
    server: AdminServer, key: str, tmp_path: Path, files: tuple[Path, Path]
) -> None:
    where = {"http": server.url.replace("127.0.0.1", "localhost"), "pid": os.getpid()}
    (tmp_path / "node.json").write_text(json.dumps({**where, "certificate": str(files[0])}))

    assert (await said("clinic", "list", PLANTAO_DATA=str(tmp_path))).exit_code == 0

    other, _ = write_tls_certificate(tmp_path)
    (tmp_path / "node.json").write_text(json.dumps({**where, "certificate": str(other)}))
    refused = await said("clinic", "list", PLANTAO_DATA=str(tmp_path))
    assert refused.exit_code == 1
    assert "is not trusted" in refused.stderr


async def test_the_command_line_trusts_at_a_url_whom_it_is_told_to(
    server: AdminServer, key_file: Path, key: str, files: tuple[Path, Path]
) -> None:
    to = ("clinic", "list", "--url", server.url, "--key-file", str(key_file))

    assert (await said(*to, "--ca", str(files[0]))).exit_code == 0
    refused = await said(*to)
    assert (refused.exit_code, "--ca" in refused.stderr) == (1, True)
    assert (await said(*to, "--ca", str(key_file))).exit_code == 2
    elsewhere = await said(*to, "--url", server.url.replace("127.0.0.1", "localhost"), "--ca", str(files[0]))
    assert elsewhere.exit_code == 1


def test_files_that_are_no_certificate_and_key_are_named(tmp_path: Path, files: tuple[Path, Path]) -> None:
    certificate, key = files
    other = tmp_path / "other"
    other.mkdir()
    _, key_of_another = write_tls_certificate(other)
    locked = tmp_path / "locked.pem"
    secret = load_pem_private_key(key.read_bytes(), None)
    locked.write_bytes(secret.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"a password")))
    for wrong, setting in (
        ((tmp_path / "nowhere", key), r"http\.certificate"),
        ((certificate, tmp_path / "nowhere"), r"http\.key"),
        ((key, key), r"http\.certificate"),
        ((certificate, key_of_another), r"http\.certificate"),
        ((certificate, locked), r"http\.certificate.*without a password"),
    ):
        with pytest.raises(InvalidInputError, match=setting):
            server_context(*wrong)
