"""How a port ended, in words for an operator."""

import os
import signal

_LONGEST = 160
_READ = 4096


def reason(status: os.waitid_result | None, log: bytes) -> str:
    """From its exit status (None: somebody else has taken it) and what was written to its log."""
    if status is None:
        return "ended (its exit status is not known)"
    if status.si_code == os.CLD_EXITED:
        return f"exited with status {status.si_status}"
    number = status.si_status
    if number != signal.SIGABRT:
        return f"killed by signal {number}"
    words = last_words(log)
    return f"Go aborted (signal {number})" + (f": {words}" if words else "")


def last_words(log: bytes) -> str:
    """Why Go gave up: the runtime's own words only. Another panic's text could hold anything, so it is left out."""
    for line in log.decode(errors="replace").splitlines():
        if line.startswith(("fatal error: ", "panic: runtime error: ")):
            return line[:_LONGEST]
        if line.startswith("panic: "):
            return "panic"
    return ""


def read_log(descriptor: int) -> bytes:
    """The beginning of a port's log."""
    return os.pread(descriptor, _READ, 0)
