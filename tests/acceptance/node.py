"""A whole node as its users have it: the ``plantao`` command in a process of its own, its HTTP, its NATS."""

import asyncio
import contextlib
import json
import os
import re
import secrets
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import aiohttp
import nats
import nats.errors
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.js.api import ConsumerConfig, DeliverPolicy

from protocol.codec import decode_raw
from tests.emulator.api import Ready

PLANTAO = Path(sys.executable).with_name("plantao")
READY_TIMEOUT = 60.0
END_TIMEOUT = 60.0


class NodeError(Exception):
    """The node did not start, did not end, or answered with an error."""

    def __init__(self, text: str, status: int = 0, problem: Any = None) -> None:
        super().__init__(text)
        self.status = status
        self.problem = problem


def settings(ready: Ready, extra: Mapping[str, Mapping[str, Any]] | None = None) -> str:
    """A ``plantao.toml`` for a node that talks to the emulator; ``extra`` adds to or replaces its tables."""
    tables: dict[str, dict[str, Any]] = {
        "http": {"port": 0},
        "nats": {"port": -1},
        "whatsapp": {"port_command": ready.port_command, "env": ready.env},
        "reconnect": {"patience": 2.0, "base": 0.1, "cap": 1.0, "breaker_pause_s": 1.0},
        "pacing": {"enabled": False},
        "log": {"level": "debug"},
    }
    for name, table in (extra or {}).items():
        tables[name] = {**tables.get(name, {}), **table}
    return "".join(f"[{name}]\n{_toml(table)}\n" for name, table in tables.items())


def _toml(table: Mapping[str, Any]) -> str:
    return "".join(f"{key} = {_value(value)}\n" for key, value in table.items())


def _value(value: Any) -> str:
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{json.dumps(key)} = {_value(inner)}" for key, inner in value.items()) + "}"
    return json.dumps(value)


def children(pid: int) -> set[int]:
    """The child processes of ``pid``, whichever of its threads has them."""
    found: set[int] = set()
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):  # a thread may end meanwhile
            found |= {int(child) for child in task.read_text().split()}
    return found


def _command_line(pid: int) -> str:
    """Empty for a process that has ended meanwhile."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_text()
    except OSError:
        return ""


def descendants(pid: int) -> set[int]:
    """All processes below ``pid``, ports included (they are its children, wherever they were forked)."""
    found: set[int] = set()
    waiting = [pid]
    while waiting:
        new = children(waiting.pop()) - found
        found |= new
        waiting += new
    return found


class Node:
    """Start with ``async with``; leaving stops it with SIGTERM and raises NodeError if it did not end with 0.

    ``program`` is what ``run …`` is given to.
    """

    def __init__(self, directory: Path, config: str, *arguments: str, program: Sequence[str] = (str(PLANTAO),)) -> None:
        self.directory = directory
        self.data = directory / "data"
        self.runtime = directory / "runtime"
        self._config = config
        self._arguments = arguments
        self._program = program
        self._process: subprocess.Popen[bytes] | None = None
        self._http: aiohttp.ClientSession | None = None
        self._logins: dict[str, Any] = {}
        self.where: dict[str, Any] = {}

    @property
    def log(self) -> str:
        """What it wrote to stderr."""
        return (self.directory / "node.log").read_text(errors="replace")

    @property
    def running(self) -> bool:
        """Whether it was started, and nobody has waited for its end."""
        return self._process is not None

    @property
    def pid(self) -> int:
        """Of the main process."""
        assert self._process is not None
        return self._process.pid

    def start(self) -> None:
        """Start it and wait for its ready line; NodeError with its log if that does not come."""
        self.directory.mkdir(parents=True, exist_ok=True)
        config = self.directory / "plantao.toml"
        config.write_text(f'runtime = "{self.runtime}"\n{self._config}')
        command = [*self._program, "run", "--config", str(config), "--data", str(self.data), "--json", *self._arguments]
        with (self.directory / "node.log").open("ab") as log:
            # So that one which hangs can be made to say where (see ``wait``).
            env = {**os.environ, "PYTHONFAULTHANDLER": "1"}
            self._process = subprocess.Popen(
                command, stdout=subprocess.PIPE, stderr=log, cwd=self.directory, env=env, process_group=0
            )
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            code = self._process.wait(END_TIMEOUT)
            self._process.stdout.close()
            self._process = None
            raise NodeError(f"the node ended with {code} before it was ready:\n{self.log}")
        self.where = json.loads(line)

    def port_pid(self, clinic: str, channel: str) -> int:
        """The process that holds a channel's socket, as its lock names it."""
        lock = json.loads((self.runtime / "clinics" / clinic / f"{channel}.db.lock").read_bytes())
        return int(lock["pid"])

    def child(self, name: str) -> int:
        """A child process whose command line names ``name``."""
        return next(pid for pid in sorted(children(self.pid)) if name in _command_line(pid))

    def signal(self, number: signal.Signals) -> None:
        """Send it a signal."""
        assert self._process is not None
        self._process.send_signal(number)

    def wait(self) -> int:
        """Wait for its end; its exit code."""
        assert self._process is not None
        process = self._process
        try:
            code = process.wait(END_TIMEOUT)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGABRT)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(5)
            process.kill()
            process.wait()
            raise NodeError(f"the node did not end within {END_TIMEOUT} s:\n{self.log[-20000:]}") from None
        finally:
            assert process.stdout is not None
            process.stdout.close()
            self._process = None
        return code

    def stop(self) -> int:
        """SIGTERM, and wait; its exit code."""
        self.signal(signal.SIGTERM)
        return self.wait()

    def kill(self) -> None:
        """SIGKILL, and wait."""
        self.signal(signal.SIGKILL)
        self.wait()

    async def __aenter__(self) -> Self:
        await asyncio.to_thread(self.start)
        await self.open_http()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close_http()
        if self._process is None:
            return
        code = await asyncio.to_thread(self.stop)
        if code != 0 and error is None:
            raise NodeError(f"the node ended with {code}:\n{self.log}")

    # -- HTTP --

    async def open_http(self) -> None:
        """Speak HTTP with the admin key."""
        key = (await asyncio.to_thread(Path(self.where["admin_key"]).read_text)).strip()
        self._http = aiohttp.ClientSession(self.where["http"], headers={"Authorization": f"Bearer {key}"})

    async def close_http(self) -> None:
        """Speak HTTP no more."""
        if self._http is not None:
            await self._http.close()

    async def request(
        self, method: str, path: str, body: Any = None, *, headers: Mapping[str, str] | None = None
    ) -> Any:
        """An HTTP request; NodeError with the problem if it is refused."""
        assert self._http is not None
        async with self._http.request(method, path, json=body, headers=headers) as response:
            content = await response.read()
            if response.status >= 400:
                raise NodeError(f"{method} {path}: {response.status} {content!r}", response.status, json.loads(content))
            if response.content_type == "application/json":
                return json.loads(content)
            return content

    async def add(self, clinic: str, *channels: str) -> None:
        """A clinic with channels."""
        await self.request("POST", "/api/v1/clinics", {"id": clinic, "name": clinic.title()})
        for channel in channels:
            await self.request("POST", f"/api/v1/clinics/{clinic}/channels", {"id": channel})

    async def once(self, path: str, holds: Callable[[Any], bool]) -> Any:
        """What ``GET path`` answers, once ``holds`` is true of it: for what is not published as an event."""
        async with asyncio.timeout(END_TIMEOUT):
            while not holds(found := await self.request("GET", path)):  # noqa: ASYNC110 - not an event
                await asyncio.sleep(0.1)
            return found

    async def clinic_in(self, clinic: str, state: str) -> Any:
        """The clinic, once it is in ``state``."""
        return await self.once(f"/api/v1/clinics/{clinic}", lambda found: bool(found["state"] == state))

    async def channel(self, clinic: str, channel: str) -> Any:
        """A channel as it is now."""
        return await self.request("GET", f"/api/v1/clinics/{clinic}/channels/{channel}")

    async def act(self, clinic: str, channel: str, verb: str, body: Any = None) -> Any:
        """``POST …/{verb}``."""
        return await self.request("POST", f"/api/v1/clinics/{clinic}/channels/{channel}/{verb}", body)

    # -- the command line --

    async def cli(self, *arguments: str, code: int = 0) -> str:
        """Run ``plantao`` against this node; its output. AssertionError if it does not end with ``code``."""
        process = await asyncio.create_subprocess_exec(
            str(PLANTAO), *arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=self.directory
        )
        out, err = await asyncio.wait_for(process.communicate(), READY_TIMEOUT)
        assert process.returncode == code, (process.returncode, out.decode(), err.decode())
        return out.decode() + err.decode()

    # -- NATS --

    async def login(self, clinic: str, **options: Any) -> Client:
        """A service of one clinic, by a login that is issued for it at the first time; ``options`` are the client's."""
        if clinic not in self._logins:
            name = f"test-{secrets.token_hex(4)}"
            self._logins[clinic] = await self.request("POST", f"/api/v1/clinics/{clinic}/nats", {"name": name})
        login = self._logins[clinic]
        return await nats.connect(login["url"], inbox_prefix=login["inbox_prefix"].encode(), **options)

    @property
    def nats_config(self) -> Path:
        """What its nats-server has read, in memory."""
        return self.runtime / "nats" / "server.conf"

    def own_url(self, account: str) -> str:
        """By which the node itself connects to one of its accounts, as ``_INBOX_plantao``."""
        user = f"{account}.plantao"
        found = re.search(f'user: "{user}", password: "([^"]+)"', self.nats_config.read_text())
        assert found is not None
        return f"nats://{user}:{found[1]}@{self.where['nats'].rpartition('@')[2]}"

    async def listen(self) -> "Listener":
        """A service that serves all clinics: the account ``platform``."""
        listener = Listener(await nats.connect(self.where["nats"]))
        await listener.start()
        return listener


class Listener:
    """Follows every clinic's events from the beginning, in order, and sends; as a platform service would."""

    def __init__(self, connection: Client) -> None:
        self.connection = connection
        self.events: list[tuple[str, dict[str, Any]]] = []
        self._changed = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Begin to follow."""
        stream = self.connection.jetstream()
        config = ConsumerConfig(deliver_policy=DeliverPolicy.ALL)
        subscription = await stream.subscribe(
            "clinic.>", stream="events", ordered_consumer=True, config=config, idle_heartbeat=1.0
        )

        async def follow() -> None:
            async for message in subscription.messages:
                self._take(message)

        self._task = asyncio.create_task(follow())

    def _take(self, message: Msg) -> None:
        self.events.append((message.subject, decode_raw(message.data)))
        self._changed.set()

    async def stop(self) -> None:
        """Follow no more."""
        if self._task is not None:
            self._task.cancel()
        await self.connection.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    async def send(self, clinic: str, channel: str, command: Mapping[str, Any] | bytes, priority: str = "") -> None:
        """Publish a send command (a mapping becomes JSON) until it is stored: its id makes that safe."""
        subject = f"clinic.{clinic}.channel.{channel}.send" + (f".{priority}" if priority else "")
        body = command if isinstance(command, bytes) else json.dumps(command).encode()
        async with asyncio.timeout(READY_TIMEOUT):
            while True:
                with contextlib.suppress(nats.errors.TimeoutError, nats.errors.NoRespondersError):
                    await self.connection.jetstream().publish(subject, body, timeout=2)
                    return

    async def rpc(self, clinic: str, channel: str, verb: str, body: bytes = b"") -> Any:
        """Ask a channel."""
        answer = await self.connection.request(f"clinic.{clinic}.channel.{channel}.rpc.{verb}", body, timeout=60)
        return decode_raw(answer.data)

    def seen(self, kind: str, **fields: Any) -> list[dict[str, Any]]:
        """The events of a kind (last token of the subject) with these fields."""
        return [
            event
            for subject, event in self.events
            if subject.rsplit(".", 1)[-1] == kind and all(event.get(name) == value for name, value in fields.items())
        ]

    async def until(self, kind: str, *, count: int = 1, timeout: float = 30.0, **fields: Any) -> dict[str, Any]:
        """The ``count``-th event of a kind with these fields; AssertionError with what came instead."""
        return (await self.until_seen(lambda: self.seen(kind, **fields), count, timeout, f"{kind} {fields}"))[count - 1]

    async def until_seen(
        self, look: Callable[[], Sequence[dict[str, Any]]], count: int, timeout: float, what: str
    ) -> Sequence[dict[str, Any]]:
        """Wait until ``look`` finds ``count``."""
        try:
            async with asyncio.timeout(timeout):
                while len(found := look()) < count:
                    self._changed.clear()
                    await self._changed.wait()
                return found
        except TimeoutError:
            raise AssertionError(f"no {what} within {timeout} s; came: {self.events[-30:]}") from None
