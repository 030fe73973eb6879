"""Metrics of the supervision tree."""

import time
from collections.abc import Sequence, Set

import pytest
from prometheus_client.parser import text_string_to_metric_families

from gateway.http.catalogue import Samples
from gateway.http.health import RoleCount, TreeNode
from gateway.http.supervision import put_alive, put_counted
from protocol.channel import ChannelState
from tests.unit.gateway.http.fake_node import TREE, channel_node, clinic_node, tree_node

CLINICS = {"acme", "bela"}


def of_counts(counts: Sequence[RoleCount], clinics: Set[str] | None) -> dict[tuple[str, ...], float]:
    found = Samples()
    put_counted(found, counts, clinics)
    return read(found)


def of_tree(tree: TreeNode, clinics: Set[str]) -> dict[tuple[str, ...], float]:
    found = Samples()
    put_alive(found, tree, clinics)
    return read(found)


def read(found: Samples) -> dict[tuple[str, ...], float]:
    """What Prometheus reads, by name and label values in the order of the label names."""
    return {
        (sample.name, *(value for _, value in sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(found.text())
        for sample in family.samples
    }


def count(kind: str, clinic: str = "", **counts: int) -> RoleCount:
    known = {"restarts": counts.pop("restarts", 0), "hung": counts.pop("hung", 0)}
    return RoleCount(kind=kind, clinic=clinic, exits=counts, **known)


def test_counters_are_given_by_kind_and_clinic() -> None:
    found = of_counts([count("channel", "acme", restarts=3, crash=2, killed=1), count("bus", hung=1)], CLINICS)

    assert found["plantao_actor_restarts_total", "acme", "channel"] == 3
    assert found["plantao_actor_exits_total", "acme", "channel", "crash"] == 2
    assert found["plantao_actor_exits_total", "acme", "channel", "killed"] == 1
    assert found["plantao_actor_hung_total", "", "bus"] == 1
    assert found["plantao_actor_hung_total", "acme", "channel"] == 0
    assert found["plantao_actor_restarts_total", "", "bus"] == 0


@pytest.mark.parametrize(("clinics", "shown"), [({"bela"}, False), (CLINICS, True), (None, True)])
def test_a_clinic_that_is_not_registered_any_more_has_no_series(clinics: set[str] | None, shown: bool) -> None:
    found = of_counts([count("channel", "acme", restarts=3)], clinics)

    assert (("plantao_actor_restarts_total", "acme", "channel") in found) is shown


def test_actors_are_counted_by_kind() -> None:
    found = of_tree(TREE, CLINICS)

    assert found["plantao_actors", "channel"] == 3
    assert found["plantao_actors", "port"] == 3
    assert found["plantao_actors", "reconciler"] == 2
    assert found["plantao_actors", "broker"] == 1


def test_who_has_no_actor_is_not_counted_as_running() -> None:
    tree = tree_node("root", tree_node("bus", phase="waiting"), tree_node("store", phase="stopping"))
    found = of_tree(tree, set())

    assert (found["plantao_actors", "bus"], found["plantao_actors", "store"]) == (0, 1)


def test_inboxes_are_summed_and_the_fullest_is_given() -> None:
    clinic = clinic_node(
        "acme",
        channel_node("a", ChannelState.CONNECTED, inbox=5),
        channel_node("b", ChannelState.CONNECTED, inbox=3),
    )
    found = of_tree(tree_node("root", tree_node("clinics", clinic), inbox=1), {"acme"})

    assert found["plantao_inbox_messages", "acme", "channel"] == 8
    assert found["plantao_inbox_messages_max", "acme", "channel"] == 5
    assert found["plantao_inbox_messages", "", "root"] == 1
    assert found["plantao_inbox_messages", "acme", "account"] == 0


def test_quarantine_is_given_also_where_there_is_none() -> None:
    bela = clinic_node("bela", channel_node("a", ChannelState.ERROR, phase="quarantined"))
    clinics = tree_node("clinics", tree_node("clinic", id="acme", phase="quarantined"), bela)
    found = of_tree(tree_node("root", clinics), CLINICS)

    assert found["plantao_quarantined", "acme", "clinic"] == 1
    assert found["plantao_quarantined", "acme", "channel"] == 0
    assert found["plantao_quarantined", "bela", "clinic"] == 0
    assert found["plantao_quarantined", "bela", "channel"] == 1
    assert len([name for name, *_ in found if name == "plantao_quarantined"]) == 4


def test_a_thousand_channels_make_no_more_series_than_one() -> None:
    channels = [channel_node(f"ch{i}", ChannelState.CONNECTED, i) for i in range(1000)]
    many = tree_node("root", tree_node("clinics", clinic_node("acme", *channels)))
    one = tree_node("root", tree_node("clinics", clinic_node("acme", channels[0])))
    began = time.process_time()

    found = of_tree(many, {"acme"})

    assert time.process_time() - began < 0.5
    assert found.keys() == of_tree(one, {"acme"}).keys()
