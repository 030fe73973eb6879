"""The way in: an HTTP proxy that answers every CONNECT itself, with TLS, as if it were the host asked for.

Behind the TLS it serves WhatsApp's WebSocket and its media servers.  Everything is on loopback.
"""

import asyncio
import contextlib
import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.emulator import websocket
from tests.emulator.binary import installed_codec
from tests.emulator.certificates import NoiseAuthority, tls_context, write_tls_certificate
from tests.emulator.connection import Wire, serve
from tests.emulator.faults import Moment, Refuse, RefuseUpgrade
from tests.emulator.feed import Happening
from tests.emulator.world import World

_LARGEST_BODY = 1 << 26
_HOST = "127.0.0.1"
_UPLOAD_PREFIX = "/mms/"


@dataclass(frozen=True, slots=True)
class Request:
    """The head of an HTTP request; header names are in lower case."""

    method: str
    target: str
    headers: Mapping[str, str]


class BadRequestError(Exception):
    """Not HTTP, or larger than anything a client sends."""


def log(text: str) -> None:
    print(f"emulator: {text}", file=sys.stderr, flush=True)


class Server:
    """Listens for clients.  ``start`` and ``stop`` once each."""

    def __init__(self, world: World, directory: Path) -> None:
        self._world = world
        self._authority = NoiseAuthority()
        self._codec = installed_codec()
        self.ca, key = write_tls_certificate(directory)
        self._tls = tls_context(self.ca, key)
        self.root_key = directory / "root.key"
        self.root_key.write_bytes(self._authority.root.public)
        self._listener: asyncio.Server | None = None
        self._tasks: dict[asyncio.Task[None], asyncio.StreamWriter] = {}
        self.port = 0

    @property
    def proxy(self) -> str:
        return f"http://{_HOST}:{self.port}"

    async def start(self) -> None:
        await self._listen()

    async def stop(self) -> None:
        self._hang_up()
        tasks = dict(self._tasks)
        for task, writer in tasks.items():
            writer.transport.abort()
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _listen(self) -> None:
        self._listener = await asyncio.start_server(self._accept, _HOST, self.port)
        self.port = self._listener.sockets[0].getsockname()[1]

    def _hang_up(self) -> None:
        if self._listener is not None:
            self._listener.close()
            self._listener = None

    async def follow_faults(self) -> None:
        """Stop listening while a fault says so, and listen on the same port again afterwards."""
        if self._world.faults.holds(Moment.LISTEN) is not None:
            self._hang_up()
        elif self._listener is None:
            await self._listen()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        if task is None:
            raise RuntimeError("a connection is served outside of a task")
        self._tasks[task] = writer
        try:
            await self._tunnel(reader, writer)
        except (OSError, EOFError):
            pass
        except Exception as error:  # noqa: BLE001 - whatever one connection does, the others go on
            log(f"a connection failed: {error!r}")
        finally:
            del self._tasks[task]
            with contextlib.suppress(OSError, RuntimeError):
                writer.close()

    async def _tunnel(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        request = await _read_head(reader)
        if request is None:
            return
        self._world.feed.add(Happening.DIAL, target=request.target)
        fault = self._world.faults.strike(Moment.DIAL)
        if isinstance(fault, Refuse) or request.method != "CONNECT":
            code = fault.code if isinstance(fault, Refuse) else 405
            if code is not None:
                await _respond(writer, code, b"", close=True)
            return
        writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
        await writer.start_tls(self._tls)
        await self._serve_host(reader, writer)

    async def _serve_host(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while (request := await _read_head(reader)) is not None:
            if request.headers.get("upgrade", "").lower() == "websocket":
                await self._upgrade(request, reader, writer)
                return
            length = int(request.headers.get("content-length", "0"))
            if length > _LARGEST_BODY:
                raise BadRequestError("too large a body")
            await self._serve_media(request, await reader.readexactly(length), writer)

    async def _upgrade(self, request: Request, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        fault = self._world.faults.strike(Moment.UPGRADE)
        if isinstance(fault, RefuseUpgrade):
            await _respond(writer, fault.code, b"", close=True)
            return
        accept = websocket.accept_key(request.headers.get("sec-websocket-key", ""))
        head = (
            "HTTP/1.1 101 Switching Protocols",
            "Upgrade: websocket",
            "Connection: Upgrade",
            f"Sec-WebSocket-Accept: {accept}",
        )
        writer.write("\r\n".join((*head, "", "")).encode())
        await serve(self._world, self._authority, self._codec, Wire(reader, writer), log)

    async def _serve_media(self, request: Request, body: bytes, writer: asyncio.StreamWriter) -> None:
        path, media = request.target.partition("?")[0], self._world.media
        self._world.feed.add(Happening.MEDIA, method=request.method, path=path, size=len(body))
        if request.method == "POST" and path.startswith(_UPLOAD_PREFIX):
            stored = media.upload(path.rpartition("/")[2], body)
            url = f"https://{request.headers.get('host', '')}{stored}?ccb=11-4"
            answer = {"url": url, "direct_path": f"{stored}?ccb=11-4"}
            await _respond(writer, 200, json.dumps(answer).encode())
        elif request.method == "DELETE":
            media.delete(request.target)
            await _respond(writer, 200, b"{}")
        elif (blob := media.get(request.target)) is not None:
            await _respond(writer, 200, blob)
        else:
            await _respond(writer, 404, b"")


async def _read_head(reader: asyncio.StreamReader) -> Request | None:
    """The next request's head; None when the client has none left."""
    line = (await reader.readline()).decode("latin-1").strip()
    if not line:
        return None
    words = line.split(" ")
    if len(words) != 3:
        raise BadRequestError(f"not HTTP: {line[:80]!r}")
    headers = {}
    while header := (await reader.readline()).decode("latin-1").strip():
        name, _, value = header.partition(":")
        headers[name.lower()] = value.strip()
    return Request(words[0], words[1], headers)


async def _respond(writer: asyncio.StreamWriter, code: int, body: bytes, *, close: bool = False) -> None:
    head = [f"HTTP/1.1 {code} Emulated", f"Content-Length: {len(body)}"]
    if close:
        head.append("Connection: close")
    writer.write("\r\n".join([*head, "", ""]).encode() + body)
    await writer.drain()
