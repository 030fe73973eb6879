"""The embedded broker: a real nats-server, run as an OS process of this node's own. What it keeps where is in
``broker_files``."""

import asyncio
import math
import shutil
import signal
import ssl
from collections.abc import Awaitable, Callable
from datetime import datetime
from pathlib import Path
from typing import Final

import structlog

from gateway.nats.accounts import Accounts, Credential, Issued, Role
from gateway.nats.broker_files import ANY_PORT, BrokerFiles
from gateway.nats.emptying import empty
from gateway.nats.link import Login
from gateway.nats.probe import accepted, usable
from gateway.nats.server_config import ClinicQuota, Server, Tls, server_config
from gateway.nats.server_process import BrokerError, end_left_over, find_program, launch, watch
from gateway.nats.tls import to_our_own
from gateway.vault.keys import DataKey
from protocol import subjects
from protocol.commands import utc_now
from supervisor.heartbeat import Heartbeat
from supervisor.process import ChildProcess, ProcessError, ProcessStuckError

log = structlog.get_logger(__name__)

LOOPBACK: Final = "127.0.0.1"
_HERE: Final = {"0.0.0.0": LOOPBACK, "::": "::1"}  # noqa: S104 - nothing is bound by this
"""Where a server that listens everywhere is found from here."""
_DEFAULT_QUOTA: Final = ClinicQuota()
_START_TIMEOUT: Final = 30.0
_RELOAD_TIMEOUT: Final = 15.0
_LEFT_OVER_TIMEOUT: Final = 5.0
_HEARTBEAT: Final = Heartbeat(every=2.0, silence=20.0)
"""A server that is busy, full and synced to disk answers in far less; to kill one costs everybody a reconnect."""
_PROBE_TIMEOUT: Final = 1.0
_POLL: Final = 0.01
_LONGEST_TIMER: Final = 24 * 3600.0
"""Seconds, after which is looked again what expires when: the wall clock may have been set."""
_EXPIRY_AGAIN: Final = 10.0
_RELOAD_PAUSE: Final = 0.1
"""Seconds between two reloads at least: each disturbs JetStream's API of all accounts for some milliseconds."""


class EmbeddedBroker:
    """Runs nats-server with JetStream in ``directory`` (implements ``Service`` and ``Broker``). It listens on ``host``;
    unless that is loopback, ``tls`` must be given.

    ``key`` is the node's: what JetStream stores and the credentials are encrypted with keys derived from it; what the
    server has to read in clear lies in ``runtime``, which should be memory.

    ``port`` -1 lets the system choose at the first start; that port is kept from then on, so that clients find the
    server again, and given up only if somebody else has taken it. ``quota`` limits what a clinic's account
    may have. A server that gives no answer for as long as ``heartbeat`` allows is killed, and ``wait`` returns. The
    caller guarantees that no other node uses ``directory``. All methods belong to the loop's thread.
    """

    def __init__(
        self,
        directory: Path,
        *,
        key: DataKey,
        runtime: Path,
        host: str = LOOPBACK,
        port: int = ANY_PORT,
        tls: Tls | None = None,
        quota: ClinicQuota = _DEFAULT_QUOTA,
        heartbeat: Heartbeat = _HEARTBEAT,
        clock: Callable[[], datetime] = utc_now,
    ) -> None:
        self._directory = directory.absolute()
        self._files = BrokerFiles(directory, runtime, key)
        self._heartbeat = heartbeat
        self._asked_port = port
        self._host = host
        self._tls = tls
        self._trust: ssl.SSLContext | None = None
        self._quota = quota
        self._port: int | None = None
        self._accounts: Accounts | None = None
        self._announced: frozenset[str] = frozenset()
        self._effective: frozenset[str] = frozenset()
        self._reloading = asyncio.Lock()
        self._settled_at = -math.inf
        self._process: ChildProcess | None = None
        self._clock = clock
        self._expiry: asyncio.TimerHandle | None = None
        self._expiring: asyncio.Task[None] | None = None

    # -- Service --

    async def start(self) -> None:
        """Returns when clients can connect and JetStream answers.

        Raises:
            BrokerError: the program is missing, the port is taken, or the server died; says which, and its last words.
            StoreUnavailableError: the accounts cannot be opened with the node's key.
            InvalidInputError: an earlier version's ``accounts.json`` is not readable as such.
        """
        if self._process is not None:
            await self.stop(timeout=_LEFT_OVER_TIMEOUT)
        program = find_program()
        try:
            await asyncio.to_thread(self._files.prepare)
            for pid in await end_left_over(self._files.configs, timeout=_LEFT_OVER_TIMEOUT):
                log.warning("broker_left_over_ended", pid=pid)
            # A server that has only just begun does not know SIGHUP yet: it would end.
            async with self._reloading:
                self._accounts = await asyncio.to_thread(self._files.load)
                await self._run(program)
        except OSError as error:
            raise BrokerError(f"{self._directory}: {error.strerror}") from error

    async def wait(self) -> str:
        """Returns when the server has ended without being asked to; says how, and its last words."""
        process = self._process
        if process is None:
            return "nats-server is not running"
        how = await process.ended()
        if self._process is not process:
            await asyncio.get_running_loop().create_future()
        return f"nats-server {how}"

    async def stop(self, *, timeout: float) -> None:
        """SIGTERM, then SIGKILL after ``timeout`` seconds; returns when the process is gone.

        Raises:
            BrokerError: it does not end, even so.
        """
        process, self._process = self._process, None
        if self._expiry is not None:
            self._expiry.cancel()
        if self._expiring is not None:
            self._expiring.cancel()
        if process is None:
            return
        try:
            await process.end(timeout=timeout)
        except ProcessStuckError as error:
            raise BrokerError(f"nats-server does not end: {error}") from error
        self._files.clear()

    def kill(self, reason: str) -> None:
        """SIGKILL the server, if it runs. Callable from any thread."""
        if self._process is not None:
            self._process.kill(reason)

    # -- Broker --

    @property
    def pid(self) -> int | None:
        """Of the server's process, while there is one."""
        return self._process.pid if self._process is not None and self._process.exit is None else None

    @property
    def server(self) -> str:
        """Its URL, without credentials. Raises BrokerError before the first start."""
        if self._port is None:
            raise BrokerError("nats-server has not been started")
        host = _HERE.get(self._host, self._host)
        return f"{'nats' if self._tls is None else 'tls'}://{f'[{host}]' if ':' in host else host}:{self._port}"

    def login(self, account: str, role: Role = Role.PLANTAO) -> Login:
        """How to connect to ``account`` as ``role``. Raises NotFoundError, BrokerError before the first start."""
        server = self.server
        assert self._accounts is not None
        found = self._accounts.find(account, role)
        return Login(server, found.user, found.password, self._trust)

    async def ensure_account(self, clinic: str) -> None:
        """Give ``clinic`` an account, with new credentials if it never had one; returns when the server knows it.

        Calls that come while a reload is under way, or shortly after one, share the next.

        Raises:
            InvalidIdError
            BrokerError: the server does not run, or did not take the account over in time.
        """
        if self._accounts is None:
            raise BrokerError("nats-server has not been started")
        self._accounts = self._accounts.with_clinic(clinic)
        if clinic in self._effective:
            return
        async with self._reloading:
            if clinic not in self._effective:
                if clinic not in self._announced:
                    await self._reload()
                # Should it not come into effect, the next call reloads again.
                self._announced -= {clinic}
                await self._until(self.login(subjects.account(clinic)), present=True)
                self._effective |= {clinic}

    async def renew(self) -> None:
        """Have the server read its files anew, its certificate among them, which connections that come then are shown.
        Raises BrokerError."""
        async with self._reloading:
            await self._reload()

    async def remove_account(self, clinic: str) -> None:
        """Remove the account of ``clinic`` with all it holds, and cut its connections; harmless if it has none.

        Raises:
            BusUnavailableError: the server does not run, or did not let go of the account in time.
        """
        if self._accounts is None:
            raise BrokerError("nats-server has not been started")
        account = subjects.account(clinic)
        if clinic not in self._accounts.clinics:
            return
        old = self.login(account)
        # First of all: the server remembers streams of an account that it no longer knows, until that comes back.
        await empty(old)
        self._accounts = self._accounts.without_clinic(clinic)
        self._effective -= {clinic}
        async with self._reloading:
            await self._reload()
            await self._until(old, present=False)
            await asyncio.to_thread(shutil.rmtree, self._directory / "jetstream" / account, ignore_errors=True)

    # -- logins --

    @property
    def accounts(self) -> Accounts:
        """As they are now. Raises BrokerError before the first start."""
        if self._accounts is None:
            raise BrokerError("nats-server has not been started")
        return self._accounts

    async def change_login(self, account: str, name: str, change: Callable[[Accounts], Accounts]) -> None:
        """Have ``change`` done to the login ``name`` of ``account``; returns when the server knows. It cuts off who was
        connected by what is good no more.

        Raises:
            BrokerError: the server does not run or the disk takes nothing (then nothing was changed), or it did not
                take it over in time (then it will be so when it next does).
            PlantaoError: what ``change`` raises.
        """
        async with self._reloading:
            before, after = self.accounts, change(self.accounts)
            old, new = (accounts.logins(account).get(name) for accounts in (before, after))
            if self.pid is None:
                raise BrokerError("nats-server is not running")
            self._accounts = after
            try:
                await self._reload()
            except OSError as error:
                # Else a login would be back at the next start, and until then nobody could revoke it.
                if self._accounts is after:
                    self._accounts = before
                raise BrokerError(f"{error.filename or self._directory}: {error.strerror or error}") from error
            if old is not None:
                await self._until(self._login_by(old), accepted, present=False)
            if new is not None:
                await self._until(self._login_by(new), accepted, present=True)

    def _login_by(self, login: Issued | Credential) -> Login:
        credential = login.credential if isinstance(login, Issued) else login
        return Login(self.server, credential.user, credential.password, self._trust)

    def _await_expiry(self) -> None:
        """Have the server told again when the next login expires."""
        if self._expiry is not None:
            self._expiry.cancel()
        now = self._clock()
        end = None if self._accounts is None else self._accounts.next_expiry(now)
        if end is not None:
            delay = min((end - now).total_seconds(), _LONGEST_TIMER)
            self._expiry = asyncio.get_running_loop().call_later(delay, self._begin_expiring)

    def _begin_expiring(self) -> None:
        self._expiring = asyncio.get_running_loop().create_task(self._expire(), name="nats logins expire")

    async def _expire(self) -> None:
        async with self._reloading:
            try:
                if self.pid is not None:
                    await self._reload()
            except (OSError, BrokerError) as error:
                log.error("nats_logins_not_expired", error=str(error))
                self._expiry = asyncio.get_running_loop().call_later(_EXPIRY_AGAIN, self._begin_expiring)

    # -- starting --

    async def _run(self, program: Path) -> None:
        remembered = self._files.remembered_port() if self._asked_port == ANY_PORT else self._asked_port
        try:
            await self._launch(program, remembered)
        except BrokerError:
            if self._asked_port != ANY_PORT or remembered == ANY_PORT or not self._port_was_taken():
                raise
            log.warning("broker_port_taken", port=remembered)
            await self._launch(program, ANY_PORT)

    async def _launch(self, program: Path, port: int) -> None:
        self._files.clear_ports()
        self._effective, self._announced = await self._write(port), frozenset()
        self._files.put_log_away()
        process = self._process = launch(program, self._directory, self._files.config)
        try:
            self._port = await process.until_ready(self._until_usable(process.pid), timeout=_START_TIMEOUT)
        except BaseException as error:
            await self.stop(timeout=0)
            if isinstance(error, ProcessError):
                raise self._not_started(error) from error
            raise
        watch(process, self.login(subjects.ACCOUNT_NODE), self._heartbeat)
        log.info("broker_started", pid=process.pid, port=self._port)

    async def _until_usable(self, pid: int) -> int:
        """The port, once the server has said on which it listens and JetStream answers there."""
        self._port = await self._until_listening(pid)
        await self._write(self._port)
        await self._until(self.login(subjects.ACCOUNT_NODE), present=True)
        return self._port

    async def _until_listening(self, pid: int) -> int:
        """The port, as soon as the server has said on which it listens."""
        while (port := self._files.announced_port(pid)) is None:  # noqa: ASYNC110 - a file, not an event
            await asyncio.sleep(_POLL)
        return port

    def _not_started(self, error: ProcessError) -> BrokerError:
        if self._port_was_taken():
            return BrokerError(
                f"port {self._asked_port} on {self._host} is taken by another program: "
                "set nats.port to a free one, or to -1 for any"
            )
        return BrokerError(f"nats-server ended at start: {error}")

    def _port_was_taken(self) -> bool:
        return "address already in use" in self._files.last_words()

    # -- configuration --

    async def _write(self, port: int) -> frozenset[str]:
        """Put the accounts and the configuration for ``port`` in their files. Returns the clinics that are in it."""
        accounts = self.accounts
        server = Server(
            directory=self._directory,
            host=self._host,
            port=port,
            key=self._files.store_key,
            tls=self._tls,
            quota=self._quota,
        )
        if self._tls is not None:  # the server reads it anew, too: it may have been renewed
            self._trust = await asyncio.to_thread(to_our_own, self._tls)
        config = server_config(accounts.valid(self._clock()), server).encode()
        self._await_expiry()
        await asyncio.to_thread(self._files.write, accounts, config, port)
        return frozenset(accounts.clinics)

    async def _reload(self) -> None:
        clock = asyncio.get_running_loop().time
        await asyncio.sleep(self._settled_at + _RELOAD_PAUSE - clock())
        process = self._process
        if process is None or process.exit is not None or self._port is None:
            raise BrokerError("nats-server is not running")
        written = await self._write(self._port)
        process.send(signal.SIGHUP)
        self._effective &= written
        self._announced = written - self._effective

    async def _until(self, login: Login, asks: Callable[..., Awaitable[bool]] = usable, *, present: bool) -> None:
        """Wait until the server knows ``login``, or no longer does. It says nothing itself: ask until it is so."""
        try:
            async with asyncio.timeout(_RELOAD_TIMEOUT):
                while self.pid is not None and await asks(login, timeout=_PROBE_TIMEOUT) is not present:  # noqa: ASYNC110
                    await asyncio.sleep(_POLL)
        except TimeoutError as error:
            raise BrokerError(f"nats-server did not take over its configuration: {self._files.last_words()}") from error
        if self.pid is None:
            raise BrokerError(f"nats-server ended: {self._files.last_words()}")
        self._settled_at = asyncio.get_running_loop().time()
