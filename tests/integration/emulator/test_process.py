"""The emulator as a process."""

import json
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

from tests.emulator.client import EmulatorError, EmulatorProcess

REPOSITORY = Path(__file__).resolve().parents[3]


def test_it_says_where_everything_is_and_ends_cleanly(tmp_path: Path) -> None:
    emulator = EmulatorProcess(tmp_path / "emulator")
    ready = emulator.start()
    try:
        with urllib.request.urlopen(f"{ready.control}/stats") as answer:
            stats = json.load(answer)
        assert stats["connected"] == 0
        assert Path(ready.ca).is_file()
        assert ready.env["HTTPS_PROXY"] == ready.proxy
        assert ready.env["SSL_CERT_FILE"] == ready.ca
        assert ready.port_command[:4] == [sys.executable, "-m", "tests.emulator.nursery", "--root-key"]
        assert len(Path(ready.port_command[4]).read_bytes()) == 32
    finally:
        assert emulator.stop() == 0
    assert emulator.log == ""
    assert emulator.stop() is None
    with pytest.raises(EmulatorError, match="not running"):
        _ = emulator.ready


def test_it_does_not_load_the_library_it_reads() -> None:
    program = (
        "import tests.emulator.__main__, sys, pathlib;"
        "assert 'neonize' not in sys.modules;"
        "assert 'neonize-' not in pathlib.Path('/proc/self/maps').read_text()"
    )
    subprocess.run([sys.executable, "-c", program], cwd=REPOSITORY, check=True)


def test_a_control_address_in_use_is_an_error_that_names_it(tmp_path: Path) -> None:
    first = EmulatorProcess(tmp_path / "first")
    address = first.start().control.removeprefix("http://")
    try:
        with pytest.raises(EmulatorError, match=r"did not start:[\s\S]*address already in use"):
            EmulatorProcess(tmp_path / "second", control=address).start()
    finally:
        first.stop()


@pytest.mark.parametrize("control", ["nowhere", "127.0.0.1:http"])
def test_a_control_address_that_is_none_is_refused(tmp_path: Path, control: str) -> None:
    with pytest.raises(EmulatorError, match="expected HOST:PORT"):
        EmulatorProcess(tmp_path, control=control).start()
