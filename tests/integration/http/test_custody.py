"""What people have a right to, asked for over HTTP and by the command line."""

import json

import aiohttp
import pytest

from gateway.access.api_keys import ApiKeys
from gateway.http.server import AdminServer
from protocol.access import Role
from tests.integration.http.conftest import Plantao
from tests.unit.gateway.http.fake_node import FakeOperations, FakePersonal

CONSENTS = "/api/v1/clinics/acme/channels/front/consents"
ANA = "5511988880001"
MISSPELT = {"clinic": "acme", "contcat": ANA}
"""Without what is unknown this is all of the clinic."""


async def test_a_clinic_or_a_person_is_erased(operator: aiohttp.ClientSession, personal: FakePersonal) -> None:
    async with operator.post("/api/v1/erase", json={"clinic": "acme", "all": True}) as response:
        assert response.status == 202
        assert response.headers["Location"] == "/api/v1/jobs/0123456789abcdef"
    async with operator.post("/api/v1/erase", json={"clinic": "acme", "contact": ANA}) as response:
        assert response.status == 202
    async with operator.post("/api/v1/export", json={"clinic": "acme", "contact": ANA}) as response:
        assert response.status == 202
    kinds = [(asked[0], asked[1]) for asked in personal.asked]
    assert kinds == [("erase", "acme"), ("erase", "acme"), ("export", "acme")]
    assert personal.asked[1][2] == ANA


@pytest.mark.parametrize(
    "body", [{}, {"clinic": "../acme"}, {"clinic": None}, {"clinic": "acme", "contact": 5}, MISSPELT]
)
@pytest.mark.parametrize("path", ["/api/v1/erase", "/api/v1/export"])
async def test_what_names_no_clinic_does_nothing(
    operator: aiohttp.ClientSession, personal: FakePersonal, path: str, body: object
) -> None:
    async with operator.post(path, json=body) as response:
        assert response.status == 400
    assert personal.asked == []


@pytest.mark.parametrize(
    "whose", [{}, {"contact": None}, {"all": False}, {"contact": ANA, "all": True}, {"contact": "", "all": True}]
)
async def test_all_of_a_clinic_is_erased_only_if_that_is_said(
    operator: aiohttp.ClientSession, personal: FakePersonal, whose: dict[str, object]
) -> None:
    async with operator.post("/api/v1/erase", json={"clinic": "acme", **whose}) as response:
        assert response.status == 400
        problem = await response.json(content_type="application/problem+json")
    assert problem["detail"].startswith("all: expected true to erase the whole clinic, or contact to erase one person")
    assert personal.asked == []


@pytest.mark.parametrize("whose", [(), ("--contact", ANA, "--all")])
async def test_the_command_line_has_all_of_a_clinic_erased_only_if_that_is_said(
    plantao: Plantao, personal: FakePersonal, whose: tuple[str, ...]
) -> None:
    refused = await plantao("erase", "--clinic", "acme", "--yes", *whose)
    assert refused.exit_code == 2
    assert "--all" in refused.stderr
    assert "--contact" in refused.stderr
    assert personal.asked == []


async def test_erasing_asks_for_the_clinics_name_or_yes(plantao: Plantao, personal: FakePersonal) -> None:
    refused = await plantao("erase", "--clinic", "acme", "--all")
    assert refused.exit_code == 2
    assert "--yes" in refused.stderr
    assert personal.asked == []


@pytest.mark.parametrize("path", ["/api/v1/erase", "/api/v1/export"])
@pytest.mark.parametrize(
    ("role", "clinics", "status"),
    [
        (Role.ADMIN, ["acme"], 202),
        (Role.ADMIN, ["bela"], 404),
        (Role.OPERATOR, ["acme"], 403),
        (Role.OPERATOR, None, 403),
    ],
)
async def test_a_clinics_own_administrator_may_and_nobody_elses(
    server: AdminServer,
    keys: ApiKeys,
    personal: FakePersonal,
    path: str,
    role: Role,
    clinics: list[str] | None,
    status: int,
) -> None:
    _, secret = await keys.make("test", role, clinics, made_by="test")
    async with (
        aiohttp.ClientSession(server.url, headers={"X-API-Key": secret}) as session,
        session.post(path, json={"clinic": "acme"} | ({"all": True} if "erase" in path else {})) as response,
    ):
        assert response.status == status
    assert len(personal.asked) == (status == 202)


async def test_consents_are_recorded_and_listed(operator: aiohttp.ClientSession, operations: FakeOperations) -> None:
    body = {"contact": f"+{ANA}", "status": "opted_out", "note": "by phone"}
    async with operator.post(CONSENTS, json=body) as response:
        assert response.status == 201
        entry = await response.json()
    assert (entry["status"], entry["source"], entry["note"]) == ("opted_out", "operator", "by phone")
    assert f"{ANA}@s.whatsapp.net" in entry["people"]
    async with operator.get(CONSENTS, params={"contact": ANA}) as response:
        assert (await response.json())["items"] == [entry]
    assert operations.asked[-1] == ("consents", "acme", "front", ANA, "None", "50")


@pytest.mark.parametrize(
    "body",
    [
        {"contact": "nobody", "status": "granted"},
        {"contact": "5511-1@g.us", "status": "granted"},
        {"contact": ANA, "status": "maybe"},
        {"contact": ANA},
        {"contact": ANA, "status": "granted", "note": "x" * 2001},
        {"contact": ANA, "status": "granted", "source": "gossip"},
    ],
)
async def test_a_consent_that_is_none_is_refused(operator: aiohttp.ClientSession, body: object) -> None:
    async with operator.post(CONSENTS, json=body) as response:
        assert response.status == 400
        assert ANA not in await response.text()


async def test_consents_by_the_command_line(plantao: Plantao) -> None:
    recorded = await plantao("consent", "record", "acme", "front", ANA, "withdrawn", "--note", "signed paper")
    assert recorded.exit_code == 0
    listed = await plantao("consent", "list", "acme", "front", "--json")
    [entry] = json.loads(listed.stdout)["items"]
    assert (entry["status"], entry["note"]) == ("withdrawn", "signed paper")
    assert "withdrawn" in (await plantao("consent", "list", "acme", "front")).stdout
