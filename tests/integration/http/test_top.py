"""``plantao top`` against an admin endpoint: once, again and again, in a terminal and without."""

import asyncio
import json
import os
import pty
import re
import select
import signal
import subprocess
import sys
import termios
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from gateway.http.server import AdminServer
from protocol.errors import UnavailableError
from tests.integration.http.conftest import Plantao
from tests.integration.http.test_command_line import said
from tests.unit.gateway.http.fake_node import TREE, FakeHealth, FakeOperations

PLANTAO = Path(sys.executable).with_name("plantao")
TIMEOUT_S = 30.0


async def test_without_a_terminal_it_looks_once(plantao: Plantao) -> None:
    result = await plantao("top")

    assert result.exit_code == 0, result.stderr
    lines = result.stdout.splitlines()
    assert lines[0].startswith("Plantão 1.2.3   up 42 s   2 clinics   restarts 7")
    assert lines[1] == "3 channels:   2 connected   1 qr_required"
    assert [line.split()[-2:] for line in lines if "port" in line] == [["up", "21"], ["up", "22"], ["up", "23"]]
    assert "\x1b" not in result.stdout


async def test_it_answers_in_json(plantao: Plantao) -> None:
    found = said(await plantao("top", "--once", "--json"))

    assert found["channels"] == {"connected": 2, "qr_required": 1}
    assert (found["version"], found["uptime_s"], found["restarts"], found["clinics"]) == ("1.2.3", 42.0, 7, 2)
    assert (found["recent_restarts"], found["messages_per_s"]) == (None, None)
    assert found["tree"]["children"][1]["children"][0]["facts"] == {"pid": 11}


async def test_it_can_be_told_what_to_show(plantao: Plantao) -> None:
    shallow = (await plantao("top", "--depth", "1")).stdout
    one = (await plantao("top", "--clinic", "bela")).stdout
    first = (await plantao("top", "--trouble")).stdout.splitlines()
    in_json = said(await plantao("top", "--json", "--clinic", "bela", "--depth", "2"))

    assert "acme" not in shallow
    assert "clinics" in shallow
    assert "3 channels" in shallow
    assert "acme" not in one
    assert "bela" in one
    assert first[4].split() == ["acme/back", "qr_required"]
    assert in_json["tree"]["children"][0]["children"][0]["id"] == "bela"
    assert in_json["tree"]["children"][0]["children"][0]["children"] == []


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("--clinic", "nobody"), 1, "clinic nobody does not exist"),
        (("--clinic", "A B"), 2, "clinic: expected"),
        (("--depth", "-1"), 2, "--depth"),
        (("--interval", "0"), 2, "--interval"),
        (("--interval", "often"), 2, "--interval"),
    ],
)
async def test_what_cannot_be_shown_is_said(
    plantao: Plantao,
    arguments: tuple[str, ...],
    code: int,
    words: str,
) -> None:
    result = await plantao("top", *arguments)

    assert result.exit_code == code
    assert words in result.stderr
    assert result.stdout == ""


async def test_without_a_node_it_explains_itself(plantao: Plantao, tmp_path: Path) -> None:
    (tmp_path / "node.json").unlink()

    result = await plantao("top")

    assert result.exit_code == 1
    assert "no node is running for data directory" in result.stderr


async def test_a_node_that_has_no_tree_yet_says_so(plantao: Plantao, health: FakeHealth) -> None:
    health.root = None

    result = await plantao("top")

    assert (result.exit_code, result.stderr) == (1, "plantao: the node is starting or ending\n")


async def test_a_quarantined_clinic_is_listed_and_released(
    plantao: Plantao,
    operations: FakeOperations,
) -> None:
    operations.quarantined["acme"] = "quarantined after 5 restarts: ValueError: x"

    listed = (await plantao("clinic", "list")).stdout
    released = await plantao("clinic", "release", "acme")
    again = await plantao("clinic", "release", "acme")
    nobody = await plantao("clinic", "release", "nobody")

    assert "quarantined after 5 restarts: ValueError: x" in listed
    assert (released.exit_code, released.stdout) == (0, "Clinic acme is released: running.\n")
    assert (again.exit_code, nobody.exit_code) == (1, 1)
    assert "only a quarantined one can be released" in again.stderr
    assert "clinic nobody does not exist" in nobody.stderr


async def test_a_release_that_does_not_get_through_is_said_in_json(
    plantao: Plantao,
    operations: FakeOperations,
) -> None:
    operations.failing["release_clinic"] = UnavailableError("clinic acme is starting; try again")

    result = await plantao("clinic", "release", "acme", "--json")

    assert result.exit_code == 1
    assert json.loads(result.stderr)["error"]["detail"] == "clinic acme is starting; try again"


# -- in a terminal, and as a process --


class Terminal:
    """``plantao`` in a terminal of a size, as a person has it."""

    def __init__(self, data: Path, *arguments: str, columns: int = 100, lines: int = 30) -> None:
        self._ours, theirs = pty.openpty()
        termios.tcsetwinsize(theirs, (lines, columns))
        environment = {**os.environ, "TERM": "xterm-256color"}
        for name in ("COLUMNS", "LINES", "NO_COLOR", "PLANTAO_DATA"):
            environment.pop(name, None)
        self.process = subprocess.Popen(
            [str(PLANTAO), *arguments, "--data", str(data)],
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            env=environment,
            process_group=0,
        )
        os.close(theirs)
        self.shown = ""

    def until(self, text: str, count: int = 1) -> None:
        """Read until ``text`` was shown ``count`` times."""
        deadline = time.monotonic() + TIMEOUT_S
        while self.shown.count(text) < count:
            ready, _, _ = select.select([self._ours], [], [], max(0.0, deadline - time.monotonic()))
            try:
                more = os.read(self._ours, 65536) if ready else b""
            except OSError:
                more = b""
            assert more, f"no {text!r}; the terminal showed:\n{self.shown}"
            self.shown += more.decode(errors="replace")

    def press_ctrl_c(self) -> None:
        self.process.send_signal(signal.SIGINT)

    def end(self) -> int:
        """Wait for its end, reading what it still shows; its exit code."""
        deadline = time.monotonic() + TIMEOUT_S
        while True:
            ready, _, _ = select.select([self._ours], [], [], max(0.0, deadline - time.monotonic()))
            assert ready, f"it does not end; the terminal showed:\n{self.shown}"
            try:
                more = os.read(self._ours, 65536)
            except OSError:
                more = b""
            if not more:
                return self.process.wait(TIMEOUT_S)
            self.shown += more.decode(errors="replace")

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        os.close(self._ours)


@pytest.fixture
def data(server: AdminServer, key: str, tmp_path: Path) -> Path:
    """The data directory of the served node."""
    (tmp_path / "node.json").write_text(json.dumps({"http": server.url, "pid": os.getpid()}))
    return tmp_path


@pytest.fixture
def terminals() -> Iterator[list[Terminal]]:
    opened: list[Terminal] = []
    yield opened
    for terminal in opened:
        terminal.close()


@pytest.mark.parametrize("options", [(), ("--interval", "0.2", "--trouble")])
async def test_in_a_terminal_it_looks_again_until_ctrl_c(
    data: Path, terminals: list[Terminal], options: tuple[str, ...]
) -> None:
    terminal = Terminal(data, "top", *options)
    terminals.append(terminal)

    await asyncio.to_thread(terminal.until, "messages/s", 2)
    terminal.press_ctrl_c()

    assert await asyncio.to_thread(terminal.end) == 0
    assert "\x1b[?1049h" in terminal.shown  # a screen of its own,
    assert terminal.shown.rindex("\x1b[?1049l") > terminal.shown.rindex("messages/s")  # which is left in the end
    assert "Traceback" not in terminal.shown
    assert "Aborted" not in terminal.shown


async def test_a_program_in_a_terminal_gets_one_look(data: Path, terminals: list[Terminal]) -> None:
    terminal = Terminal(data, "top", "--json")
    terminals.append(terminal)

    assert await asyncio.to_thread(terminal.end) == 0
    assert json.loads(terminal.shown)["tree"]["id"] == "root"


async def test_in_a_narrow_terminal_no_line_is_wider(data: Path, terminals: list[Terminal]) -> None:
    terminal = Terminal(data, "top", "--once", columns=40, lines=12)
    terminals.append(terminal)

    assert await asyncio.to_thread(terminal.end) == 0
    lines = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", terminal.shown).splitlines()
    assert max(len(line) for line in lines) <= 40
    assert any("qr_required" in line for line in lines)
    assert "\x1b[?1049h" not in terminal.shown


async def test_a_node_that_goes_away_ends_it_with_a_sentence(
    data: Path, terminals: list[Terminal], server: AdminServer
) -> None:
    terminal = Terminal(data, "top", "--interval", "0.2")
    terminals.append(terminal)
    await asyncio.to_thread(terminal.until, "messages/s")

    await server.stop(timeout=1.0)

    assert await asyncio.to_thread(terminal.end) == 1
    assert "plantao: no node answers at" in terminal.shown
    assert "Traceback" not in terminal.shown


def lines_of(data: Path, count: int, *arguments: str) -> tuple[list[str], int]:
    """So many lines of what ``plantao top`` writes into a pipe, and its exit code after SIGINT."""
    command = [str(PLANTAO), "top", *arguments, "--data", str(data)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, process_group=0) as process:
        assert process.stdout is not None
        lines = [process.stdout.readline() for _ in range(count)]
        process.send_signal(signal.SIGINT)
        process.stdout.read()
        return lines, process.wait(TIMEOUT_S)


async def test_a_program_gets_a_line_for_each_look(data: Path) -> None:
    lines, code = await asyncio.to_thread(lines_of, data, 2, "--json", "--interval", "0.1")
    looks: list[dict[str, Any]] = [json.loads(line) for line in lines]

    assert code == 0
    assert looks[0]["messages_per_s"] is None
    assert looks[1]["messages_per_s"] == 0
    assert looks[1]["tree"]["rate"] == 0


async def test_pictures_follow_each_other_where_there_is_no_terminal(data: Path) -> None:
    height = len(TREE.children) + 4
    lines, code = await asyncio.to_thread(lines_of, data, height * 2, "--depth", "1", "--interval", "0.1")

    assert code == 0
    assert len([line for line in lines if line.startswith("Plantão 1.2.3")]) == 2
