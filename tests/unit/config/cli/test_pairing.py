import io
import json
from collections.abc import Sequence
from typing import Any, cast

import pytest
from rich.console import Console
from rich.live import Live

from config.cli.client import NodeAwayError, NodeClient, NodeRefusedError
from config.cli.output import Output
from config.cli.pairing import PairingFailedError, _Drawn, _Plain, follow, screen

QR = {"code": "2@one", "expires_at": "2026-11-20T12:00:00Z"}
NEXT = {"code": "2@two", "expires_at": "2026-11-20T12:00:20Z"}
TYPED = {"code": "ABCD-1234", "phone": "5511912345678", "expires_at": "2026-11-20T12:00:00Z"}


class ScriptedNode:
    """Answers a pairing with ``begin``, and each look with the next of ``states`` and of ``codes`` (None: no code)."""

    def __init__(self, begin: Any, states: Sequence[str], codes: Sequence[Any] = ()) -> None:
        self._begin = begin
        self._states = list(states)
        self._codes = list(codes)
        self.posted: list[Any] = []

    def post(self, *path: str, body: Any = None, timeout: float = 0) -> Any:
        self.posted.append((path, body))
        return self._begin

    def get(self, *path: str) -> Any:
        if path[-1] != "qr":
            return {"state": self._states.pop(0), "reason": "qr_expired", "phone": "5511912345678"}
        code = self._codes.pop(0)
        if code is None:
            raise NodeRefusedError(404, {})
        if isinstance(code, Exception):
            raise code
        return code


class RecordingView:
    def __init__(self) -> None:
        self.said: list[str] = []

    def show(self, code: dict[str, Any]) -> None:
        self.said.append(code["code"])

    def wait(self, state: str) -> None:
        self.said.append(state)


def pair(node: ScriptedNode, view: RecordingView, phone: str | None = None) -> dict[str, Any]:
    return follow(cast(NodeClient, node), "acme", "front", phone, view, sleep=lambda _: None)


def test_each_code_is_shown_until_the_channel_is_connected() -> None:
    view = RecordingView()
    node = ScriptedNode(QR, ["qr_required", "qr_required", "pairing", "connected"], [QR, NEXT, None])

    found = pair(node, view)

    assert found["phone"] == "5511912345678"
    assert view.said == ["2@one", "2@one", "2@two", "pairing"]


def test_with_a_phone_only_the_code_to_type_is_shown() -> None:
    view = RecordingView()
    node = ScriptedNode(TYPED, ["qr_required", "pairing", "connected"])

    pair(node, view, phone="5511912345678")

    assert view.said == ["ABCD-1234"]
    assert node.posted[0][1] == {"phone": "5511912345678"}


@pytest.mark.parametrize("state", ["disconnected", "logged_out", "suspended", "error"])
def test_another_end_is_told_with_its_reason(state: str) -> None:
    with pytest.raises(PairingFailedError, match=rf"{state} \(qr_expired\)"):
        pair(ScriptedNode(QR, ["qr_required", state], [QR]), RecordingView())


def test_the_state_from_before_the_pairing_is_not_taken_for_its_end() -> None:
    node = ScriptedNode(QR, ["disconnected", "disconnected", "qr_required", "connected"], [None, None, QR])

    assert pair(node, RecordingView())["state"] == "connected"


def test_a_pairing_that_never_begins_is_given_up() -> None:
    with pytest.raises(PairingFailedError):
        pair(ScriptedNode(QR, ["disconnected"] * 20, [None] * 20), RecordingView())


def test_a_node_that_goes_away_ends_it() -> None:
    with pytest.raises(NodeAwayError):
        pair(ScriptedNode(QR, ["qr_required"], [NodeAwayError("gone")]), RecordingView())


def test_for_programs_each_new_code_is_a_line_of_json(capsys: pytest.CaptureFixture[str]) -> None:
    with screen(Output(as_json=True)) as view:
        for code in (QR, QR, NEXT, TYPED):
            view.show(code)
        view.wait("pairing")

    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert lines == [{"qr": QR}, {"qr": NEXT}, {"pairing_code": TYPED}]


def test_without_a_terminal_each_new_code_is_drawn_once(capsys: pytest.CaptureFixture[str]) -> None:
    with screen(Output(as_json=False)) as view:
        assert isinstance(view, _Plain)
        for code in (QR, QR, TYPED):
            view.show(code)
        view.wait("pairing")

    out = capsys.readouterr().out
    assert out.count("Scan this with the phone") == 1
    assert "█" in out
    assert "ABCD-1234" in out
    assert "+5511912345678" in out


def drawn(console: Console, code: dict[str, Any]) -> str:
    with Live(console=console, auto_refresh=False) as live:
        view = _Drawn(live)
        view.show(code)
        view.wait("pairing\x1b")
        view.show(code)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_in_a_terminal_the_code_is_black_on_white_and_replaced_in_place() -> None:
    console = Console(file=io.StringIO(), force_terminal=True, color_system="truecolor", width=100, height=50)

    out = drawn(console, QR)

    assert "\x1b[38;2;0;0;0;48;2;255;255;255m" in out
    assert "Valid for 0 s." in out
    assert "Waiting: pairing\N{REPLACEMENT CHARACTER}" in out
    assert "\x1b[1A" in out


def test_a_terminal_that_is_too_small_is_told_how_large_it_must_be() -> None:
    console = Console(file=io.StringIO(), force_terminal=True, width=20, height=10)

    assert "it needs 25" in drawn(console, QR)


def test_a_code_to_type_needs_no_picture() -> None:
    out = drawn(Console(file=io.StringIO(), force_terminal=True, width=100, height=50), TYPED)

    assert "ABCD-1234" in out
    assert "█" not in out
