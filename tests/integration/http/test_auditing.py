"""What is asked over HTTP is in the audit: by whom, and how it ended."""

import asyncio
import json

import aiohttp
import pytest

from gateway.access.api_keys import ApiKeys
from gateway.http.server import AdminServer
from protocol.access import Role
from tests.fakes.memory_audit import MemoryAudit
from tests.integration.http.conftest import Plantao
from tests.unit.gateway.http.fake_node import FakeOperations

FRONT = "/api/v1/clinics/acme/channels/front"


async def test_whoever_changes_something_is_named_before_and_after(
    operator: aiohttp.ClientSession, audit: MemoryAudit, keys: ApiKeys
) -> None:
    async with operator.post(f"{FRONT}/suspend") as response:
        assert response.status == 200
    [admin] = [key.id for key in keys.all()]
    assert [(each.who, each.action, each.outcome, each.about, dict(each.detail)) for each in audit.kept] == [
        (admin, "channel.suspend", "asked", None, {}),
        (admin, "channel.suspend", "done", 1, {"status": "200"}),
    ]
    assert {(each.clinic, each.channel) for each in audit.kept} == {("acme", "front")}


async def test_who_only_looks_is_not_in_it(operator: aiohttp.ClientSession, audit: MemoryAudit) -> None:
    for path in ("/health", "/metrics", "/api/v1/clinics", FRONT, "/api/v1/audit", "/api/v1/audit/verify"):
        async with operator.get(path) as response:
            assert response.status == 200
    assert audit.kept == []


@pytest.mark.parametrize(
    ("method", "path", "body", "outcome", "status"),
    [
        ("POST", f"{FRONT}/nada", None, None, 404),
        ("POST", "/api/v1/clinics/nada/channels/x/connect", None, "refused", 404),
        ("POST", "/api/v1/clinics/ACME/release", None, None, 400),
        ("POST", "/api/v1/clinics", {"id": "acme"}, "refused", 400),
        ("POST", "/api/v1/clinics", {"id": "nova", "name": "Nova"}, "done", 201),
        ("DELETE", FRONT, None, "done", 204),
    ],
)
async def test_how_it_ended_is_told_by_its_status(
    operator: aiohttp.ClientSession,
    audit: MemoryAudit,
    method: str,
    path: str,
    body: object,
    outcome: str | None,
    status: int,
) -> None:
    async with operator.request(method, path, json=body) as response:
        assert response.status == status
    if outcome is None:
        assert audit.kept == []
    else:
        assert [(each.outcome, dict(each.detail)) for each in audit.kept] == [
            ("asked", {}),
            (outcome, {"status": str(status)}),
        ]


async def test_what_fails_in_an_unknown_way_or_takes_too_long_has_failed(
    operator: aiohttp.ClientSession, audit: MemoryAudit, operations: FakeOperations
) -> None:
    operations.failing["connect"] = ZeroDivisionError("a secret")
    operations.hanging.add("disconnect")
    for verb, status in (("connect", 500), ("disconnect", 504)):
        async with operator.post(f"{FRONT}/{verb}") as response:
            assert response.status == status
        assert (audit.kept[-1].outcome, audit.kept[-1].detail) == ("failed", {"status": str(status)})


async def test_what_the_audit_cannot_keep_is_not_done_and_looking_goes_on(
    operator: aiohttp.ClientSession, audit: MemoryAudit, operations: FakeOperations
) -> None:
    audit.full = True
    async with operator.delete(FRONT) as response:
        assert response.status == 503
        assert "audit" in (await response.json())["detail"]
    async with operator.get(FRONT) as response:
        assert response.status == 200


async def test_a_key_of_a_clinic_reads_the_entries_of_that_clinic(
    operator: aiohttp.ClientSession, server: AdminServer, keys: ApiKeys
) -> None:
    for clinic in ("acme", "bela"):
        async with operator.post(f"/api/v1/clinics/{clinic}/channels/front/suspend") as response:
            assert response.status == 200
    _, secret = await keys.make("own", Role.ADMIN, ["bela"], made_by="test")
    async with aiohttp.ClientSession(server.url, headers={"X-API-Key": secret}) as own:
        for path, seqs in (
            ("", [4, 3]),
            ("?clinic=bela", [4, 3]),
            ("?limit=1", [4]),
            ("?before=4", [3]),
            ("?before=9&cursor=4", [3]),
        ):
            async with own.get(f"/api/v1/audit{path}") as response:
                assert [each["seq"] for each in (await response.json())["items"]] == seqs
        for path, status in (("?clinic=acme", 404), ("/verify", 403), ("?limit=0", 400), ("?before=x", 400)):
            async with own.get(f"/api/v1/audit{path}") as response:
                assert response.status == status
    async with operator.get("/api/v1/audit?limit=3") as response:
        page = await response.json()
    assert ([each["seq"] for each in page["items"]], page["next"]) == ([4, 3, 2], "2")
    async with operator.get(f"/api/v1/audit?limit=3&cursor={page['next']}") as response:
        assert (await response.json())["next"] is None


async def test_refused_keys_are_counted_and_not_entered_one_by_one(
    stranger: aiohttp.ClientSession, server: AdminServer, audit: MemoryAudit
) -> None:
    for _ in range(20):
        async with stranger.get("/api/v1/clinics", headers={"X-API-Key": "wrong"}) as response:
            assert response.status == 401
    await asyncio.sleep(0)
    await server.stop(timeout=1.0)
    assert {(each.who, each.action) for each in audit.kept} == {("nobody", "access.refused")}
    assert len(audit.kept) == 2
    assert sum(int(each.detail["count"]) for each in audit.kept) == 20
    assert {(each.detail["address"], each.detail["why"]) for each in audit.kept} == {("127.0.0.1", "unknown")}


async def test_it_is_listed_and_verified_by_the_command_line(
    operator: aiohttp.ClientSession, plantao: Plantao, audit: MemoryAudit
) -> None:
    async with operator.post(f"{FRONT}/suspend") as response:
        assert response.status == 200
    listed = await plantao("audit", "list", "--clinic", "acme")
    assert listed.exit_code == 0
    assert "channel.suspend" in listed.stdout
    assert "status=200" in listed.stdout
    assert len(json.loads((await plantao("audit", "list", "--limit", "1", "--json")).stdout)["items"]) == 1
    assert "The audit is whole: 2 entries" in (await plantao("audit", "verify")).stdout
    wrong = await plantao("audit", "verify", "--since", "x")
    assert (wrong.exit_code, "SEQ:HASH" in wrong.stderr) == (2, True)
