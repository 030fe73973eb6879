"""The raw client from outside: one process for each account, which it kills when it is done."""

import asyncio
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

from gateway.whatsapp.session import store_name
from tests.emulator.client import EmulatorProcess

_REPOSITORY: Final = Path(__file__).resolve().parents[2]
_LONGEST_LINE: Final = 1 << 26
_PATIENCE_S: Final = 120.0

Message = tuple[str, str]
"""To whom (digits), and the text."""


class Raw:
    """One running raw client; made by ``raw``. ``spawned_at``: monotonic seconds."""

    def __init__(self, process: subprocess.Popen[bytes], spawned_at: float) -> None:
        self._process = process
        self.spawned_at = spawned_at
        self._reader: asyncio.StreamReader | None = None
        self._writer: asyncio.StreamWriter | None = None

    @property
    def pid(self) -> int:
        """Of the process."""
        return self._process.pid

    async def attach(self, sock: socket.socket) -> None:
        """Speak through ``sock``."""
        self._reader, self._writer = await asyncio.open_connection(sock=sock, limit=_LONGEST_LINE)

    async def pair(self, emulator: EmulatorProcess, phone: str) -> None:
        """Scan its QR code with ``phone``, and wait until it is connected."""
        await emulator.scan(await self._next("qr"), phone)
        await self.connected()

    async def connected(self) -> float:
        """Wait until it is connected; monotonic seconds at which it was."""
        return float(await self._next("connected"))

    async def send(self, messages: Sequence[Message]) -> list[tuple[float, float]]:
        """Send these one after another; when each call began and returned, in monotonic seconds."""
        self._ask({"send": messages})
        return [(begun, ended) for begun, ended in await self._next("sent")]

    async def collect(self, count: int) -> dict[str, float]:
        """Wait until ``count`` messages have come in since the last time; the monotonic second of each, by its text."""
        self._ask({"collect": count})
        return dict(await self._next("received"))

    def _ask(self, request: dict[str, Any]) -> None:
        assert self._writer is not None
        self._writer.write(json.dumps(request).encode() + b"\n")

    async def _next(self, kind: str) -> Any:
        assert self._reader is not None
        async with asyncio.timeout(_PATIENCE_S):
            while line := await self._reader.readline():
                said = json.loads(line)
                if kind in said:
                    return said[kind]
        raise RuntimeError(f"the raw client ended instead of saying {kind!r}")

    async def close(self) -> None:
        """Kill it."""
        self._process.kill()
        self._process.wait()
        if self._writer is not None:
            self._writer.close()


@asynccontextmanager
async def raw(emulator: EmulatorProcess, store: Path, log: Path) -> AsyncIterator[Raw]:
    """A raw client on the session store ``store``, opened as a port opens it, in a process of its own.

    Only what makes its messages differ from a port's is set in its environment: without ``NEONIZE_BOT_TAG=off`` neonize
    adds a child to each stanza.
    """
    store.parent.mkdir(parents=True, exist_ok=True)
    ours, theirs = socket.socketpair()
    root_key = Path(emulator.ready.ca).with_name("root.key")
    arguments = [str(theirs.fileno()), str(root_key), store_name(str(store))]
    with log.open("ab") as output, theirs:
        spawned_at = time.monotonic()
        process = subprocess.Popen(  # noqa: ASYNC220 - milliseconds; and nothing can come between start and end
            [sys.executable, "-m", "tests.bench.raw_process", *arguments],
            pass_fds=[theirs.fileno()],
            env={**os.environ, **emulator.ready.env, "NEONIZE_BOT_TAG": "off"},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            cwd=_REPOSITORY,
            start_new_session=True,
        )
    client = Raw(process, spawned_at)
    try:
        await client.attach(ours)
        yield client
    finally:
        await client.close()
