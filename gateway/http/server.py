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
from collections import Counter
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

from aiohttp import hdrs, web
from aiohttp.abc import AbstractAccessLogger

from gateway.access.windows import network_of
from gateway.http.app import build
from gateway.http.backends import Backends
from gateway.http.origins import Origins
from gateway.http.places import PLACE, Place, Places
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
        app = build(self._backends, self._limits, running.executor, running.refused, self._origins, secure=secure)
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
        self.refused = Counter[str]()
        self._places = Places(limits.connections, self.refused)
        self._greeting: set[asyncio.Task[None]] = set()
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
            _beginning(self._runner.server.request_handler),
            request_factory=self._runner.server.request_factory,
        )
        loop = asyncio.get_running_loop()
        self._listener = await loop.create_server(self._accept, host, port, backlog=_BACKLOG)

    def _accept(self) -> asyncio.BaseProtocol:
        return _Arrival(self._arrive)

    def _arrive(self, arrival: "_Arrival", raw: asyncio.Transport) -> None:
        """Give what has connected a place, or refuse it before a byte is read."""
        peer = raw.get_extra_info("peername")
        place = None
        if not self._closing.is_set():  # else it was accepted just before, and nobody would end it any more
            place = self._places.take(network_of(peer[0] if peer else None), raw.abort)
        if place is None:
            raw.abort()
        elif self._tls is None:
            arrival.hand_over(raw, self._connect(place))
        else:
            greeting = asyncio.create_task(self._greet(self._tls, arrival, raw, place), name="greeting")
            self._greeting.add(greeting)
            greeting.add_done_callback(self._greeting.discard)

    async def _greet(self, tls: ssl.SSLContext, arrival: "_Arrival", raw: asyncio.Transport, place: Place) -> None:
        """The TLS handshake. asyncio could do it before it asks for a protocol, but would not say whose it is."""
        secured = None
        try:
            secured = await asyncio.get_running_loop().start_tls(
                raw,
                arrival,
                tls,
                server_side=True,
                ssl_handshake_timeout=self._limits.idle_s,
                ssl_shutdown_timeout=_LINGER_S,
            )
        except OSError as error:
            log.debug("a handshake was not finished: %s", type(error).__name__)
        finally:
            if secured is None:
                raw.abort()
                place.leave()
        if secured is not None:
            arrival.hand_over(secured, self._connect(place))

    def _connect(self, place: Place) -> "_Connection":
        assert self._connections is not None
        return _Connection(
            self._connections,
            place,
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
        for greeting in self._greeting:
            greeting.cancel()
        if self._connections is not None:
            self._connections.pre_shutdown()
            # aiohttp waits this long for handlers to end, and as long again for cancelled ones.
            await self._connections.shutdown(timeout / 2)
        self._places.clear()
        if self._listener is not None:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._listener.wait_closed(), timeout)
        if self._runner is not None:
            await self._runner.cleanup()
        self.executor.shutdown(cancel_futures=True)


class _Arrival(asyncio.Protocol):
    """What has just connected, until it is known whether there is a place for it, and with TLS until the handshake is
    done: what comes right after that waits for who is to read it."""

    def __init__(self, arrive: "Callable[[_Arrival, asyncio.Transport], None]") -> None:
        self._arrive = arrive
        self._early: list[bytes] = []

    def connection_made(self, transport: Any) -> None:
        self._arrive(self, transport)

    def data_received(self, data: bytes) -> None:
        self._early.append(data)

    def hand_over(self, transport: asyncio.Transport, connection: "_Connection") -> None:
        """Have ``connection`` go on with it."""
        transport.set_protocol(connection)
        connection.connection_made(transport)
        for data in self._early:
            connection.data_received(data)


class _Connection(web.RequestHandler):
    """aiohttp's connection, which has a place, and whose own errors (what is not HTTP at all) are problems too."""

    __slots__ = ("_place",)

    def __init__(self, server: web.Server, place: Place, **options: Any) -> None:
        super().__init__(server, **options)
        self._place = place

    def connection_lost(self, exc: BaseException | None) -> None:
        self._place.leave()
        super().connection_lost(exc)

    def begin(self, request: web.BaseRequest) -> None:
        """A whole head has come."""
        self._place.touch()
        request[PLACE] = self._place

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


def _beginning(handle: _Handle) -> _Handle:
    """``handle``, but for requests that expect what nobody here does. aiohttp itself repeats what was expected where
    there is no route, and fails if that is no text."""

    async def handled(request: web.BaseRequest) -> web.StreamResponse:
        connection = request.protocol
        if isinstance(connection, _Connection):
            connection.begin(request)
        if request.headers.get(hdrs.EXPECT, _CONTINUE).lower() == _CONTINUE:
            return await handle(request)
        response = of_status(417, "only 100-continue can be expected")
        response.headers.update(HEADERS)
        return response

    return handled


class _NoAccessLog(AbstractAccessLogger):
    """Probes and scrapes are no news, and a path may hold a number."""

    enabled = False

    def log(self, request: web.BaseRequest, response: web.StreamResponse, time: float) -> None:
        """Not called while not ``enabled``."""
