"""Keys exchanged over HTTP and by the command line."""

import json
from typing import Any

import aiohttp
import pytest

from gateway.http.server import AdminServer
from tests.fakes.memory_audit import MemoryAudit
from tests.fakes.memory_keys import MemoryKeys
from tests.integration.http.conftest import Plantao
from tests.integration.http.test_routes import API, ask

ROTATE = f"{API}/rotate"


async def key_of(operator: aiohttp.ClientSession, **body: Any) -> dict[str, str]:
    """The headers of a new key."""
    made = (await ask(operator, "POST", f"{API}/keys", json={"name": "k", **body}))[1]
    return {"Authorization": f"Bearer {made['key']}"}


@pytest.mark.parametrize(
    ("body", "done"), [({"what": "master"}, "master"), ({"what": "clinic", "clinic": "acme"}, "acme: drop")]
)
async def test_it_is_a_job_and_in_the_audit(
    operator: aiohttp.ClientSession, data_keys: MemoryKeys, audit: MemoryAudit, body: dict[str, str], done: str
) -> None:
    status, view = await ask(operator, "POST", ROTATE, json=body)
    assert (status, view["kind"], view["clinic"]) == (202, "rotate", body.get("clinic"))
    while view["state"] == "running":
        view = (await ask(operator, "GET", f"{API}/jobs/{view['id']}"))[1]
    assert view["state"] == "done"
    assert data_keys.calls[-1] == done
    assert {"keys.rotate", "rotate.run"} <= {entry.action for entry in await audit.entries(None, before=None, limit=20)}


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "what"),
        ({"what": "all"}, "what"),
        ({"what": "clinic"}, "clinic"),
        ({"what": "master", "clinic": "acme"}, "clinic"),
        ({"what": "clinic", "clinic": "../acme"}, "clinic"),
        ({"what": ["master"]}, "what"),
    ],
)
async def test_what_is_none_is_refused_by_name(
    operator: aiohttp.ClientSession, data_keys: MemoryKeys, body: dict[str, Any], field: str
) -> None:
    status, problem = await ask(operator, "POST", ROTATE, json=body)
    assert (status, field in str(problem)) == (400, True), problem
    assert data_keys.calls == []


async def test_a_clinic_s_admin_exchanges_the_clinic_s_key_and_no_other(
    operator: aiohttp.ClientSession, stranger: aiohttp.ClientSession, data_keys: MemoryKeys
) -> None:
    headers = await key_of(operator, role="admin", clinics=["acme"])
    said = [
        (await ask(stranger, "POST", ROTATE, json=body, headers=headers))[0]
        for body in ({"what": "clinic", "clinic": "bela"}, {"what": "master"}, {"what": "clinic", "clinic": "acme"})
    ]
    assert said == [404, 403, 202]
    assert not any(call.startswith(("bela", "master")) for call in data_keys.calls)


async def test_it_takes_an_admin(
    operator: aiohttp.ClientSession, stranger: aiohttp.ClientSession, data_keys: MemoryKeys
) -> None:
    headers = await key_of(operator, role="operator")
    assert (await ask(stranger, "POST", ROTATE, json={"what": "master"}, headers=headers))[0] == 403
    assert data_keys.calls == []


async def test_the_command_line_follows_it_to_its_end(plantao: Plantao, data_keys: MemoryKeys) -> None:
    rotated = await plantao("rotate", "master")
    assert (rotated.exit_code, "2 keys are wrapped by the next master key" in rotated.output) == (0, True)
    rotated = await plantao("rotate", "clinic", "acme")
    assert rotated.exit_code == 0
    assert "Clinic acme has a new key: its database and 1 snapshots are sealed with it." in rotated.output
    shown = json.loads((await plantao("rotate", "clinic", "bela", "--json")).stdout)
    assert (shown["state"], shown["result"]) == ("done", {"channels": 1, "snapshots": 1})


async def test_the_command_line_says_why_it_failed(
    plantao: Plantao, server: AdminServer, data_keys: MemoryKeys
) -> None:
    data_keys.failing.add("acme: database")
    failed = await plantao("rotate", "clinic", "acme")
    assert (failed.exit_code, "acme: database: the disk is full" in failed.output) == (1, True)
