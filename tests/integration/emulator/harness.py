"""The parent's side: starts a real neonize client in its own process and talks with it."""

import asyncio
import base64
import contextlib
import itertools
import json
import socket
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from tests.emulator.client import EmulatorProcess

_REPOSITORY = Path(__file__).resolve().parents[3]
_LONGEST_LINE = 1 << 26


class CallError(Exception):
    """The client raised; the text is neonize's."""


@dataclass(frozen=True, slots=True)
class ClientEvent:
    """Something neonize reported; ``data`` is its protobuf as JSON, or a text."""

    name: str
    data: Any


class NeonizeClient:
    """One account's client.  ``async with`` ends the process."""

    def __init__(self, emulator: EmulatorProcess, directory: Path, phone: str) -> None:
        self.emulator, self.phone = emulator, phone
        self.database = directory / f"{phone}.db"
        self.log_path = directory / f"{phone}.log"
        self.events: list[ClientEvent] = []
        self._numbers = itertools.count()
        self._calls: dict[int, asyncio.Future[Any]] = {}
        self._arrived = asyncio.Condition()
        self._process: asyncio.subprocess.Process | None = None
        self._writer: asyncio.StreamWriter | None = None
        self._pump: asyncio.Task[None] | None = None
        self.connecting: asyncio.Task[Any] | None = None

    async def __aenter__(self) -> Self:
        ours, theirs = socket.socketpair()
        root_key = Path(self.emulator.ready.ca).with_name("root.key")
        arguments = [str(theirs.fileno()), str(root_key), str(self.database), self.phone]
        with self.log_path.open("ab") as log, theirs:
            self._process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "tests.integration.emulator.neonize_process", *arguments,
                pass_fds=[theirs.fileno()], env=self.emulator.environment, cwd=_REPOSITORY,
                stdin=asyncio.subprocess.DEVNULL, stdout=log, stderr=log,
            )  # fmt: skip
        reader, self._writer = await asyncio.open_connection(sock=ours, limit=_LONGEST_LINE)
        self._pump = asyncio.create_task(self._read(reader))
        await self.wait_for("ready", timeout=30)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.kill()

    async def kill(self) -> None:
        if self._process is None or self._pump is None or self._writer is None:
            return
        with contextlib.suppress(ProcessLookupError):
            self._process.kill()
        await self._process.wait()
        await self._pump
        self._writer.close()
        with contextlib.suppress(OSError):
            await self._writer.wait_closed()
        if self.connecting is not None:
            await asyncio.gather(self.connecting, return_exceptions=True)
        self._process = None

    async def died(self, timeout: float = 10.0) -> int:
        """Wait until the process ends by itself; its exit code."""
        assert self._process is not None
        return await asyncio.wait_for(self._process.wait(), timeout)

    @property
    def log(self) -> str:
        return self.log_path.read_text(errors="replace")

    async def call(self, name: str, timeout: float | None = 20.0, **arguments: Any) -> Any:
        """Call a ``do_`` method of the child; CallError with what it raised."""
        assert self._writer is not None
        number = next(self._numbers)
        answer = self._calls[number] = asyncio.get_running_loop().create_future()
        self._writer.write(json.dumps({"id": number, "call": name, "arguments": arguments}).encode() + b"\n")
        return await asyncio.wait_for(answer, timeout)

    def connect(self) -> "asyncio.Task[Any]":
        """Start ``connect()``, which returns only when all is over."""
        self.connecting = asyncio.create_task(self.call("connect", timeout=None))
        return self.connecting

    async def pair(self) -> None:
        """Connect, scan the QR code, and wait until connected."""
        self.connect()
        qr = await self.wait_for("qr")
        await self.emulator.scan(qr.data, self.phone)
        await self.wait_for("Connected", timeout=20)

    async def log_in(self) -> None:
        """Connect with the stored credentials."""
        self.connect()
        await self.wait_for("Connected", timeout=20)

    async def send_text(self, to: str, text: str, *, server: str = "s.whatsapp.net", timeout: float = 20) -> str:
        return str(await self.call("send_text", timeout, to=to, text=text, server=server))

    async def send_image(self, to: str, image: bytes, caption: str) -> str:
        encoded = base64.b64encode(image).decode()
        return str(await self.call("send_image", to=to, image=encoded, caption=caption))

    async def download(self, message_id: str) -> bytes:
        return base64.b64decode(await self.call("download", message_id=message_id))

    def mark(self) -> int:
        """A position in :attr:`events`, for ``after``."""
        return len(self.events)

    async def wait_for(
        self,
        name: str,
        *,
        after: int = 0,
        timeout: float = 10.0,
        where: Callable[[Any], bool] = lambda _data: True,
    ) -> ClientEvent:
        """The first event of that name later than ``after``; fails with all events and the log if none comes."""

        def found() -> ClientEvent | None:
            return next((e for e in self.events[after:] if e.name == name and where(e.data)), None)

        async with self._arrived:
            try:
                async with asyncio.timeout(timeout):
                    await self._arrived.wait_for(lambda: found() is not None)
            except TimeoutError:
                happened = [(event.name, event.data) for event in self.events[after:]]
                raise AssertionError(f"no {name}; events: {happened}; log: {self.log[-2000:]}") from None
            event = found()
        assert event is not None
        return event

    def names(self, after: int = 0) -> list[str]:
        """What was reported, without the log's lines."""
        return [event.name for event in self.events[after:] if event.name != "log"]

    async def _read(self, reader: asyncio.StreamReader) -> None:
        try:
            while line := await reader.readline():
                await self._take(json.loads(line))
        except OSError:
            pass
        for answer in self._calls.values():
            if not answer.done():
                answer.set_exception(CallError("the process ended"))
                answer.exception()

    async def _take(self, line: dict[str, Any]) -> None:
        if "event" in line:
            async with self._arrived:
                self.events.append(ClientEvent(line["event"], line["data"]))
                self._arrived.notify_all()
            return
        answer = self._calls.pop(line["id"])
        if answer.done():
            return
        if "error" in line:
            answer.set_exception(CallError(line["error"]))
            answer.exception()
        else:
            answer.set_result(line["result"])
