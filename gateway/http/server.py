"""``AdminServer``: the admin endpoint as a ``Service``, with bounds that a hostile client meets before any handler.

aiohttp's own ``AppRunner`` cannot bound connections or say how a request that is not HTTP is answered, so the protocol
objects are made here.
"""

import asyncio
import contextlib
import errno
import logging
import os
import ssl
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, Final

from aiohttp import hdrs, web
from aiohttp.abc import AbstractAccessLogger

from gateway.http.app import build
from gateway.http.backends import Backends
from gateway.http.origins import Origins
from gateway.http.problems import of_status
from gateway.http.requests import CLOSING
from gateway.http.rules import RULES, Rules
from gateway.http.surround import HEADERS, HttpLimits
from protocol.errors import UnavailableError

log = logging.getLogger(__name__)

_BACKLOG: Final = 128
_HERE: Final = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - nothing is bound by this
"""Where what listens everywhere is found from here."""
_CONTINUE: Final = "100-continue"
_LINGER_S: Final = 1.0
"""How long what a refused client still sends is read, so that it sees the refusal instead of a reset."""


_Handle = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]


class AdminServer:
    """Serves the admin endpoint. All methods are for the loop's thread, but for ``change``."""

    def __init__(
        self,
        host: str,
        port: int,
        backends: Backends,
        *,
        limits: HttpLimits | None = None,
        origins: Origins | None = None,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._host = host
        self._port = port
        self._backends = backends
        self._limits = limits or HttpLimits()
        self._origins = origins or Origins()
        self._tls = tls
        self._running: _Running | None = None

    @property
    def url(self) -> str:
        """Where it answers to who is on this machine, with the port it really has. Only while it runs."""
        assert self._running is not None, "the admin endpoint is not running"
        host, port = self._running.address
        host = _HERE.get(host, host)
        scheme = "http" if self._tls is None else "https"
        return f"{scheme}://[{host}]:{port}" if ":" in host else f"{scheme}://{host}:{port}"

    def change(self, limits: HttpLimits, origins: Origins) -> None:
        """Go by these from now on, as far as ``Rules`` can change, and by all of them from the next start. In any
        thread."""
        self._limits, self._origins, running = limits, origins, self._running
        if running is not None:
            running.change(limits, origins)

    async def start(self) -> None:
        """Listen, after the end of an earlier run, and where that did: a port that the system chose is kept, so that
        clients find it again. Raises UnavailableError if the address cannot be had."""
        await self.stop(timeout=0.0)
        running = _Running(self._limits, self._tls)
        secure = self._tls is not None
        app = build(self._backends, self._limits, running.executor, self._origins, secure=secure)
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

    def __init__(self, limits: HttpLimits, tls: ssl.SSLContext | None) -> None:
        self.executor = ThreadPoolExecutor(1, thread_name_prefix="admin")
        self._limits = limits
        self._tls = tls
        self._greeting: dict[object, float] = {}
        self._closing = asyncio.Event()
        self._runner: web.AppRunner | None = None
        self._connections: web.Server | None = None
        self._listener: asyncio.Server | None = None
        self._rules: Rules | None = None

    @property
    def address(self) -> tuple[str, int]:
        assert self._listener is not None
        host, port = self._listener.sockets[0].getsockname()[:2]
        return host, port

    def change(self, limits: HttpLimits, origins: Origins) -> None:
        """Have requests that come from now on judged by these."""
        if self._rules is not None:
            requests = {"address_requests": limits.address_requests, "key_requests": limits.key_requests}
            self._rules.change(origins, **requests)

    async def listen(self, app: web.Application, host: str, port: int) -> None:
        app[CLOSING] = self._closing
        self._rules = app[RULES]
        self._runner = web.AppRunner(app)
        await self._runner.setup()
        assert self._runner.server is not None
        self._connections = web.Server(
            _refusing_expectations(self._runner.server.request_handler),
            request_factory=self._runner.server.request_factory,
        )
        self._listener = await asyncio.get_running_loop().create_server(
            self._accept,
            host,
            port,
            backlog=_BACKLOG,
            ssl=self._tls,
            ssl_handshake_timeout=None if self._tls is None else self._limits.idle_s,
            ssl_shutdown_timeout=None if self._tls is None else _LINGER_S,
        )

    def _accept(self) -> asyncio.BaseProtocol:
        assert self._connections is not None
        if len(self._connections.connections) + self._count_greeting() >= self._limits.connections:
            return _Refusal()
        if self._tls is None:
            return self._connect(self._connections, _nothing)
        greeting = object()
        self._greeting[greeting] = asyncio.get_running_loop().time() + self._limits.idle_s
        return self._connect(self._connections, partial(self._greeting.pop, greeting, None))

    def _count_greeting(self) -> int:
        """How many have not finished their TLS handshake, and so are no connections yet. asyncio gives them up after
        their time, and does not say so."""
        now = asyncio.get_running_loop().time()
        for greeting in [each for each, until in self._greeting.items() if until <= now]:
            del self._greeting[greeting]
        return len(self._greeting)

    def _connect(self, server: web.Server, made: Callable[[], object]) -> "_Connection":
        return _Connection(
            server,
            made,
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
    """aiohttp's connection, whose own errors (what is not HTTP at all) are problems too. ``made`` is called once it is
    one: with TLS, after the handshake."""

    __slots__ = ("_made",)

    def __init__(self, server: web.Server, made: Callable[[], object], **options: Any) -> None:
        super().__init__(server, **options)
        self._made = made

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._made()
        super().connection_made(transport)

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


def _refusing_expectations(handle: _Handle) -> _Handle:
    """``handle``, but for requests that expect what nobody here does. aiohttp itself repeats what was expected where
    there is no route, and fails if that is no text."""

    async def handled(request: web.BaseRequest) -> web.StreamResponse:
        if request.headers.get(hdrs.EXPECT, _CONTINUE).lower() == _CONTINUE:
            return await handle(request)
        response = of_status(417, "only 100-continue can be expected")
        response.headers.update(HEADERS)
        return response

    return handled


def _nothing() -> None:
    """There is no handshake to wait for."""


class _NoAccessLog(AbstractAccessLogger):
    """Probes and scrapes are no news, and a path may hold a number."""

    enabled = False

    def log(self, request: web.BaseRequest, response: web.StreamResponse, time: float) -> None:
        """Not called while not ``enabled``."""


class _Refusal(asyncio.Protocol):
    """A connection too many: closed before a byte is read."""

    def connection_made(self, transport: Any) -> None:
        transport.abort()
