"""How a port or the nursery ended, in words for an operator, and the logs that take their last words."""

import fcntl
import os
import signal
from typing import Final

from supervisor.process import ProcessExit

_LONGEST: Final = 160
_READ: Final = 4096
_TAIL: Final = 400
_LOG_SIZE: Final = 1 << 16


def reason(exit: ProcessExit, log: bytes) -> str:
    """Why a port ended that was not killed by us, from how it did and from what was written to its log."""
    if exit.status is not None:
        return f"exited with status {exit.status}"
    if exit.signal is None:
        return "ended (its exit status is not known)"
    if exit.signal != signal.SIGABRT:
        return f"killed by signal {exit.signal}"
    words = last_words(log)
    return f"Go aborted (signal {exit.signal})" + (f": {words}" if words else "")


def last_words(log: bytes) -> str:
    """Why Go gave up: the runtime's own words only. Another panic's text could hold anything, so it is left out."""
    for line in log.decode(errors="replace").splitlines():
        if line.startswith(("fatal error: ", "panic: runtime error: ")):
            return line[:_LONGEST]
        if line.startswith("panic: "):
            return "panic"
    return ""


def open_log() -> int:
    """A descriptor of a file in memory that cannot grow: what a process says when it dies, and no more. Raises
    OSError."""
    log = os.memfd_create("port-log", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    os.ftruncate(log, _LOG_SIZE)
    fcntl.fcntl(log, fcntl.F_ADD_SEALS, fcntl.F_SEAL_GROW)
    return log


def read_log(descriptor: int) -> bytes:
    """The beginning of a port's log."""
    return os.pread(descriptor, _READ, 0)


def tail(descriptor: int) -> str:
    """The end of what was written to a log: for the nursery's, in which no message's text can be."""
    written = os.pread(descriptor, _LOG_SIZE, 0).rstrip(b"\0")
    return written.decode(errors="replace").strip()[-_TAIL:]
