"""What is asked for of the tree."""

import pytest

from gateway.http.health import TreeNode
from gateway.http.tree import cut, way_to
from tests.unit.gateway.http.fake_node import TREE


def ids(node: TreeNode) -> list[str]:
    """All, from above to below."""
    return [node.id, *(each for child in node.children for each in ids(child))]


def test_the_way_to_a_clinic_has_nothing_beside_it_and_all_below() -> None:
    way = way_to(TREE, "bela")

    assert way is not None
    assert ids(way) == ["root", "clinics", "bela", "account", "channels", "front", "port", "reconciler"]
    assert way.facts == TREE.facts


@pytest.mark.parametrize("clinic", ["nobody", "front", "clinics", "root"])
def test_what_is_no_clinic_is_not_found(clinic: str) -> None:
    assert way_to(TREE, clinic) is None


def test_a_depth_leaves_out_what_is_below() -> None:
    assert ids(cut(TREE, 0)) == ["root"]
    assert ids(cut(TREE, 1)) == ["root", "loop", "processes", "store", "bus", "clinics", "registrar", "admin"]
    assert "acme" in ids(cut(TREE, 2))
    assert "reconciler" not in ids(cut(TREE, 2))
    assert cut(TREE, 99) == TREE
