"""What ``plantao top`` makes of one look at the tree, and of the next."""

from typing import Any

import msgspec
import pytest

from config.cli.top_frame import Frame, Row, Trouble, Watch, cut
from gateway.http.health import TreeNode
from protocol.channel import ChannelState
from tests.unit.gateway.http.fake_node import TREE, channel_node, clinic_node, tree_node

C = ChannelState


def wire(node: TreeNode) -> Any:
    """``node`` as a client of the admin endpoint gets it."""
    return msgspec.json.decode(msgspec.json.encode(node))


def look(*trees: TreeNode, every: float = 2.0) -> Frame:
    """The last frame of looks at these trees, one after the other."""
    watch = Watch()
    return [watch.look(wire(tree), 100.0 + number * every) for number, tree in enumerate(trees)][-1]


def node_with(*channels: TreeNode, restarts: int = 0) -> TreeNode:
    facts = {"version": "1.2.3", "uptime_s": 42.0, "restarts": restarts}
    return tree_node("root", tree_node("clinics", clinic_node("acme", *channels)), facts=facts)


def row(frame: Frame, name: str) -> Row:
    return next(row for row in frame.rows if row.name == name)


def test_the_first_look_shows_the_tree_and_no_rates() -> None:
    frame = look(TREE)

    assert [row.path[-1] for row in frame.rows][:6] == ["root", "loop", "processes", "broker", "nursery", "store"]
    assert row(frame, "acme/front").state == "connected"
    assert row(frame, "acme/front/port").pid == 22
    assert row(frame, "processes/broker").pid == 11
    assert row(frame, "store").state == "up"
    assert {row.rate for row in frame.rows} == {None}


def test_the_summary_counts_clinics_and_channels_by_state() -> None:
    summary = look(TREE).summary

    assert (summary.version, summary.uptime_s, summary.clinics, summary.restarts) == ("1.2.3", 42.0, 2, 7)
    assert summary.channels == {"connected": 2, "qr_required": 1}
    assert (summary.recent_restarts, summary.recent_s, summary.messages_per_s) == (None, None, None)


def test_a_rate_is_what_was_handled_between_two_looks() -> None:
    frame = look(
        node_with(channel_node("a", C.CONNECTED, handled=10), channel_node("b", C.CONNECTED, 7)),
        node_with(channel_node("a", C.CONNECTED, handled=15), channel_node("b", C.CONNECTED, 7)),
    )

    assert row(frame, "acme/a").rate == 2.5
    assert row(frame, "acme/b").rate == 0
    assert row(frame, "acme/b/port").rate is None
    assert frame.summary.messages_per_s == 2.5
    channels = frame.tree["children"][0]["children"][0]["children"][1]
    assert [channel["rate"] for channel in channels["children"]] == [2.5, 0.0]


@pytest.mark.parametrize("changes", [{"incarnation": 2, "handled": 40}, {"incarnation": 1, "handled": 4}])
def test_an_actor_that_was_started_again_has_handled_what_it_has_since(changes: dict[str, int]) -> None:
    frame = look(
        node_with(channel_node("a", C.CONNECTED, handled=10)), node_with(channel_node("a", C.CONNECTED, **changes))
    )

    assert row(frame, "acme/a").rate == changes["handled"] / 2


def test_an_actor_that_is_new_has_no_rate_yet() -> None:
    frame = look(node_with(), node_with(channel_node("a", C.CONNECTED, handled=10)))

    assert row(frame, "acme/a").rate is None


@pytest.mark.parametrize(
    ("restarts", "every", "recent"),
    [
        ([5, 7], 2.0, (2, 2.0)),
        ([5, 7, 8], 30.0, (3, 60.0)),
        ([0, 5, 7, 7], 30.0, (2, 60.0)),
        ([0, 90, 90], 120.0, (0, 120.0)),
        ([9, 1, 3], 2.0, (2, 2.0)),
    ],
)
def test_recent_restarts_are_those_of_the_last_minute(
    restarts: list[int], every: float, recent: tuple[int, float]
) -> None:
    summary = look(*(node_with(restarts=count) for count in restarts), every=every).summary

    assert (summary.recent_restarts, summary.recent_s) == recent


@pytest.mark.parametrize(
    ("changes", "trouble"),
    [
        ({}, Trouble.NONE),
        ({"restarts": 1}, Trouble.NOTICE),
        ({"inbox": 100}, Trouble.NOTICE),
        ({"busy_s": 2.0}, Trouble.NOTICE),
        ({"busy_s": 20.0}, Trouble.ALARM),
        ({"phase": "starting"}, Trouble.NOTICE),
        ({"phase": "waiting"}, Trouble.WARNING),
        ({"phase": "down"}, Trouble.WARNING),
        ({"phase": "quarantined"}, Trouble.ALARM),
        ({"facts": {"state": "qr_required"}}, Trouble.WARNING),
        ({"facts": {"state": "reconnecting"}}, Trouble.WARNING),
        ({"facts": {"state": "error"}}, Trouble.ALARM),
        ({"facts": {"state": "logged_out"}}, Trouble.ALARM),
        ({"facts": {"state": "suspended"}}, Trouble.NONE),
    ],
)
def test_what_wants_to_be_looked_at(changes: dict[str, Any], trouble: Trouble) -> None:
    assert row(look(node_with(channel_node("a", C.CONNECTED, **changes))), "acme/a").trouble is trouble


def test_a_quarantined_channel_is_that_and_not_what_it_was() -> None:
    assert row(look(node_with(channel_node("a", C.CONNECTED, phase="quarantined"))), "acme/a").state == "quarantined"


def test_trouble_comes_first() -> None:
    frame = look(
        node_with(
            channel_node("well", C.CONNECTED),
            channel_node("restarted", C.CONNECTED, restarts=2),
            channel_node("failing", C.ERROR),
            channel_node("often", C.CONNECTED, restarts=3),
            channel_node("away", C.RECONNECTING),
        )
    )

    assert [row.path[-1] for row in frame.troubled_first()][:4] == ["failing", "away", "often", "restarted"]
    assert len(frame.troubled_first()) == len(frame.rows)


def test_a_cut_tree_has_so_many_levels_below_its_root() -> None:
    tree = wire(TREE)

    assert cut(tree, None) == tree
    assert cut(tree, 0)["children"] == []
    assert all(child["children"] == [] for child in cut(tree, 1)["children"])
