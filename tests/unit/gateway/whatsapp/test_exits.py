"""The reasons that operators read."""

import os
import re

import pytest

from gateway.whatsapp import exits
from protocol.errors import InvalidAddressError
from protocol.ids import Address
from supervisor.process import ProcessExit


def ended(action: str) -> os.waitid_result:
    program = action if action.startswith("exit") else f"kill -{action.removeprefix('SIG')} $$"
    pid = os.posix_spawn("/bin/sh", ["sh", "-c", program], os.environ)
    status = os.waitid(os.P_PID, pid, os.WEXITED)
    assert status is not None
    return status


@pytest.mark.parametrize(
    ("action", "log", "reason"),
    [
        ("exit 3", b"thread sends died of KeyError", "exited with status 3"),
        ("exit 70", b"\0", "ended by a fault of its own"),
        (
            "exit 70",
            b"thread x died of the words of a patient\nthread sends died of KeyError at a/b.py:3, c.py:4\n\0",
            "ended by a fault of its own: thread sends died of KeyError at a/b.py:3, c.py:4",
        ),
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


def test_a_fault_is_told_by_its_type_and_the_places_in_our_code() -> None:
    with pytest.raises(InvalidAddressError) as raised:
        Address.parse("Maria")
    told = exits.fault("sends", raised.value)
    assert re.fullmatch(r"thread sends died of InvalidAddressError at protocol/ids\.py:\d+", told), told
    assert exits.is_ours(raised.value)


def test_a_fault_outside_of_our_code_has_no_place() -> None:
    error = KeyError("the words of a patient")
    assert exits.fault("media", error) == "thread media died of KeyError"
    assert not exits.is_ours(error)
