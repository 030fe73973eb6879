"""The reasons that operators read."""

import os

import pytest

from gateway.whatsapp import exits
from supervisor.process import ProcessExit


def ended(action: str) -> os.waitid_result:
    program = "exit 3" if action == "exit" else f"kill -{action.removeprefix('SIG')} $$"
    pid = os.posix_spawn("/bin/sh", ["sh", "-c", program], os.environ)
    status = os.waitid(os.P_PID, pid, os.WEXITED)
    assert status is not None
    return status


@pytest.mark.parametrize(
    ("action", "log", "reason"),
    [
        ("exit", b"", "exited with status 3"),
        ("SIGKILL", b"", "killed by signal 9"),
        ("SIGSEGV", b"panic: x", "killed by signal 11"),
        ("SIGABRT", b"", "Go aborted (signal 6)"),
        (
            "SIGABRT",
            b"fatal error: unlock\n\x00\x00",
            "Go aborted (signal 6): fatal error: unlock",
        ),
        ("SIGABRT", b"noise\npanic: the words of a patient\n", "Go aborted (signal 6): panic"),
        (
            "SIGABRT",
            b"panic: runtime error: index out of range [1]\n",
            "Go aborted (signal 6): panic: runtime error: index out of range [1]",
        ),
    ],
)
def test_an_end_has_its_reason(action: str, log: bytes, reason: str) -> None:
    assert exits.reason(ProcessExit.of(ended(action)), log) == reason


def test_an_end_whose_status_is_lost_has_a_reason_too() -> None:
    assert "not known" in exits.reason(ProcessExit(), b"")
