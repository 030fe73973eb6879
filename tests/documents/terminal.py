"""A terminal for lines that a document quotes: each is run by bash, one after another, as a person types them."""

import asyncio
import contextlib
import os
import re
import signal
import subprocess
from asyncio.subprocess import Process
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Final, Self

LINE_TIMEOUT_S: Final = 60.0


def lines(block: str) -> list[str]:
    """The commands of a block: lines that are continued are one, comments and empty ones none."""
    joined = re.sub(r"\\\n\s*", "", block)
    return [line for line in joined.splitlines() if line.strip() and not line.lstrip().startswith("#")]


class Terminal:
    """``env`` is added to the environment; what a line exports, the next ones have, by way of the file ``exports``.
    Leaving ends what still runs."""

    def __init__(self, directory: Path, env: Mapping[str, str], exports: Path) -> None:
        self._directory = directory
        self._env = {**os.environ, **env}
        self._exported = exports
        self._running: list[Process] = []

    async def run(self, line: str, timeout: float = LINE_TIMEOUT_S) -> str:
        """Run a line to its end; what it wrote. AssertionError if it fails."""
        process = await self._start(f"{line}\nexport -p > {self._exported}")
        assert process.stdout is not None
        try:
            out = await asyncio.wait_for(process.stdout.read(), timeout)
        except TimeoutError:
            raise AssertionError(f"{line}: still runs after {timeout} s") from None
        assert await process.wait() == 0, f"{line}: exit code {process.returncode}: {out.decode()}"
        self._running.remove(process)
        return out.decode()

    async def start(self, line: str, shows: str, timeout: float = LINE_TIMEOUT_S) -> str:
        """Start a line that stays, and wait until it shows ``shows``; what it wrote so far."""
        process = await self._start(line)
        return await self.shown(process, shows, timeout)

    async def shown(self, process: Process, shows: str, timeout: float) -> str:
        """What it writes until it has shown ``shows``; AssertionError if that does not come."""
        assert process.stdout is not None
        seen = ""
        try:
            async with asyncio.timeout(timeout):
                while shows not in seen:
                    got = await process.stdout.readline()
                    assert got, f"it ended before it showed {shows!r}: {seen}"
                    seen += got.decode(errors="replace")
        except TimeoutError:
            raise AssertionError(f"no {shows!r} within {timeout} s: {seen}") from None
        return seen

    async def _start(self, line: str) -> Process:
        script = f"set -e; . {self._exported} 2>/dev/null || true\n{line}"
        process = await asyncio.create_subprocess_exec(
            "bash",
            "-c",
            script,
            cwd=self._directory,
            env=self._env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        self._running.append(process)
        return process

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.interrupt()

    async def interrupt(self) -> str:
        """Ctrl-C for all that runs; what it had yet to say."""
        said = ""
        while self._running:
            process = self._running.pop()
            _signal(process, signal.SIGINT)
            try:
                out, _ = await asyncio.wait_for(process.communicate(), LINE_TIMEOUT_S)
            except TimeoutError:
                _signal(process, signal.SIGKILL)
                out, _ = await process.communicate()
                out += b"\nIt did not end at Ctrl-C."
            said += out.decode(errors="replace")
        return said


def _signal(process: Process, number: signal.Signals) -> None:
    """To all that the line started."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, number)
