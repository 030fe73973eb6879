"""The door to neonize. Each test in a process of its own: what is tested is what importing does."""

import subprocess
import sys

import pytest


def run(program: str) -> str:
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_the_python_part_comes_without_the_go_library_or_a_thread() -> None:
    program = """
import logging, os, sys, threading, time
from gateway.whatsapp import library
library.prepare()
deadline = time.monotonic() + 5  # a joined thread may still be on its way out of the kernel's list
while len(os.listdir("/proc/self/task")) > 1 and time.monotonic() < deadline:
    os.sched_yield()
mapped = [line for line in open("/proc/self/maps") if "neonize-" in line]
print(len(mapped), threading.active_count(), len(os.listdir("/proc/self/task")), os.environ.get("SPHINX"))
print(any(name in sys.modules for name in ("requests", "httpx", "tqdm", "segno", "linkpreview")))
print([type(handler).__name__ for handler in logging.getLogger().handlers])
"""
    assert run(program).splitlines() == ["0 1 1 None", "False", "['NullHandler']"]


def test_the_go_library_is_loaded_later_and_knows_its_version() -> None:
    program = """
from gateway.whatsapp import library
library.prepare()
code = library.load()
print(code.GetVersion().decode(), library.client.gocode is code)
"""
    assert run(program).endswith("True")


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        ("library.download.__GONEONIZE_VERSION__ = '9.9.9'", "version mismatch"),
        ("library.platform.generated_name = lambda: 'neonize-none.so'", "download"),
    ],
)
def test_a_library_that_does_not_fit_is_an_error_and_never_downloaded(spoil: str, said: str) -> None:
    program = f"""
import socket
from gateway.whatsapp import library
library.prepare()
def no_network(*_): raise SystemExit("it went to the network")
socket.socket.connect = no_network
{spoil}
try:
    library.load()
except library.LibraryError as error:
    print(error)
"""
    assert said in run(program)


def test_a_machine_without_a_go_library_is_told_so() -> None:
    program = """
from gateway.whatsapp import library
library.platform.generated_name = lambda: "neonize-linux-mips.so"
try:
    library.prepare()
except library.LibraryError as error:
    print(error)
"""
    assert "neonize-linux-mips.so does not exist" in run(program)
