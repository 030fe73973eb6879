"""What the tests of real ports share: a listener that collects a port's events, and an account that lives in ports."""

import asyncio
import itertools
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Self, TypeVar

from gateway.whatsapp.opener import Nursery
from gateway.whatsapp.port_process import PortProcess
from gateway.whatsapp.remains import StoreRemains
from protocol.interfaces import SendOutcome
from protocol.port import Failed, MediaKind, PortSpec, SendMedia, SendRequest, SendText, Sent
from protocol.port_events import Connected, PortEvent, PortExited, QrShown, Record
from tests.emulator.client import EmulatorProcess

E = TypeVar("E")

WAIT = 20.0
"""Seconds for what should happen at once; a test that hits it has failed."""


class Listener:
    """Collects the events of one port, in order; what came in is unpacked from its record."""

    def __init__(self) -> None:
        self.events: list[PortEvent] = []
        self._changed = asyncio.Event()

    def __call__(self, events: Sequence[PortEvent]) -> None:
        assert events
        self.events += events
        self._changed.set()

    @property
    def records(self) -> list[int]:
        """The numbers of the records, in the order in which they came."""
        return [event.number for event in self.events if isinstance(event, Record)]

    def of(self, kind: type[E]) -> list[E]:
        """Those of one kind."""
        said = (event.what if isinstance(event, Record) else event for event in self.events)
        return [what for what in said if isinstance(what, kind)]

    async def until(self, kind: type[E], where: Callable[[E], bool] = lambda _: True, *, timeout: float = WAIT) -> E:
        """The first event of ``kind`` for which ``where`` holds, past or to come."""
        await self.until_that(lambda: any(where(event) for event in self.of(kind)), timeout=timeout)
        return next(event for event in self.of(kind) if where(event))

    async def until_that(self, holds: Callable[[], bool], *, timeout: float = WAIT) -> None:
        """Return as soon as ``holds``, looked at after each event."""
        async with asyncio.timeout(timeout):
            while not holds():
                self._changed.clear()
                await self._changed.wait()


class Account:
    """One WhatsApp number and its session store; ``open`` gives it a port, one after another."""

    def __init__(self, nursery: Nursery, emulator: EmulatorProcess, phone: str, store: Path) -> None:
        self.nursery = nursery
        self.emulator = emulator
        self.phone = phone
        self.store = store
        self.port: PortProcess | None = None
        self.heard = Listener()
        self.device: str | None = None
        self._incarnation = 0

    async def open(self, *, proxy: str | None = None) -> PortProcess:
        """Open the next port; ``heard`` collects its events."""
        self._incarnation += 1
        self.heard = Listener()
        self.port = await self.nursery.open(self.spec(proxy=proxy), self.heard)
        return self.port

    @property
    def remains(self) -> StoreRemains:
        """What its ports leave behind."""
        return self.nursery.remains(str(self.store))

    def spec(self, *, proxy: str | None = None) -> PortSpec:
        return PortSpec(
            clinic="north",
            channel="front-desk",
            incarnation=self._incarnation,
            store=str(self.store),
            device_name="Plantão",
            proxy=proxy,
        )

    async def connected(self) -> PortProcess:
        """Open a port and wait until it is logged in, with the stored credentials."""
        port = await self.open()
        self.device = (await self.heard.until(Connected)).jid
        return port

    async def paired(self) -> PortProcess:
        """Open a port and pair it by QR code."""
        port = await self.open()
        code = await self.heard.until(QrShown)
        await self.emulator.scan(code.code, self.phone)
        self.device = (await self.heard.until(Connected)).jid
        return port

    async def exited(self) -> PortExited:
        """Wait for the end of the present port."""
        return await self.heard.until(PortExited)

    async def close(self) -> None:
        """End the present port, if it lives."""
        if self.port is not None and not self.heard.of(PortExited):
            self.port.kill("the test is over")
            await self.port.closed()


def jid(phone: str) -> str:
    return f"{phone}@s.whatsapp.net"


_keys = itertools.count(1)


def _named() -> tuple[str, bytes]:
    """A key nobody has had before, and a secret to go with it."""
    number = next(_keys)
    return f"1:m{number}", number.to_bytes(32, "big")


def text(to: str, words: str = "good morning") -> SendText:
    key, secret = _named()
    return SendText(key=key, secret=secret, to=jid(to), text=words)


def media(to: str, kind: MediaKind, data: bytes, mime: str, **more: Any) -> SendMedia:
    key, secret = _named()
    return SendMedia(key=key, secret=secret, to=jid(to), kind=kind, data=data, mime=mime, **more)


async def send(port: PortProcess, *requests: SendRequest, deadline: float = 10.0) -> list[SendOutcome]:
    """Send these together; their outcomes, in the order of the requests."""
    outcomes: dict[str, SendOutcome] = {}
    complete = asyncio.Event()

    def deliver(some: Sequence[SendOutcome]) -> None:
        for outcome in some:
            assert outcome.key not in outcomes, "told twice"
            outcomes[outcome.key] = outcome
        if len(outcomes) == len(requests):
            complete.set()

    port.send(requests, deliver, deadline=deadline)
    await complete.wait()
    return [outcomes[request.key] for request in requests]


async def answer_to(port: PortProcess, request: SendRequest, *, deadline: float = 10.0) -> Sent | Failed:
    """Send this; what WhatsApp said."""
    (outcome,) = await send(port, request, deadline=deadline)
    return outcome.answer


def how(end: PortExited) -> tuple[str, bool]:
    """Why a port ended, and whether we had asked for it."""
    return end.reason, end.expected


def children() -> set[int]:
    """The pids of this process's children, dead ones that were not reaped included."""
    return {int(pid) for task in Path("/proc/self/task").iterdir() for pid in (task / "children").read_text().split()}


def open_files(pid: int) -> dict[int, str]:
    """What each descriptor of a process leads to."""
    return {int(entry.name): str(entry.readlink()) for entry in Path(f"/proc/{pid}/fd").iterdir()}


def environment_of(pid: int) -> list[str]:
    """What a process was started with, as ``NAME=value``."""
    return Path(f"/proc/{pid}/environ").read_text().split("\0")


def name_of(pid: int) -> str:
    """What a process calls itself."""
    return Path(f"/proc/{pid}/comm").read_text().strip()


class StallingProxy:
    """A proxy before the emulator's own that lets the WhatsApp socket through, and keeps media hosts waiting for ever
    while ``stalled`` is set."""

    def __init__(self, upstream: str) -> None:
        self._upstream = upstream.removeprefix("http://").rpartition(":")
        self._tasks: set[asyncio.Task[None]] = set()
        self.stalled = asyncio.Event()
        """Somebody is kept waiting."""
        self._through = False
        self.url = ""

    def let_through(self) -> None:
        """Keep whoever comes from now on waiting no more."""
        self._through = True

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1")
        self.url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._server.wait_closed()
        await asyncio.sleep(0)  # the transports that were closed just now say goodbye

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            if not (self._through or head.startswith(b"CONNECT web.whatsapp.com")):
                self.stalled.set()
                await asyncio.Event().wait()
            host, _, port = self._upstream
            there, back = await asyncio.open_connection(host, int(port))
            try:
                back.write(head)
                await asyncio.gather(_pump(reader, back), _pump(there, writer))
            finally:
                back.close()
        finally:
            writer.close()


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    writer.close()
