"""``plantao run`` as a person starts it: in a terminal."""

import asyncio
import os
import pty
import signal
import subprocess
from contextlib import suppress
from pathlib import Path

from tests.acceptance.node import END_TIMEOUT, PLANTAO, settings
from tests.emulator.client import EmulatorProcess


def read_until(terminal: int, text: str) -> str:
    """What the terminal shows, up to ``text``."""
    shown = ""
    while text not in shown:
        try:
            shown += os.read(terminal, 65536).decode(errors="replace")
        except OSError as error:
            raise AssertionError(f"the node ended; the terminal showed:\n{shown}") from error
    return shown


def read_on(terminal: int) -> None:
    """Read whatever is still shown until the node has ended: it could not write to a terminal that nobody reads."""
    with suppress(OSError):
        while os.read(terminal, 65536):
            pass


def plantao(directory: Path, *arguments: str) -> None:
    """Run a command beside the node."""
    command = [str(PLANTAO), *arguments, "--data", str(directory / "data")]
    subprocess.run(command, check=True, timeout=END_TIMEOUT, capture_output=True)


def walk(directory: Path, config: str) -> int:
    """Start a node in a terminal, add a channel from another, see its code, press Ctrl-C; the exit code."""
    directory.mkdir()
    file = directory / "plantao.toml"
    file.write_text(f'runtime = "{directory}/runtime"\n{config}')
    ours, theirs = pty.openpty()
    command = [str(PLANTAO), "run", "--config", str(file), "--data", str(directory / "data")]
    process = subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True)
    os.close(theirs)
    try:
        greeting = read_until(ours, "plantao channel pair acme reception")
        assert "http://127.0.0.1:" in greeting
        assert "admin.key" in greeting
        plantao(directory, "clinic", "add", "acme")
        plantao(directory, "channel", "add", "acme", "reception")
        shown = read_until(ours, "to pair acme/reception")
        assert "reception" in shown + read_until(ours, "█")
        process.send_signal(signal.SIGINT)
        read_on(ours)
        return process.wait(END_TIMEOUT)
    finally:
        process.kill()
        process.wait()
        os.close(ours)


async def test_a_new_channel_shows_its_code_in_the_terminal(tmp_path: Path, emulator: EmulatorProcess) -> None:
    assert await asyncio.to_thread(walk, tmp_path / "node", settings(emulator.ready)) == 0


def close(directory: Path, config: str) -> int:
    """Start a node in a terminal of its own, and close that; the exit code."""
    directory.mkdir()
    file = directory / "plantao.toml"
    file.write_text(f'runtime = "{directory}/runtime"\n{config}')
    ours, theirs = pty.openpty()
    # Whoever started the tests may have been told to ignore SIGHUP, as by nohup, which is inherited.
    alone = ["env", "--default-signal=HUP", "setsid", "--ctty"]
    command = [*alone, str(PLANTAO), "run", "--config", str(file), "--data", str(directory / "data")]
    process = subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs)
    os.close(theirs)
    try:
        read_until(ours, "plantao channel pair acme reception")
        process.send_signal(signal.SIGHUP)
        read_until(ours, "settings read again")
        os.close(ours)
        return process.wait(END_TIMEOUT)
    finally:
        process.kill()
        process.wait()


async def test_a_node_whose_terminal_is_closed_ends_and_one_that_has_it_still_only_reads_its_settings(
    tmp_path: Path, emulator: EmulatorProcess
) -> None:
    assert await asyncio.to_thread(close, tmp_path / "node", settings(emulator.ready)) == 0
