"""The lock on a session store."""

import os
from pathlib import Path

import pytest

from gateway.whatsapp import lock
from gateway.whatsapp.frames import Holder

ME = Holder(pid=os.getpid(), main_pid=os.getpid(), main_started=lock.started(os.getpid()) or 0)


def test_a_store_is_locked_once_and_says_by_whom(tmp_path: Path) -> None:
    store = str(tmp_path / "session.db")
    held = lock.take(store, ME)
    with pytest.raises(lock.StoreHeldError, match=f"process {os.getpid()}") as refused:
        lock.take(store, ME)
    assert refused.value.holder == ME
    os.close(held)
    os.close(lock.take(store, ME))
    assert lock.lock_path(store).stat().st_mode & 0o777 == 0o600


def test_a_holder_that_cannot_be_read_is_nobody(tmp_path: Path) -> None:
    store = str(tmp_path / "session.db")
    held = lock.take(store, ME)
    os.ftruncate(held, 0)
    with pytest.raises(lock.StoreHeldError, match="another process") as refused:
        lock.take(store, ME)
    assert refused.value.holder is None
    os.close(held)


def test_a_process_is_told_from_a_later_one_with_its_pid() -> None:
    assert not lock.is_orphan(ME)
    assert lock.is_orphan(Holder(pid=1, main_pid=os.getpid(), main_started=ME.main_started + 1))
    pid = os.posix_spawn("/bin/sh", ["sh", "-c", "exit 0"], os.environ)
    os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
    assert lock.started(pid) is None, "a zombie runs no more"
    os.waitpid(pid, 0)
    assert lock.started(pid) is None


def test_only_a_port_with_the_lock_file_open_counts_as_its_holder(tmp_path: Path) -> None:
    store = str(tmp_path / "session.db")
    held = lock.take(store, ME)
    assert not lock.holds(os.getpid(), store), "this process is no port"
    comm = Path("/proc/self/comm").read_text()
    Path("/proc/self/comm").write_text(lock.COMM)
    try:
        assert lock.holds(os.getpid(), store)
        other = str(tmp_path / "other.db")
        os.close(lock.take(other, ME))
        assert not lock.holds(os.getpid(), other)
    finally:
        Path("/proc/self/comm").write_text(comm.strip())
        os.close(held)
    assert not lock.holds(2**22 + 1, store)
