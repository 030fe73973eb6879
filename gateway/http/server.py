"""``AdminServer``: the admin endpoint as a ``Service``, with bounds that a hostile client meets before any handler.

aiohttp's own ``AppRunner`` cannot bound connections or say how a request that is not HTTP is answered, so the protocol
objects are made here.
"""

import asyncio
import contextlib
import errno
import logging
import os
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

from aiohttp import web
from aiohttp.abc import AbstractAccessLogger

from gateway.http.app import HEADERS, HttpLimits, build
from gateway.http.auth import AdminKey
from gateway.http.health import Health
from gateway.http.problems import of_status
from gateway.http.requests import CLOSING
from protocol.custody import Backups, PersonalData
from protocol.errors import UnavailableError
from protocol.jobs import Jobs
from protocol.operations import Operations

log = logging.getLogger(__name__)

_BACKLOG: Final = 128
_LINGER_S: Final = 1.0
"""How long what a refused client still sends is read, so that it sees the refusal instead of a reset."""


class AdminServer:
    """Serves the admin endpoint. All methods are for the loop's thread."""

    def __init__(
        self,
        host: str,
        port: int,
        *,
        operations: Operations,
        jobs: Jobs,
        backups: Backups,
        personal: PersonalData,
        key: AdminKey,
        health: Health,
        limits: HttpLimits | None = None,
    ) -> None:
        self._host = host
        self._port = port
        self._operations = operations
        self._jobs = jobs
        self._backups = backups
        self._personal = personal
        self._key = key
        self._health = health
        self._limits = limits or HttpLimits()
        self._running: _Running | None = None

    @property
    def url(self) -> str:
        """Where it answers, with the port it really has. Only while it runs."""
        assert self._running is not None, "the admin endpoint is not running"
        host, port = self._running.address
        return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"

    async def start(self) -> None:
        """Listen, after the end of an earlier run, and where that did: a port that the system chose is kept, so that
        clients find it again. Raises UnavailableError if the address cannot be had."""
        await self.stop(timeout=0.0)
        running = _Running(self._limits)
        app = build(
            self._operations,
            self._jobs,
            self._backups,
            self._personal,
            self._key,
            self._health,
            self._limits,
            running.executor,
        )
        try:
            await running.listen(app, self._host, self._port)
        except OSError as error:
            await running.end(0.0)
            why = "something else listens there" if error.errno == errno.EADDRINUSE else os.strerror(error.errno or 0)
            raise UnavailableError(
                f"cannot listen on {self._host}:{self._port}: {why}; set http.port to another port, or 0 for a free one"
            ) from error
        self._running, self._port = running, running.address[1]

    async def wait(self) -> str:
        """Never returns, since asyncio keeps a listening socket until it is told to close it: when descriptors run out
        it says so and tries again."""
        ended: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        return await ended

    async def stop(self, *, timeout: float) -> None:
        """Stop listening, let requests under way end for ``timeout`` seconds, then cancel them."""
        running, self._running = self._running, None
        if running is not None:
            await running.end(timeout)


class _Running:
    """What one run holds: listening socket, connections, the application, and the thread that draws and renders."""

    def __init__(self, limits: HttpLimits) -> None:
        self.executor = ThreadPoolExecutor(1, thread_name_prefix="admin")
        self._limits = limits
        self._closing = asyncio.Event()
        self._runner: web.AppRunner | None = None
        self._connections: web.Server | None = None
        self._listener: asyncio.Server | None = None

    @property
    def address(self) -> tuple[str, int]:
        assert self._listener is not None
        host, port = self._listener.sockets[0].getsockname()[:2]
        return host, port

    async def listen(self, app: web.Application, host: str, port: int) -> None:
        app[CLOSING] = self._closing
        self._runner = web.AppRunner(app)
        await self._runner.setup()
        assert self._runner.server is not None
        self._connections = web.Server(
            self._runner.server.request_handler, request_factory=self._runner.server.request_factory
        )
        self._listener = await asyncio.get_running_loop().create_server(self._accept, host, port, backlog=_BACKLOG)

    def _accept(self) -> asyncio.BaseProtocol:
        assert self._connections is not None
        if len(self._connections.connections) >= self._limits.connections:
            return _Refusal()
        return _Connection(
            self._connections,
            loop=asyncio.get_running_loop(),
            # Also ends a connection that never sends a request, or sends its head too slowly.
            keepalive_timeout=self._limits.idle_s,
            lingering_time=_LINGER_S,
            access_log_class=_NoAccessLog,
            # Bodies are refused when compressed; unpacking them first would be the attack.
            auto_decompress=False,
        )

    async def end(self, timeout: float) -> None:
        self._closing.set()
        if self._listener is not None:
            self._listener.close()
        if self._connections is not None:
            self._connections.pre_shutdown()
            # aiohttp waits this long for handlers to end, and as long again for cancelled ones.
            await self._connections.shutdown(timeout / 2)
        if self._listener is not None:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._listener.wait_closed(), timeout)
        if self._runner is not None:
            await self._runner.cleanup()
        self.executor.shutdown(cancel_futures=True)


class _Connection(web.RequestHandler):
    """aiohttp's connection, whose own errors (what is not HTTP at all) are problems too."""

    __slots__ = ()

    def handle_error(
        self, request: web.BaseRequest, status: int = 500, exc: BaseException | None = None, message: str | None = None
    ) -> web.StreamResponse:
        log.debug("a request could not be read: %s", type(exc).__name__)
        if request.writer.output_size > 0:
            raise ConnectionError("a part of the response is already sent")
        response = of_status(status, "the request is not valid HTTP" if status < 500 else "the request failed")
        response.headers.update(HEADERS)
        response.force_close()
        return response


class _NoAccessLog(AbstractAccessLogger):
    """Probes and scrapes are no news, and a path may hold a number."""

    enabled = False

    def log(self, request: web.BaseRequest, response: web.StreamResponse, time: float) -> None:
        """Not called while not ``enabled``."""


class _Refusal(asyncio.Protocol):
    """A connection too many: closed before a byte is read."""

    def connection_made(self, transport: Any) -> None:
        transport.abort()
