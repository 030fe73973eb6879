"""The live tree over HTTP, of fakes and of real supervisors."""

import asyncio
import threading
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import aiohttp
import pytest
from prometheus_client.parser import text_string_to_metric_families
from pykka import ActorRef

from actors.drain import Drain
from config.health import ROOT, NodeHealth
from gateway.access.api_keys import open_keys
from gateway.audit.keeper import NodeAudit
from gateway.http.health import Part, RoleCount
from gateway.http.server import AdminServer
from gateway.nats.bus import NatsBus
from protocol.commands import utc_now
from protocol.errors import UnavailableError
from supervisor.actor import Actor, Link, ShutDown, tell
from supervisor.names import Names
from supervisor.shell import Supervisor
from supervisor.spec import ChildSpec, ChildType
from supervisor.tally import Role, Tally
from tests.fakes.parent import Parent
from tests.integration.http.test_routes import ask
from tests.unit.gateway.http.fake_node import (
    TREE,
    FakeHealth,
    FakeOperations,
    fake_backends,
)

PATH = "/api/v1/tree"


def ids(node: dict[str, Any]) -> list[str]:
    return [node["id"], *(each for child in node["children"] for each in ids(child))]


async def test_the_tree_is_shown_whole(operator: aiohttp.ClientSession) -> None:
    status, tree = await ask(operator, "GET", PATH)

    assert status == 200
    assert tree.keys() == {
        "id", "kind", "type", "phase", "incarnation", "restarts", "last_exit", "inbox", "busy_s", "handled", "hung",
        "facts", "children",
    }  # fmt: skip
    assert tree["facts"] == {"version": "1.2.3", "uptime_s": 42.0, "restarts": 7}
    assert ids(tree)[:5] == ["root", "loop", "processes", "broker", "nursery"]
    assert {"acme", "bela", "front", "port"} <= set(ids(tree))


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("?depth=0", ["root"]),
        ("?depth=1", ["root", "loop", "processes", "store", "bus", "clinics", "registrar", "admin"]),
        ("?clinic=bela&depth=3", ["root", "clinics", "bela", "account", "channels", "reconciler"]),
        ("?clinic=bela", ["root", "clinics", "bela", "account", "channels", "front", "port", "reconciler"]),
    ],
)
async def test_the_tree_can_be_filtered(operator: aiohttp.ClientSession, query: str, found: list[str]) -> None:
    assert ids((await ask(operator, "GET", PATH + query))[1]) == found


@pytest.mark.parametrize(
    ("query", "status", "field"),
    [
        ("?depth=-1", 400, "depth"),
        ("?depth=", 400, "depth"),
        ("?depth=1.5", 400, "depth"),
        ("?depth=1000000000000000000000", 400, "depth"),
        ("?depth=%D9%A1", 400, "depth"),
        ("?clinic=", 400, "clinic"),
        ("?clinic=..%2Fx", 400, "clinic"),
        ("?clinic=nobody", 404, None),
        ("?clinic=root", 404, None),
    ],
)
async def test_what_cannot_be_asked_for_is_a_problem(
    operator: aiohttp.ClientSession, query: str, status: int, field: str | None
) -> None:
    answered, problem = await ask(operator, "GET", PATH + query)

    assert (answered, problem.get("field")) == (status, field)


async def test_the_tree_is_for_those_with_a_key(stranger: aiohttp.ClientSession) -> None:
    assert (await ask(stranger, "GET", PATH))[0] == 401


@pytest.mark.parametrize("method", ["POST", "DELETE"])
async def test_the_tree_can_only_be_looked_at(operator: aiohttp.ClientSession, method: str) -> None:
    assert (await ask(operator, method, PATH))[0] == 405


async def test_a_node_that_is_starting_has_no_tree_yet(operator: aiohttp.ClientSession, health: FakeHealth) -> None:
    health.root = None

    assert (await ask(operator, "GET", PATH))[0] == 503
    assert "plantao_scrape_success 0.0" in await (await operator.get("/metrics")).text()


async def test_metrics_tell_of_the_tree(operator: aiohttp.ClientSession, health: FakeHealth) -> None:
    health.counted = [RoleCount(kind="channel", clinic="acme", restarts=3, hung=1, exits={"crash": 3})]

    async with operator.get("/metrics") as response:
        names = {family.name for family in text_string_to_metric_families(await response.text())}

    assert {
        "plantao_actor_restarts", "plantao_actor_exits", "plantao_actor_hung", "plantao_actors",
        "plantao_inbox_messages", "plantao_inbox_messages_max", "plantao_quarantined",
    } <= names  # fmt: skip


@pytest.mark.parametrize("path", [PATH, "/metrics"])
async def test_the_tree_is_walked_off_the_loop(operator: aiohttp.ClientSession, health: FakeHealth, path: str) -> None:
    async with operator.get(path) as response:
        assert response.status == 200

    assert health.walked_by == ["admin_0"]


async def test_a_quarantined_clinic_is_released(operator: aiohttp.ClientSession, operations: FakeOperations) -> None:
    operations.quarantined["acme"] = "quarantined after 5 restarts"
    assert (await ask(operator, "GET", "/api/v1/clinics/acme"))[1]["reason"] == "quarantined after 5 restarts"

    status, clinic = await ask(operator, "POST", "/api/v1/clinics/acme/release")

    assert (status, clinic["state"], clinic["reason"]) == (200, "running", "")


@pytest.mark.parametrize(
    ("clinic", "status", "slug"), [("acme", 409, "conflict"), ("nobody", 404, "not-found"), ("A", 400, "invalid")]
)
async def test_what_cannot_be_released_is_a_problem(
    operator: aiohttp.ClientSession, clinic: str, status: int, slug: str
) -> None:
    answered, problem = await ask(operator, "POST", f"/api/v1/clinics/{clinic}/release")

    assert answered == status
    assert problem["type"].startswith(f"urn:plantao:problem:{slug}")


async def test_a_release_that_does_not_get_through_is_a_problem(
    operator: aiohttp.ClientSession, operations: FakeOperations
) -> None:
    operations.failing["release_clinic"] = UnavailableError("clinic acme: no answer within 5 s")

    assert (await ask(operator, "POST", "/api/v1/clinics/acme/release"))[0] == 503


# -- real supervisors --


class Stuck(Actor):
    """Sets the first of two events, and hangs until the test sets the second."""

    def handle(self, message: tuple[threading.Event, threading.Event]) -> None:
        message[0].set()
        assert message[1].wait(30), "the test forgot to let the actor go"


@dataclass
class Hanging:
    """A tree whose supervisor ``clinics`` hangs in a start, and whose actor ``store`` hangs too."""

    health: NodeHealth
    server: AdminServer


class ConnectedBus:
    connected = True


@pytest.fixture
async def hanging(tmp_path: Path) -> AsyncIterator[Hanging]:
    names, tally, parent = Names(), Tally(), Parent()
    release, entered = threading.Event(), threading.Event()
    stores: list[ActorRef[Any]] = []

    def start_store(link: Link) -> ActorRef[Any]:
        stores.append(Stuck.start(link))
        return stores[-1]

    def start_slowly(link: Link) -> ActorRef[Any]:
        entered.set()
        assert release.wait(30)
        return Stuck.start(link)

    slow = ChildSpec(id="acme", start=start_slowly, role=Role("clinic", "acme"))
    specs = [
        ChildSpec(id="store", start=start_store, role=Role("store")),
        ChildSpec(
            id="clinics",
            start=lambda link: Supervisor.start(link, "clinics", [slow], tally=tally),
            type=ChildType.SUPERVISOR,
            role=Role("clinics"),
        ),
    ]
    root = Supervisor.start(parent.link, ROOT, specs, registered=names.name(ROOT), tally=tally)
    assert await asyncio.to_thread(entered.wait, 5)
    stuck = threading.Event()
    tell(stores[0], (stuck, release))
    tell(stores[0], (stuck, release))
    assert await asyncio.to_thread(stuck.wait, 5)
    audit = NodeAudit(tmp_path, bytes(32), utc_now)
    health = NodeHealth(names, tally, cast(NatsBus, ConnectedBus()), audit, tmp_path, Drain(), dict)
    keys = open_keys(tmp_path, tmp_path / "admin.key", utc_now)
    server = AdminServer("127.0.0.1", 0, fake_backends(keys=keys, health=health))
    await server.start()
    yield Hanging(health, server)
    await server.stop(timeout=1.0)
    release.set()
    tell(root, ShutDown())
    await asyncio.to_thread(parent.wait_exit)


async def test_a_hung_supervisor_and_a_hung_actor_are_seen_like_any_other(hanging: Hanging, tmp_path: Path) -> None:
    key = (tmp_path / "admin.key").read_text().strip()
    async with aiohttp.ClientSession(hanging.server.url, headers={"X-API-Key": key}) as operator:
        status, tree = await ask(operator, "GET", PATH)
        metrics = await (await operator.get("/metrics")).text()

    assert status == 200
    store, clinics = tree["children"]
    assert (store["kind"], store["phase"], store["inbox"]) == ("store", "up", 1)
    assert store["busy_s"] > 0
    assert (clinics["kind"], clinics["type"], clinics["phase"]) == ("clinics", "supervisor", "starting")
    assert clinics["busy_s"] > 0
    assert tree["facts"]["restarts"] == 0
    assert 'plantao_inbox_messages{clinic="",kind="store"} 1.0' in metrics
    assert 'plantao_actor_restarts_total{clinic="acme",kind="clinic"} 0.0' not in metrics  # it is not registered


async def test_a_node_whose_data_directory_is_gone_says_so(hanging: Hanging, tmp_path: Path) -> None:
    assert (await hanging.health.report()).store.ok
    await asyncio.to_thread(tmp_path.rename, tmp_path.with_name("moved"))
    report = await hanging.health.report()
    assert report.store == Part(ok=False, reason=f"{tmp_path}: No such file or directory")
    assert (report.disk_free_bytes, report.disk_size_bytes) == (0, 0)


def test_the_tree_of_the_fake_has_the_documented_shape() -> None:
    """The fake's tree is what rendering is tested with: it has to look like the one of ``config.tree``."""
    assert [child.id for child in TREE.children] == [
        "loop", "processes", "store", "bus", "clinics", "registrar", "admin",
    ]  # fmt: skip
