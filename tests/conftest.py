"""No test leaves anything behind: no actor, no thread, no child process, and nothing of this one in another state."""

import logging
import os
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import hypothesis
import pytest
import structlog
from pykka import ActorRegistry

GRACE_S = 5.0
"""How long what is ending already may take; what is not ending is not waited for by the tests that pass."""

_SHARED_THREADS = ("asyncio_", "pytest_timeout")
"""The executor of a loop that several tests share, and the watch over the whole run."""

# How long an example takes says something of the machine, not of the code.
hypothesis.settings.register_profile("plantao", deadline=None)
hypothesis.settings.load_profile("plantao")

# Plain, because the default draws every traceback with all its variables, which takes longer than the tests.
structlog.configure(
    processors=[
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.dev.ConsoleRenderer(colors=False, exception_formatter=structlog.dev.plain_traceback),
    ]
)


def _threads() -> set[threading.Thread]:
    return {thread for thread in threading.enumerate() if not thread.name.startswith(_SHARED_THREADS)}


def _children() -> dict[int, str]:
    """Running child processes of this one, by pid, with their command names; zombies are ended already."""
    found = {}
    for entry in Path("/proc").iterdir():
        if not entry.name.isdecimal():
            continue
        try:
            name, _, rest = (entry / "stat").read_text().partition("(")[2].rpartition(")")
        except OSError:
            continue
        state, parent = rest.split()[:2]
        if int(parent) == os.getpid() and state not in "ZX":
            found[int(entry.name)] = name
    return found


def _state() -> dict[str, Any]:
    """What all tests of this process share."""
    return {
        "the working directory": Path.cwd(),
        "what is done at SIGHUP": signal.getsignal(signal.SIGHUP),
        "what is done at SIGTERM": signal.getsignal(signal.SIGTERM),
        "how structlog is configured": structlog.get_config(),
        "the level of the log": logging.root.level,
    }


def _left(threads: set[threading.Thread], children: dict[int, str]) -> list[str]:
    return [
        *(f"actor {ref}" for ref in ActorRegistry.get_all()),
        *(f"thread {thread.name}" for thread in _threads() - threads if thread.is_alive()),
        *(f"process {pid} ({name})" for pid, name in _children().items() if pid not in children),
    ]


@pytest.fixture(autouse=True)
def nothing_left_behind() -> Iterator[None]:
    """Fail a test after which an actor, a thread or a child process of its own is still there, or what all share is not
    as it was."""
    threads, children, state = _threads(), _children(), _state()
    yield
    deadline = time.monotonic() + GRACE_S
    while (left := _left(threads, children)) and time.monotonic() < deadline:
        time.sleep(0.01)
    ActorRegistry.stop_all(block=False)
    assert not left, f"left behind: {', '.join(left)}"
    now = _state()
    other = [what for what in state if now[what] != state[what]]
    assert not other, f"not as it was: {', '.join(other)}"
