import io
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

import pytest

from config.cli.progress import of_bytes, of_things, unmeasured


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


Shown = Callable[[bool], AbstractContextManager[Any]]
BARS: dict[str, Shown] = {
    "bytes": lambda as_json: of_bytes("to \x1b[2Jfile", 100, as_json),
    "of nobody knows how many": lambda as_json: of_bytes("to file", None, as_json),
    "things": lambda as_json: of_things("messages", 3, as_json),
}


def at_a_terminal(monkeypatch: pytest.MonkeyPatch) -> Terminal:
    """stderr, as a person has it; to be called in the test, since pytest puts another in its place before."""
    made = Terminal()
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr(sys, "stderr", made)
    return made


@pytest.mark.parametrize("shown", BARS.values(), ids=BARS.keys())
def test_a_bar_is_drawn_on_a_terminal(monkeypatch: pytest.MonkeyPatch, shown: Shown) -> None:
    terminal = at_a_terminal(monkeypatch)
    with shown(False) as advance:
        advance(3)

    assert any(word in terminal.getvalue() for word in ("messages", "file"))
    assert "\x1b[2J" not in terminal.getvalue()


def test_what_cannot_be_measured_moves(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = at_a_terminal(monkeypatch)
    with unmeasured("Waiting for the result of r-1 …", as_json=False) as say:
        say("waiting\x1b[2J")

    assert "waiting" in terminal.getvalue()
    assert "\x1b[2J" not in terminal.getvalue()


@pytest.mark.parametrize(("stream", "as_json"), [(io.StringIO, False), (Terminal, True)])
def test_elsewhere_nothing_is_written(
    monkeypatch: pytest.MonkeyPatch, stream: type[io.StringIO], as_json: bool
) -> None:
    elsewhere = stream()
    monkeypatch.setattr(sys, "stderr", elsewhere)
    with unmeasured("r-1", as_json) as say:
        say("waiting")
    for shown in BARS.values():
        with shown(as_json) as advance:
            advance(1)

    assert elsewhere.getvalue() == ""
