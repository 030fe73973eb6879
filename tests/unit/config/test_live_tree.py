"""Ports of the live tree."""

from config import live_tree
from supervisor.api import Phase
from supervisor.snapshot import Node
from supervisor.tally import Role


def node(kind: str, clinic: str, *children: Node, id: str | None = None, **facts: object) -> Node:
    return Node(
        id=id or kind, type="worker", phase=Phase.UP, role=Role(kind, clinic), facts=dict(facts), children=children
    )


def test_ports_are_told_by_clinic_and_channel() -> None:
    acme = node(
        "clinic",
        "acme",
        node("account", "acme"),
        node("channels", "acme", node("channel", "acme", id="front", port=41), node("channel", "acme", id="back")),
        id="acme",
    )
    bela = node("clinic", "bela", node("channel", "bela", id="front", port=42), id="bela")
    root = node("root", "", node("clinics", "", acme, bela), node("broker", "", pid=7))
    assert list(live_tree.ports(root)) == [("acme", "front", 41), ("bela", "front", 42)]
