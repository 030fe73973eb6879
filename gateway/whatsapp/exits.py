"""How a port or the nursery ended, in words for an operator, and the logs that take their last words."""

import fcntl
import os
import re
import signal
import traceback
from pathlib import Path
from typing import Final

from supervisor.process import ProcessExit

FAULT: Final = 70
"""Exit status of a port that an exception which nobody expected has ended; its log has what ``fault`` said of it."""

_ROOT: Final = Path(__file__).parents[2]
_FAULT: Final = re.compile(r"thread [\w-]+ died of \w+(?: at [\w./-]+:\d+(?:, [\w./-]+:\d+)*)?")
_PLACES: Final = 4
_LONGEST: Final = 160
_READ: Final = 4096
_TAIL: Final = 400
_LOG_SIZE: Final = 1 << 16


def reason(exit: ProcessExit, log: bytes) -> str:
    """Why a port ended that was not killed by us, from how it did and from what was written to its log."""
    if exit.status == FAULT:
        return _with("ended by a fault of its own", _fault_in(log))
    if exit.status is not None:
        return f"exited with status {exit.status}"
    if exit.signal is None:
        return "ended (its exit status is not known)"
    if exit.signal != signal.SIGABRT:
        return f"killed by signal {exit.signal}"
    return _with(f"Go aborted (signal {exit.signal})", last_words(log))


def _with(how: str, words: str) -> str:
    return f"{how}: {words}" if words else how


def fault(thread: str, error: BaseException) -> str:
    """What ended a thread, for a log: the exception's type, and where in our own code it passed, innermost first. Not
    what it says, which could be a message's text."""
    places = ", ".join(_places(error)[:_PLACES])
    what = f"thread {thread} died of {type(error).__name__}"
    return f"{what} at {places}" if places else what


def is_ours(error: BaseException) -> bool:
    """Whether it has passed our code."""
    return bool(_places(error))


def _places(error: BaseException) -> list[str]:
    frames = [(Path(frame.filename), frame.lineno) for frame in reversed(traceback.extract_tb(error.__traceback__))]
    return [
        f"{path.relative_to(_ROOT)}:{line}"
        for path, line in frames
        if path.is_relative_to(_ROOT / "gateway") or path.is_relative_to(_ROOT / "protocol")
    ]


def _fault_in(log: bytes) -> str:
    """What ``fault`` had said, if that is there: other lines may hold anything."""
    lines = log.decode(errors="replace").splitlines()
    return next((line for line in lines if _FAULT.fullmatch(line)), "")


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
