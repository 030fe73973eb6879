"""A link: one NATS connection to one account, for ever.

The link owns reconnection, the client library does not: a lost connection is thrown away whole and a new one is made.
So nothing that was waiting in an old connection's buffers is sent later, out of order, and nobody can go on using an
old connection's subscriptions by mistake.
"""

import asyncio
import random
import ssl
from collections.abc import Callable, Coroutine
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final, Protocol, TypeVar
from urllib.parse import quote

import structlog
from nats.aio.client import Client
from nats.errors import Error as NatsError
from nats.js import JetStreamContext

from gateway.nats.accounts import MAX_PAYLOAD, Role
from gateway.nats.client import PatientClient
from gateway.nats.translate import translating
from protocol.errors import BusUnavailableError, PlantaoError

T = TypeVar("T")
log = structlog.get_logger(__name__)

INBOX: Final = b"_INBOX_plantao"
"""What our own inboxes begin with: no login of a service may listen there."""
CONNECT_TIMEOUT: Final = 5.0
REQUEST_TIMEOUT: Final = 10.0
"""Seconds that an answer may take; a server that is synced to disk, busy and full still answers in far less."""
_SET_UP_TIMEOUT: Final = 30.0
_CLOSE_TIMEOUT: Final = 2.0
_BACKOFF_BASE: Final = 0.1
_BACKOFF_CAP: Final = 5.0
_PING_INTERVAL: Final = 10


@dataclass(frozen=True, slots=True)
class Login:
    """How to reach an account: ``server`` is a URL without credentials; ``tls`` says whom to trust there, if it is one
    with TLS."""

    server: str
    user: str
    password: str
    tls: ssl.SSLContext | None = None

    @property
    def url(self) -> str:
        """With the credentials in it: a secret."""
        scheme, _, address = self.server.partition("://")
        return f"{scheme}://{quote(self.user, safe='')}:{quote(self.password, safe='')}@{address}"

    def __repr__(self) -> str:
        return f"Login({self.server!r}, {self.user!r})"


class Broker(Protocol):
    """Where the accounts are: the embedded server or an external one."""

    def login(self, account: str, role: Role = Role.PLANTAO) -> Login:
        """Raises NotFoundError if there is no such account, BusUnavailableError before the server ever ran."""

    async def ensure_account(self, clinic: str) -> None:
        """Returns once the clinic's account can be used. Raises BusUnavailableError, InvalidIdError."""

    async def remove_account(self, clinic: str) -> None:
        """End the clinic's account with all it holds, and cut its connections; does nothing if the accounts are not
        ours to remove. Raises BusUnavailableError."""


class Connection:
    """One living connection. ``lost`` is done once it is gone."""

    def __init__(self, nc: PatientClient, lost: asyncio.Future[None]) -> None:
        self.nc: Final = nc
        self.js: Final[JetStreamContext] = nc.jetstream(timeout=REQUEST_TIMEOUT)
        self.lost: Final = lost

    async def during(self, work: Coroutine[Any, Any, T], doing: str, *, timeout: float = REQUEST_TIMEOUT) -> T:
        """The outcome of ``work``, which is given up when the connection is lost or after ``timeout`` seconds.

        Raises:
            BusUnavailableError: given up, or the library failed; ``doing`` says at what.
        """
        task = asyncio.ensure_future(work)
        try:
            await asyncio.wait((task, self.lost), timeout=timeout, return_when=asyncio.FIRST_COMPLETED)
            if not task.done():
                raise BusUnavailableError(f"{doing}: {'connection lost' if self.lost.done() else 'no answer in time'}")
            with translating(doing):
                return task.result()
        finally:
            task.add_done_callback(_retrieve)
            if not task.done():
                task.cancel()
                # Not for ever: in some places the library swallows a cancellation.
                await asyncio.wait((task,), timeout=1)
            del task  # else it and its error keep each other, and what the error's frames hold, such as media


class Link:
    """Keeps one account connected. All methods belong to the loop's thread.

    ``set_up`` runs with every new connection before anybody gets it; if it fails, the connection is dropped and made
    anew. Waits between attempts grow from 0.1 to 5 s, with full jitter. A failure is a PlantaoError; anything else is a
    mistake of ours, and how the link was opened decides whether it ends there.
    """

    def __init__(
        self,
        broker: Broker,
        account: str,
        set_up: Callable[[Connection], Coroutine[Any, Any, None]],
        *,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self._broker = broker
        self._account = account
        self._set_up = set_up
        self._jitter = jitter
        self._current: Connection | None = None
        self._connected = asyncio.Event()
        self._error: PlantaoError | None = None
        self._failures = 0
        self._keeper: asyncio.Task[None] | None = None

    @property
    def connected(self) -> bool:
        """True while there is a connection."""
        return self._current is not None and not self._current.lost.done()

    def open(self, failed: Callable[[asyncio.Task[None]], None]) -> None:
        """Begin to connect. ``failed`` is called if keeping the connection ever ends."""
        self._keeper = asyncio.create_task(self._keep(), name=f"nats link {self._account}")
        self._keeper.add_done_callback(failed)

    def open_mending(self, broke: Callable[[BaseException], None]) -> None:
        """Begin to connect, and begin anew whenever keeping it breaks: who holds the link may go on using it.

        ``broke`` is told what it broke by; not again while every new attempt breaks by an error of the same kind.
        """
        self._keeper = asyncio.create_task(self._keep_mending(broke), name=f"nats link {self._account}")

    async def connection(self, *, timeout: float = CONNECT_TIMEOUT) -> Connection:
        """The connection, for which it waits at most ``timeout`` seconds.

        Raises:
            BusUnavailableError: there is none.
        """
        if self._current is not None and not self._current.lost.done():
            return self._current
        try:
            async with asyncio.timeout(timeout):
                while self._keeper is not None:
                    await self._connected.wait()
                    if self._current is not None and not self._current.lost.done():
                        return self._current
                    self._connected.clear()
        except TimeoutError:
            raise BusUnavailableError(f"NATS account {self._account}: {self._error or 'not connected'}") from None
        raise BusUnavailableError(f"NATS account {self._account}: closed")

    async def close(self) -> None:
        """Disconnect for good; what was published is flushed, and who waits for a connection is told. Harmless if it is
        not open."""
        keeper, self._keeper = self._keeper, None
        self._connected.set()
        if keeper is not None:
            keeper.cancel()
            await asyncio.wait((keeper,))

    async def _keep_mending(self, broke: Callable[[BaseException], None]) -> None:
        while True:
            try:
                await self._keep()
            # Also a cancellation that nobody asked of this task: one of the client library's own that got out.
            except (Exception, asyncio.CancelledError) as error:  # noqa: BLE001 - told, and only this account suffers
                _obey_cancellation()
                if self._is_news(mistake := BusUnavailableError(f"broke by {type(error).__name__}; see the log")):
                    broke(error)
                await self._pause_after(mistake)

    async def _keep(self) -> None:
        while True:
            try:
                connection = await self._connect()
            except PlantaoError as error:
                _obey_cancellation()
                if self._is_news(error):
                    log.warning("nats_connect_failed", account=self._account, error=str(error))
                await self._pause_after(error)
                continue
            self._failures = 0
            log.info("nats_connected", account=self._account)
            self._error = None
            self._current = connection
            self._connected.set()
            try:
                await asyncio.wait((connection.lost,))
            finally:
                self._current = None
                self._connected.clear()
                await _end(connection.nc)
            log.warning("nats_connection_lost", account=self._account)

    def _is_news(self, error: PlantaoError) -> bool:
        return self._failures == 0 or str(error) != str(self._error)

    async def _pause_after(self, error: PlantaoError) -> None:
        self._error = error
        ceiling = min(_BACKOFF_CAP, _BACKOFF_BASE * 2 ** min(self._failures, 10))
        self._failures += 1
        await asyncio.sleep(ceiling * self._jitter())

    async def _connect(self) -> Connection:
        login = self._broker.login(self._account)
        lost: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        nc = PatientClient()

        async def on_closed() -> None:
            if not lost.done():
                lost.set_result(None)

        async def on_error(error: Exception) -> None:
            log.debug("nats_client_error", account=self._account, error=str(error))

        try:
            with translating(f"connecting to the NATS account {self._account}"):
                async with asyncio.timeout(CONNECT_TIMEOUT):
                    await nc.connect(
                        [login.server],
                        user=login.user,
                        password=login.password,
                        tls=login.tls,
                        inbox_prefix=INBOX,
                        name="plantao",
                        allow_reconnect=False,
                        max_reconnect_attempts=1,
                        reconnect_time_wait=0,
                        connect_timeout=int(CONNECT_TIMEOUT),
                        ping_interval=_PING_INTERVAL,
                        flush_timeout=CONNECT_TIMEOUT,
                        pending_size=MAX_PAYLOAD,
                        closed_cb=on_closed,
                        error_cb=on_error,
                    )
            connection = Connection(nc, lost)
            # Given up with the connection: a server in the middle of a reload may cut one that has just begun.
            await connection.during(
                self._set_up(connection), f"preparing the NATS account {self._account}", timeout=_SET_UP_TIMEOUT
            )
            _obey_cancellation()
        except BaseException:
            await _end(nc)
            raise
        return connection


def _obey_cancellation() -> None:
    """Raise CancelledError if this task was cancelled and did not notice: the client library waits by ``wait_for``,
    which on Python 3.11 swallows a cancellation that comes together with the answer."""
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise asyncio.CancelledError


def _retrieve(task: asyncio.Future[Any]) -> None:
    """Look at the outcome of work that was given up, or asyncio complains that nobody did."""
    if not task.cancelled():
        task.exception()


async def _end(nc: Client) -> None:
    """Close ``nc``, if it still is open after sending what it holds."""
    with suppress(NatsError, OSError, TimeoutError):
        if nc.is_connected:
            await nc.flush(timeout=1)
    with suppress(NatsError, OSError, TimeoutError):
        # Not for ever: after a certificate that was refused the library waits for an end that never comes.
        async with asyncio.timeout(_CLOSE_TIMEOUT):
            await nc.close()
