"""The bus: a link to every clinic's account, and to the node's own."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from functools import partial
from typing import Final

import structlog
from nats.js.api import StreamConfig

from gateway.nats.clinic import NatsClinicBus
from gateway.nats.link import Broker, Connection, Link
from gateway.nats.streams import Retention, clinic_streams, ensure_stream, node_streams, platform_streams
from gateway.nats.translate import translating
from protocol import subjects
from protocol.audit import Audit
from protocol.bus import ClinicBus
from protocol.codec import Encoding
from protocol.errors import BusUnavailableError
from protocol.operations import Operations

log = structlog.get_logger(__name__)

ACK_WAIT: Final = 30.0
_OPEN_TIMEOUT: Final = 15.0


def always_msgpack(clinic: str) -> Encoding:
    """The encoding of events where no clinic has a setting of its own."""
    del clinic
    return Encoding.MSGPACK


def unlimited(clinic: str) -> float:
    """The rate at which commands are taken where no clinic has a limit."""
    del clinic
    return 0.0


async def _as_it_is(connection: Connection) -> None:
    """How an account is prepared in which nothing is to be changed."""


def _link_broke(account: str, error: BaseException) -> None:
    log.error("nats_account_link_broke", account=account, exc_info=error)


class NatsBus:
    """All accounts that this node serves (implements ``Service`` and ``Bus``).

    ``encoding`` is asked for each event of a clinic. ``ack_wait``: seconds after which a fetched command that nobody
    settled comes again. ``commands_per_s`` is asked at each fetch how many commands a second all channels of a clinic
    may be given (0: as many as come); twice as many may come at once. ``schedules_key``, at most 64 bytes and always
    the same, keeps whoever sees the names of schedules from finding out by trials which ids they stand for. All methods
    belong to the loop's thread.
    """

    def __init__(
        self,
        broker: Broker,
        *,
        encoding: Callable[[str], Encoding] = always_msgpack,
        retention: Retention | None = None,
        ack_wait: float = ACK_WAIT,
        commands_per_s: Callable[[str], float] = unlimited,
        schedules_key: bytes = b"",
    ) -> None:
        self._broker = broker
        self._encoding = encoding
        self._retention = retention or Retention()
        self._ack_wait = ack_wait
        self._rate = commands_per_s
        self._schedules_key = schedules_key
        self._served: tuple[Operations, Audit] | None = None
        self._node: Link | None = None
        self._clinics: dict[str, NatsClinicBus] = {}
        self._opening: dict[str, asyncio.Lock] = {}
        self._unfinished: set[NatsClinicBus] = set()
        self._failed: asyncio.Future[str] | None = None

    def serve(self, operations: Operations, audit: Audit) -> None:
        """Answer rpc of the clinics that are opened from now on by ``operations``; what changes something is in
        ``audit``."""
        self._served = operations, audit

    @property
    def connected(self) -> bool:
        """True while the node's own account is connected; for readiness."""
        return self._node is not None and self._node.connected

    def clinic_connected(self, clinic: str) -> bool:
        """True while the clinic's account is open and connected."""
        return clinic in self._clinics and self._clinics[clinic].link.connected

    # -- Service --

    async def start(self) -> None:
        """Connect the accounts ``plantao`` and ``platform`` and bring their streams up to date.

        Raises:
            BusUnavailableError: they could not be reached in time.
        """
        await self.stop(timeout=1)
        self._failed = asyncio.get_running_loop().create_future()
        platform = Link(self._broker, subjects.ACCOUNT_PLATFORM, self._set_up_platform)
        self._node = Link(self._broker, subjects.ACCOUNT_NODE, self._set_up_node)
        try:
            for link in (self._node, platform):
                link.open(self._link_ended)
            for link in (self._node, platform):
                await link.connection(timeout=_OPEN_TIMEOUT)
        except BaseException:
            await self.stop(timeout=1)
            raise
        finally:
            await platform.close()

    async def wait(self) -> str:
        """Links reconnect for ever: returns only if the node's or the platform's broke by a mistake of ours. A clinic's
        that breaks so begins anew by itself."""
        if self._failed is None:
            return "the bus is not running"
        return await asyncio.shield(self._failed)

    async def stop(self, *, timeout: float) -> None:
        """Disconnect everything; what was published is flushed if the server takes it within ``timeout`` seconds.

        Clinics that are being opened are given up: who waits for one gets a BusUnavailableError.
        """
        node, self._node = self._node, None
        clinics, self._clinics = [*self._clinics.values(), *self._unfinished], {}
        closing = [asyncio.ensure_future(clinic.close()) for clinic in clinics]
        if node is not None:
            closing.append(asyncio.ensure_future(node.close()))
        if closing:
            _, late = await asyncio.wait(closing, timeout=timeout)
            for task in late:
                task.cancel()

    # -- Bus --

    async def open_clinic(self, clinic: str) -> ClinicBus:
        """See ``Bus``.

        Raises:
            BusUnavailableError: the account is missing, or could not be connected or prepared in time, or the bus does
                not run.
            InvalidIdError
        """
        async with self._opening.setdefault(clinic, asyncio.Lock()):
            if found := self._clinics.get(clinic):
                return found
            node = self._node
            await self._broker.ensure_account(clinic)
            self._check_running(node)
            opened = self._new_clinic(clinic)
            self._unfinished.add(opened)
            opened.open()
            try:
                await opened.link.connection(timeout=_OPEN_TIMEOUT)
                self._check_running(node)
            except BaseException:
                await opened.close()
                raise
            finally:
                self._unfinished.discard(opened)
            self._clinics[clinic] = opened
            return opened

    def clinic(self, clinic: str) -> ClinicBus:
        """See ``Bus``."""
        try:
            return self._clinics[clinic]
        except KeyError:
            raise BusUnavailableError(f"clinic {clinic} is not open") from None

    async def close_clinic(self, clinic: str, *, forget: bool) -> None:
        """See ``Bus``. Raises BusUnavailableError if it was to be forgotten and could not."""
        async with self._opening.setdefault(clinic, asyncio.Lock()):
            if opened := self._clinics.pop(clinic, None):
                await opened.close()
            if forget:
                await self._broker.remove_account(clinic)

    # -- for backups and erasures --

    @asynccontextmanager
    async def account(self, clinic: str) -> AsyncIterator[Connection]:
        """A connection of its own to the clinic's account, which is made if there is none; whether or not the clinic
        is open, it is not touched.

        Raises:
            BusUnavailableError
            InvalidIdError
        """
        await self._broker.ensure_account(clinic)
        async with self._connected(subjects.account(clinic)) as connection:
            yield connection

    @asynccontextmanager
    async def platform(self) -> AsyncIterator[Connection]:
        """A connection of its own to the account ``platform``. Raises BusUnavailableError."""
        async with self._connected(subjects.ACCOUNT_PLATFORM) as connection:
            yield connection

    @asynccontextmanager
    async def _connected(self, account: str) -> AsyncIterator[Connection]:
        link = Link(self._broker, account, _as_it_is)
        link.open_mending(partial(_link_broke, account))
        try:
            yield await link.connection(timeout=_OPEN_TIMEOUT)
        finally:
            await link.close()

    def streams(self, clinic: str) -> Mapping[str, StreamConfig]:
        """A clinic's streams as they are made here, by name; its work queue takes nothing yet."""
        return {config.name or "": config for config in clinic_streams(clinic, self._retention)}

    # -- for the registry --

    async def node_connection(self) -> Connection:
        """The connection to the account ``plantao``. Raises BusUnavailableError."""
        if self._node is None:
            raise BusUnavailableError("the bus is not running")
        return await self._node.connection()

    def _new_clinic(self, clinic: str) -> NatsClinicBus:
        return NatsClinicBus(
            self._broker,
            clinic,
            encoding=self._encoding,
            retention=self._retention,
            ack_wait=self._ack_wait,
            served=self._served,
            rate=self._rate,
            schedules_key=self._schedules_key,
        )

    def _check_running(self, since: Link | None) -> None:
        """Raise BusUnavailableError unless the bus has run without a stop since its node's link was ``since``."""
        if since is None or self._node is not since:
            raise BusUnavailableError("the bus is not running")

    async def _set_up_node(self, connection: Connection) -> None:
        with translating("preparing the NATS account plantao"):
            for config in node_streams():
                await ensure_stream(connection.js, config)

    async def _set_up_platform(self, connection: Connection) -> None:
        with translating("preparing the NATS account platform"):
            for config in platform_streams(self._retention):
                await ensure_stream(connection.js, config)

    def _link_ended(self, task: asyncio.Task[None]) -> None:
        if task.cancelled():
            return
        error = task.exception()
        log.error("nats_link_broke", task=task.get_name(), exc_info=error)
        if self._failed is not None and not self._failed.done():
            self._failed.set_result(f"{task.get_name()} broke: {error!r}")
