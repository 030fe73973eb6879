"""Cheap OS processes that say a word when they are where the test wants them."""

import asyncio
import os
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from supervisor.process import ChildProcess

WAIT = 20.0
"""Seconds for what should happen at once; a test that hits it has failed."""


class Spoken:
    """A child process and what it says on its stdout, line by line."""

    def __init__(
        self,
        command: Sequence[str],
        *,
        env: Mapping[str, str] | None = None,
        pass_fds: Sequence[int] = (),
        said: Callable[[], str] = lambda: "",
    ) -> None:
        self._reader, writer = os.pipe()
        try:
            self.process = ChildProcess.start(command, env=env, pass_fds=pass_fds, stdout=writer, said=said)
        finally:
            os.close(writer)
        os.set_blocking(self._reader, False)
        self._pending = b""

    async def line(self) -> str:
        """The next line; raises EOFError when nobody holds its stdout any more."""
        loop = asyncio.get_running_loop()
        while b"\n" not in self._pending:
            readable = asyncio.Event()
            loop.add_reader(self._reader, readable.set)
            try:
                await asyncio.wait_for(readable.wait(), WAIT)
            finally:
                loop.remove_reader(self._reader)
            data = os.read(self._reader, 4096)
            if not data:
                raise EOFError
            self._pending += data
        line, _, self._pending = self._pending.partition(b"\n")
        return line.decode()

    async def close(self) -> None:
        """End it and let go of its stdout."""
        self.process.kill("the test is over")
        await asyncio.wait_for(self.process.ended(), WAIT)
        os.close(self._reader)


def members(group: int) -> set[int]:
    """Every process of a process group, dead ones that nobody has reaped included."""
    found = set()
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal() and (fields := stat(int(entry.name))) is not None and int(fields[2]) == group:
            found.add(int(entry.name))
    return found


def stat(pid: int) -> list[str] | None:
    """State, parent, process group, session and so on of a process; None if there is none."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None


def descriptors() -> Counter[str]:
    """What this process has open."""
    held: Counter[str] = Counter()
    for entry in Path("/proc/self/fd").iterdir():
        try:
            held[str(entry.readlink())] += 1
        except FileNotFoundError:
            continue  # the one that lists the folder
    return held
