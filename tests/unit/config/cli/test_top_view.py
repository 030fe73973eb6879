"""How ``plantao top`` looks."""

import io
import time

import pytest
from rich.cells import cell_len
from rich.console import Console

from config.cli.top_view import picture
from gateway.http.health import TreeNode
from protocol.channel import ChannelState
from tests.unit.config.cli.test_top_frame import look, node_with
from tests.unit.gateway.http.fake_node import TREE, channel_node, clinic_node, tree_node

C = ChannelState


def drawn(
    *trees: TreeNode,
    width: int = 120,
    height: int | None = None,
    trouble: bool = False,
    depth: int | None = None,
    colours: bool = False,
) -> list[str]:
    """The lines that a terminal of this size shows after these looks."""
    out = io.StringIO()
    terminal = Console(file=out, width=width, force_terminal=colours, markup=False, highlight=False, emoji=False)
    terminal.print(picture(look(*trees), width=width, height=height, trouble=trouble, depth=depth))
    return [line.rstrip() for line in out.getvalue().splitlines()]


def test_it_begins_with_the_node_and_its_channels() -> None:
    lines = drawn(TREE, TREE)

    assert lines[0] == "Plantão 1.2.3   up 42 s   2 clinics   restarts 7 (0 in 2 s)   0 messages/s"
    assert lines[1] == "3 channels:   2 connected   1 qr_required"


def test_the_tree_is_drawn_with_lines() -> None:
    names = [line.split("  ")[0].rstrip() if not line.startswith("│") else line for line in drawn(TREE, depth=2)]

    assert "root" in names
    assert "├ store" in names
    assert "└ admin" in names
    assert any(line.startswith("│ └ nursery") for line in names)
    assert not any("account" in line for line in names)


def test_a_row_says_what_there_is_to_say() -> None:
    channel = channel_node("front", C.CONNECTED, 4711, restarts=2, handled=0, inbox=3, busy_s=1.52, last_exit="Boom: x")
    later = channel_node("front", C.CONNECTED, 4711, restarts=2, handled=9, inbox=3, busy_s=1.52, last_exit="Boom: x")

    lines = drawn(node_with(channel), node_with(later))
    head = next(line for line in lines if line.startswith("NODE"))
    front = next(line for line in lines if "front" in line)
    port = next(line for line in lines if "port" in line)

    assert head.split() == ["NODE", "STATE", "RESTARTS", "INBOX", "MSG/S", "BUSY", "PID", "LAST", "EXIT"]
    assert front.split()[-9:] == ["front", "connected", "2", "3", "4.5", "1.5", "s", "Boom:", "x"]
    assert port.split()[-2:] == ["up", "4711"]


def test_trouble_is_a_list_of_names() -> None:
    lines = drawn(node_with(channel_node("a", C.CONNECTED), channel_node("b", C.ERROR, 7)), trouble=True)
    rows = lines[lines.index(next(line for line in lines if line.startswith("NODE"))) + 1 :]

    assert rows[0].split() == ["acme/b", "error"]
    assert ["acme/b/port", "up", "7"] in [row.split() for row in rows]
    assert ["acme/account", "up"] in [row.split() for row in rows]


@pytest.mark.parametrize("width", [20, 30, 40, 60, 80, 100, 200])
@pytest.mark.parametrize("trouble", [False, True])
def test_no_line_is_wider_than_the_terminal(width: int, trouble: bool) -> None:
    long = channel_node("a-very-long-name-of-a-channel-" * 2, C.RECONNECTING, 99, last_exit="ValueError: " + "x" * 300)
    tree = node_with(long, channel_node("short", C.CONNECTED))

    lines = drawn(tree, tree, width=width, trouble=trouble)

    assert max(cell_len(line) for line in lines) <= width
    assert any("STATE" in line for line in lines)


@pytest.mark.parametrize(
    ("width", "heads"),
    [
        (40, "NODE STATE"),
        (50, "NODE STATE RESTARTS INBOX"),
        (60, "NODE STATE RESTARTS INBOX MSG/S"),
        (80, "NODE STATE RESTARTS INBOX MSG/S BUSY LAST EXIT"),
        (110, "NODE STATE RESTARTS INBOX MSG/S BUSY PID LAST EXIT"),
    ],
)
def test_what_matters_most_stays_when_it_gets_narrow(width: int, heads: str) -> None:
    lines = drawn(node_with(channel_node("reception", C.CONNECTED, 4711, last_exit="killed: it hung")), width=width)

    assert " ".join(next(line for line in lines if line.startswith("NODE")).split()) == heads


@pytest.mark.parametrize("height", [1, 5, 8, 20, 40])
def test_it_is_not_higher_than_the_terminal_and_says_what_is_left_out(height: int) -> None:
    lines = drawn(TREE, height=height)

    assert len(lines) <= max(height, 6)
    assert ("more; --trouble" in lines[-1]) is (height < 40)


def test_exactly_as_many_rows_as_fit_are_shown_without_a_hint() -> None:
    lines = drawn(TREE)

    assert drawn(TREE, height=len(lines)) == lines


def test_what_is_wrong_has_a_colour() -> None:
    lines = drawn(node_with(channel_node("a", C.ERROR), channel_node("b", C.CONNECTED)), colours=True)

    assert "\x1b[1;31merror" in next(line for line in lines if "─" not in line and " a " in line and "error" in line)
    assert any("\x1b[1;31m1 error" in line for line in lines)


def test_what_comes_from_outside_cannot_steer_the_terminal() -> None:
    steering = channel_node("a", C.CONNECTED, last_exit="Boom: \x1b[2J\nroot  fine", facts={"state": "\x1b[2J"})
    lines = drawn(node_with(steering))

    assert not any("\x1b" in line for line in lines)
    assert not any(line.startswith("root  fine") for line in lines)


def test_an_empty_node_is_shown_too() -> None:
    lines = drawn(tree_node("root", tree_node("clinics"), facts={"version": "1", "uptime_s": 90061.0, "restarts": 0}))

    assert lines[:2] == ["Plantão 1   up 1 d 1 h   0 clinics   restarts 0", "0 channels"]


@pytest.mark.parametrize(
    ("seconds", "words"), [(0.4, "0 s"), (61.0, "1 min 1 s"), (3700.0, "1 h 1 min"), (90000.0, "1 d 1 h")]
)
def test_times_are_for_people(seconds: float, words: str) -> None:
    tree = tree_node("root", facts={"version": "1", "uptime_s": seconds, "restarts": 0}, type="supervisor")

    assert f"up {words} " in drawn(tree)[0]


def test_a_thousand_channels_are_drawn_in_well_under_a_second() -> None:
    clinics = [clinic_node(f"c{i}", *(channel_node(f"ch{j}", C.CONNECTED, 7) for j in range(10))) for i in range(100)]
    tree = tree_node("root", tree_node("clinics", *clinics))
    began = time.process_time()

    drawn(tree, tree, height=50)

    assert time.process_time() - began < 1.0
