import os
import signal

import pytest

from supervisor.process import ProcessExit


def result(code: int, status: int) -> os.waitid_result:
    return os.waitid_result((1, 0, signal.SIGCHLD, status, code))


EXITED, KILLED, DUMPED = os.CLD_EXITED, os.CLD_KILLED, os.CLD_DUMPED


@pytest.mark.parametrize(
    ("found", "killed_for", "said", "exit", "text"),
    [
        ((EXITED, 0), None, "", ProcessExit(status=0), "ended with status 0"),
        ((EXITED, 3), None, "oh", ProcessExit(status=3, said="oh"), "ended with status 3; it said: oh"),
        ((EXITED, 3), "slow", "", ProcessExit(status=3), "ended with status 3"),
        ((KILLED, 9), None, "", ProcessExit(signal=9), "was killed by signal 9"),
        ((KILLED, 9), "slow", "", ProcessExit(signal=9, killed_for="slow"), "was killed: slow"),
        (
            (KILLED, 9),
            "slow",
            "oh",
            ProcessExit(signal=9, killed_for="slow", said="oh"),
            "was killed: slow; it said: oh",
        ),
        ((KILLED, 15), "slow", "", ProcessExit(signal=15), "was killed by signal 15"),
        ((DUMPED, 6), None, "", ProcessExit(signal=6), "was killed by signal 6"),
        (None, None, "", ProcessExit(), "ended, and its exit status is not known"),
        (None, "slow", "", ProcessExit(killed_for="slow"), "was killed: slow"),
    ],
)
def test_an_end_has_a_reason(
    found: tuple[int, int] | None, killed_for: str | None, said: str, exit: ProcessExit, text: str
) -> None:
    made = ProcessExit.of(result(*found) if found else None, killed_for=killed_for, said=said)
    assert made == exit
    assert str(made) == text
