"""Fetching over https on loopback: whom the system trusts is spoken to, and nobody else."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from ipaddress import ip_network
from pathlib import Path

import pytest

from gateway.media_fetch.fetcher import WebFetcher
from protocol.errors import UnavailableError
from tests.emulator.certificates import tls_context, write_tls_certificate

PNG = b"\x89PNG" + bytes(range(256))


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path]:
    """A self-signed certificate for 127.0.0.1, and its key."""
    return write_tls_certificate(tmp_path)


@pytest.fixture
async def port(files: tuple[Path, Path]) -> AsyncIterator[int]:
    """Of a server with that certificate which has an image for everybody."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: image/png\r\nContent-Length: %d\r\n\r\n" % len(PNG) + PNG)
            await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    listening = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=tls_context(*files))
    yield listening.sockets[0].getsockname()[1]
    listening.close()
    await listening.wait_closed()


async def fetch(url: str) -> bytes:
    async def lookup(_clinic: str, _name: str) -> list[str]:
        return ["127.0.0.1"]

    web = WebFetcher(allow=[ip_network("127.0.0.1/32")], deadline_s=5.0, idle_s=2.0, lookup=lookup)
    return (await web.fetch("acme", url, kind="image", mime=None, limit=100_000)).data


async def test_a_certificate_that_nobody_vouches_for_is_refused(port: int) -> None:
    with pytest.raises(UnavailableError, match="CertificateError"):
        await fetch(f"https://127.0.0.1:{port}/a.png")


async def test_a_server_whom_the_system_trusts_is_fetched_from(
    port: int, files: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(ssl.get_default_verify_paths().openssl_cafile_env, str(files[0]))
    assert await fetch(f"https://127.0.0.1:{port}/a.png") == PNG


async def test_a_trusted_certificate_for_another_name_is_refused(
    port: int, files: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(ssl.get_default_verify_paths().openssl_cafile_env, str(files[0]))
    with pytest.raises(UnavailableError, match="CertificateError"):
        await fetch(f"https://clinic.example:{port}/a.png")
