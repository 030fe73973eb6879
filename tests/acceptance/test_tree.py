"""The supervision tree of a real node, over HTTP, in metrics and in the terminal."""

import json
import os
import signal
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.acceptance.node import Listener, Node
from tests.acceptance.phones import Phones

PHONE = "5511900000001"
TREE = "/api/v1/tree"


def shape(node: dict[str, Any]) -> Any:
    """Its id, or with what is below it."""
    return (node["id"], [shape(child) for child in node["children"]]) if node["children"] else node["id"]


def at(tree: dict[str, Any], *path: str) -> dict[str, Any]:
    """The node at ``path`` below the root."""
    for step in path:
        tree = next(child for child in tree["children"] if child["id"] == step)
    return tree


async def counted(node: Node, name: str, **labels: str) -> float:
    """What a metric says now; 0 if it has no such series."""
    text = (await node.request("GET", "/metrics")).decode()
    samples = (sample for family in text_string_to_metric_families(text) for sample in family.samples)
    return sum(sample.value for sample in samples if sample.name == name and sample.labels == labels)


@pytest.fixture
async def paired(phones: Phones) -> None:
    """``acme/reception``, connected."""
    await phones.pair("acme", ("reception", PHONE))


@pytest.mark.usefixtures("paired")
async def test_the_tree_is_the_documented_one_and_its_processes_exist(node: Node) -> None:
    tree = await node.request("GET", TREE)

    assert shape(tree) == (
        "root",
        [
            "loop",
            "audit",
            ("processes", ["broker", "nursery"]),
            "store",
            "bus",
            ("clinics", [("acme", ["account", ("channels", [("reception", ["port"])]), "reconciler"])]),
            "registrar",
            "jobs",
            "resuming",
            "custody",
            "admin",
        ],
    )
    channel = at(tree, "clinics", "acme", "channels", "reception")
    assert (channel["kind"], channel["phase"], channel["facts"]["state"]) == ("channel", "up", "connected")
    assert channel["handled"] > 0
    port = at(channel, "port")
    assert (port["type"], port["facts"]) == ("port", {"pid": node.port_pid("acme", "reception")})
    for pid in (port["facts"]["pid"], *(at(tree, "processes", name)["facts"]["pid"] for name in ("broker", "nursery"))):
        os.kill(pid, 0)  # raises if there is none
    assert tree["facts"]["uptime_s"] > 0


@pytest.mark.usefixtures("paired")
async def test_a_killed_port_is_counted_and_its_successor_shown(node: Node, service: Listener) -> None:
    channel = ("clinics", "acme", "channels", "reception")
    before = at(await node.request("GET", TREE), *channel, "port")
    restarts = await counted(node, "plantao_actor_restarts_total", kind="port", clinic="acme")

    os.kill(before["facts"]["pid"], signal.SIGKILL)
    await service.until("state", state="connected", count=2)

    tree = await node.request("GET", TREE)
    after = at(tree, *channel, "port")
    assert (before["incarnation"], before["restarts"]) == (1, 0)
    assert (after["incarnation"], after["restarts"]) == (2, 1)
    assert after["facts"]["pid"] != before["facts"]["pid"]
    assert at(tree, *channel)["restarts"] == 0
    assert await counted(node, "plantao_actor_restarts_total", kind="port", clinic="acme") == restarts + 1
    assert await counted(node, "plantao_actor_exits_total", kind="port", clinic="acme", reason="crash") == 1
    assert await counted(node, "plantao_actor_restarts_total", kind="channel", clinic="acme") == 0


@pytest.mark.usefixtures("paired")
async def test_a_killed_broker_is_counted_and_its_successor_shown(node: Node) -> None:
    before = at(await node.request("GET", TREE), "processes", "broker")
    os.kill(before["facts"]["pid"], signal.SIGKILL)

    def is_back(tree: dict[str, Any]) -> bool:
        broker = at(tree, "processes", "broker")
        return (broker["phase"], broker["restarts"]) == ("up", 1)

    after = at(await node.once(TREE, is_back), "processes", "broker")

    assert after["facts"]["pid"] != before["facts"]["pid"]
    assert after["last_exit"] != ""
    assert await counted(node, "plantao_actor_restarts_total", kind="broker", clinic="") == 1


@pytest.mark.usefixtures("paired")
async def test_a_person_sees_the_tree_and_a_program_reads_it(node: Node) -> None:
    data = ("--data", str(node.data))
    shown = await node.cli("top", *data)
    read = json.loads(await node.cli("top", "--once", "--json", *data))

    assert shown.splitlines()[1].startswith("1 channel:   1 connected")
    assert any("reception" in line and "connected" in line for line in shown.splitlines())
    assert read["channels"] == {"connected": 1}
    assert at(read["tree"], "processes", "nursery")["facts"]["pid"] > 0
    assert "reception" in await node.cli("top", "--trouble", "--clinic", "acme", *data)
    assert "clinic nobody does not exist" in await node.cli("top", "--clinic", "nobody", *data, code=1)


@pytest.mark.usefixtures("paired")
async def test_what_a_removed_clinic_has_counted_goes_on_when_it_comes_back(node: Node, service: Listener) -> None:
    os.kill(node.port_pid("acme", "reception"), signal.SIGKILL)
    await service.until("state", state="connected", count=2)
    await node.request("DELETE", "/api/v1/clinics/acme")
    assert await counted(node, "plantao_actor_exits_total", kind="port", clinic="acme", reason="crash") == 0

    await node.add("acme")

    assert await counted(node, "plantao_actor_exits_total", kind="port", clinic="acme", reason="crash") == 1


async def test_a_clinic_that_is_well_is_not_released(node: Node) -> None:
    await node.add("acme")
    await node.clinic_in("acme", "running")

    words = await node.cli("clinic", "release", "acme", "--data", str(node.data), code=1)

    assert "clinic acme is running: only a quarantined one can be released" in words
