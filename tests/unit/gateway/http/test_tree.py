"""What is asked for of the tree."""

import pytest
from msgspec.structs import replace

from gateway.http.health import TreeNode
from gateway.http.tree import blank, cut, ways_to
from tests.unit.gateway.http.fake_node import TREE


def ids(node: TreeNode) -> list[str]:
    """All, from above to below."""
    return [node.id, *(each for child in node.children for each in ids(child))]


def test_the_way_to_a_clinic_has_nothing_beside_it_and_all_below() -> None:
    way = ways_to(TREE, {"bela"})

    assert way is not None
    assert ids(way) == ["root", "clinics", "bela", "account", "channels", "front", "port", "reconciler"]
    assert way.facts == TREE.facts


@pytest.mark.parametrize("clinic", ["nobody", "front", "clinics", "root"])
def test_what_is_no_clinic_is_not_found(clinic: str) -> None:
    assert ways_to(TREE, {clinic}) is None


def test_the_ways_to_some_clinics_have_none_but_these() -> None:
    ways = ways_to(TREE, {"acme", "bela", "nobody"})

    assert ways is not None
    assert [clinic.id for clinic in ways.children[0].children] == ["acme", "bela"]


def test_what_is_said_of_all_clinics_together_is_left_out_and_the_clinics_stay() -> None:
    way = ways_to(replace(TREE, last_exit="crash: clinic acme", restarts=7, inbox=3), {"bela"})
    assert way is not None

    bare = blank(way)

    assert (bare.last_exit, bare.restarts, bare.inbox) == ("", 0, 0)
    assert bare.facts == {"version": "1.2.3", "uptime_s": 42.0}
    assert bare.children[0].children == way.children[0].children


def test_a_depth_leaves_out_what_is_below() -> None:
    assert ids(cut(TREE, 0)) == ["root"]
    assert ids(cut(TREE, 1)) == ["root", "loop", "processes", "store", "bus", "clinics", "registrar", "admin"]
    assert "acme" in ids(cut(TREE, 2))
    assert "reconciler" not in ids(cut(TREE, 2))
    assert cut(TREE, 99) == TREE
