import json
from typing import Any

import aiohttp
import pytest
from prometheus_client.parser import text_string_to_metric_families

from protocol.channel import ChannelSnapshot, ChannelState
from protocol.codec import Encoding, encode
from protocol.errors import BusUnavailableError, ConflictError
from protocol.subjects import Priority
from tests.unit.gateway.http.fake_node import FakeHealth, FakeOperations

API = "/api/v1"
FRONT = f"{API}/clinics/acme/channels/front"
COMMAND = {"v": 1, "id": "r-1", "to": "5511912345678", "type": "text", "text": "Olá"}


async def ask(client: aiohttp.ClientSession, method: str, path: str, **options: Any) -> tuple[int, Any]:
    async with client.request(method, path, **options) as response:
        text = await response.text()
        return response.status, json.loads(text) if text else None


async def test_clinics_are_added_listed_looked_at_and_removed(operator: aiohttp.ClientSession) -> None:
    async with operator.post(f"{API}/clinics", json={"id": "nova", "name": "Clínica Nova"}) as response:
        assert response.status == 201
        assert response.headers["Location"] == f"{API}/clinics/nova"
        added = await response.json()
    assert (added["id"], added["name"], added["state"]) == ("nova", "Clínica Nova", "running")

    status, listed = await ask(operator, "GET", f"{API}/clinics")
    assert status == 200
    assert [clinic["id"] for clinic in listed["items"]] == ["acme", "bela", "nova"]
    assert listed["next"] is None

    assert (await ask(operator, "GET", f"{API}/clinics/nova"))[1] == added
    assert await ask(operator, "DELETE", f"{API}/clinics/nova") == (204, None)
    assert (await ask(operator, "GET", f"{API}/clinics/nova"))[0] == 404


@pytest.mark.parametrize(
    ("path", "found"),
    [
        (f"{API}/clinics", ["acme", "bela"]),
        (f"{API}/clinics?state=quarantined", ["bela"]),
        (f"{API}/clinics?state=suspended", []),
        (f"{API}/channels", ["back", "front", "front"]),
        (f"{API}/clinics/acme/channels", ["back", "front"]),
        (f"{API}/clinics/acme/channels?state=connected", ["front"]),
    ],
)
async def test_long_lists_come_in_pages(
    operator: aiohttp.ClientSession, operations: FakeOperations, path: str, found: list[str]
) -> None:
    operations.quarantined["bela"] = "it crashed"
    seen, more = list[str](), {"limit": "1"}
    while more:
        _, listed = await ask(operator, "GET", path, params=more)
        seen += [one.get("channel") or one["id"] for one in listed["items"]]
        assert len(listed["items"]) <= 1
        more = {"limit": "1", "cursor": listed["next"]} if listed["next"] else {}
    assert seen == found


async def test_a_clinic_is_changed(operator: aiohttp.ClientSession, operations: FakeOperations) -> None:
    where = f"{API}/clinics/acme"
    status, changed = await ask(operator, "PATCH", where, json={"name": "Acme", "timezone": "America/Manaus"})
    assert (status, changed["name"]) == (200, "Acme")
    assert operations.asked[-1] == ("configure_clinic", "acme", "Acme", "America/Manaus")
    for body, field in (({}, "body"), ({"name": ""}, "name"), ({"state": "running"}, "body")):
        status, problem = await ask(operator, "PATCH", where, json=body)
        assert (status, problem["field"]) == (400, field)
    assert (await ask(operator, "PATCH", f"{API}/clinics/nobody", json={"name": "x"}))[0] == 404


async def test_what_is_added_again_is_answered_the_same(operator: aiohttp.ClientSession) -> None:
    for path, body in ((f"{API}/clinics", {"id": "nova", "name": "N"}), (f"{API}/clinics/acme/channels", {"id": "n"})):
        first, again = [await ask(operator, "POST", path, json=body) for _ in range(2)]
        assert first == again
        assert first[0] == 201
        assert (await ask(operator, "POST", path, json={**body, "name": "another"}))[0] == 409


async def test_channels_are_added_listed_looked_at_and_removed(operator: aiohttp.ClientSession) -> None:
    async with operator.post(f"{API}/clinics/bela/channels", json={"id": "desk", "name": "Recepção"}) as response:
        assert response.status == 201
        assert response.headers["Location"] == f"{API}/clinics/bela/channels/desk"
        added = await response.json()
    assert set(added) == set(ChannelSnapshot.__struct_fields__)

    listed = (await ask(operator, "GET", f"{API}/clinics/bela/channels"))[1]
    assert [channel["channel"] for channel in listed["items"]] == ["desk", "front"]
    assert (await ask(operator, "GET", f"{API}/clinics/bela/channels/desk"))[1] == added
    assert await ask(operator, "DELETE", f"{API}/clinics/bela/channels/desk") == (204, None)
    assert (await ask(operator, "GET", f"{API}/clinics/bela/channels/desk"))[0] == 404


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("", ["acme/back", "acme/front", "bela/front"]),
        ("?clinic=acme", ["acme/back", "acme/front"]),
        ("?state=connected", ["acme/front", "bela/front"]),
        ("?clinic=acme&state=qr_required", ["acme/back"]),
        ("?state=error", []),
    ],
)
async def test_channels_of_all_clinics_can_be_filtered(
    operator: aiohttp.ClientSession, query: str, found: list[str]
) -> None:
    listed = (await ask(operator, "GET", f"{API}/channels{query}"))[1]

    assert [f"{channel['clinic']}/{channel['channel']}" for channel in listed["items"]] == found


@pytest.mark.parametrize(
    ("verb", "state"),
    [
        ("connect", "initializing"),
        ("disconnect", "disconnected"),
        ("suspend", "suspended"),
        ("resume", "initializing"),
        ("logout", "logged_out"),
    ],
)
async def test_a_verb_answers_with_the_channel(operator: aiohttp.ClientSession, verb: str, state: str) -> None:
    status, channel = await ask(operator, "POST", f"{FRONT}/{verb}")

    assert (status, channel["state"]) == (200, state)


async def test_pairing_without_a_phone_gives_a_qr_code(operator: aiohttp.ClientSession) -> None:
    status, code = await ask(operator, "POST", f"{FRONT}/pair")

    assert status == 200
    assert code.keys() == {"code", "expires_at"}
    assert (await ask(operator, "GET", f"{FRONT}/qr"))[1] == code


async def test_pairing_with_a_phone_gives_a_code_to_type(
    operator: aiohttp.ClientSession, operations: FakeOperations
) -> None:
    status, code = await ask(operator, "POST", f"{FRONT}/pair", json={"phone": "+5511912345678"})

    assert (status, code["code"], code["phone"]) == (200, "ABCD-1234", "5511912345678")
    assert operations.asked[-1] == ("pair", "acme", "front", "5511912345678")


async def test_the_qr_code_is_a_picture_as_well(operator: aiohttp.ClientSession) -> None:
    await ask(operator, "POST", f"{FRONT}/pair")

    async with operator.get(f"{FRONT}/qr.png") as response:
        assert response.content_type == "image/png"
        assert response.headers["Cache-Control"] == "no-store"
        assert (await response.read()).startswith(b"\x89PNG")


@pytest.mark.parametrize("path", ["qr", "qr.png"])
async def test_without_a_qr_code_there_is_a_404_problem(operator: aiohttp.ClientSession, path: str) -> None:
    status, problem = await ask(operator, "GET", f"{FRONT}/{path}")

    assert (status, problem["type"]) == (404, "urn:plantao:problem:not-found")


@pytest.mark.parametrize(
    ("query", "priority"), [("", Priority.NORMAL), ("?priority=high", Priority.HIGH), ("?priority=bulk", Priority.BULK)]
)
async def test_a_send_command_is_queued_with_its_priority(
    operator: aiohttp.ClientSession, operations: FakeOperations, query: str, priority: Priority
) -> None:
    answer = await ask(operator, "POST", f"{FRONT}/send{query}", json=COMMAND)

    assert answer == (202, {"id": "r-1", "queued": True})
    assert operations.sent[0][:3] == ("acme", "front", priority)
    assert json.loads(operations.sent[0][3]) == COMMAND


async def test_a_send_command_in_msgpack_is_passed_on_as_it_is(
    operator: aiohttp.ClientSession, operations: FakeOperations
) -> None:
    body = encode(COMMAND, Encoding.MSGPACK)

    answer = await ask(operator, "POST", f"{FRONT}/send", data=body, headers={"Content-Type": "application/msgpack"})

    assert answer[0] == 202
    assert operations.sent[0][3] == body


async def test_an_id_sent_again_is_answered_the_same(operator: aiohttp.ClientSession) -> None:
    assert await ask(operator, "POST", f"{FRONT}/send", json=COMMAND) == await ask(
        operator, "POST", f"{FRONT}/send", json=COMMAND
    )


async def test_liveness_depends_on_nothing(
    stranger: aiohttp.ClientSession, operations: FakeOperations, health: FakeHealth
) -> None:
    operations.hanging.update({"clinics", "channels"})
    health.hanging = True

    assert await ask(stranger, "GET", "/health") == (200, {"status": "ok"})


async def test_readiness_counts_channels_and_names_clinics_with_a_key_only(
    operator: aiohttp.ClientSession, stranger: aiohttp.ClientSession
) -> None:
    status, told = await ask(stranger, "GET", "/ready")
    named = (await ask(operator, "GET", "/ready"))[1]

    assert status == 200
    assert told["ready"] is True
    assert told["version"] == "1.2.3"
    assert (told["channels"]["connected"], told["channels"]["error"], told["queued"]) == (2, 0, 2)
    assert {"store", "bus", "broker", "nursery", "disk", "memory", "uptime_s"} <= told.keys()
    assert "acme" not in str(told)
    assert [clinic["clinic"] for clinic in named["clinics"]] == ["acme", "bela"]


async def test_a_broken_part_makes_the_node_unready_and_its_reason_is_for_those_with_a_key(
    operator: aiohttp.ClientSession, stranger: aiohttp.ClientSession, health: FakeHealth
) -> None:
    health.broken["store"] = "clinics/acme/clinic.db is locked"

    status, told = await ask(stranger, "GET", "/ready")
    named = (await ask(operator, "GET", "/ready"))[1]

    assert (status, told["ready"], told["store"]) == (503, False, {"ok": False, "reason": ""})
    assert named["store"]["reason"] == "clinics/acme/clinic.db is locked"


async def test_a_node_that_drains_is_unready_says_so_and_takes_nothing_on(
    operator: aiohttp.ClientSession, stranger: aiohttp.ClientSession, health: FakeHealth, operations: FakeOperations
) -> None:
    health.draining = True

    status, told = await ask(stranger, "GET", "/ready")
    async with operator.post(f"{FRONT}/send", json=COMMAND) as refused:
        problem = await refused.json()

    assert (status, told["ready"], told["draining"]) == (503, False, True)
    assert (refused.status, problem["type"], int(refused.headers["Retry-After"]) > 0) == (
        503,
        "urn:plantao:problem:unavailable",
        True,
    )
    assert operations.sent == []
    assert (await ask(operator, "GET", f"{API}/clinics"))[0] == 200


@pytest.mark.parametrize("hanging", ["clinics", "channels"])
async def test_a_node_that_does_not_answer_is_unready_in_time(
    stranger: aiohttp.ClientSession, operations: FakeOperations, hanging: str
) -> None:
    operations.hanging.add(hanging)

    status, told = await ask(stranger, "GET", "/ready")

    assert (status, told["ready"]) == (503, False)


async def test_metrics_are_prometheus_text(operator: aiohttp.ClientSession) -> None:
    async with operator.get("/metrics") as response:
        assert response.headers["Content-Type"].startswith("text/plain; version=0.0.4")
        names = {family.name for family in text_string_to_metric_families(await response.text())}

    assert {"plantao_build_info", "plantao_channels", "plantao_channel_state", "plantao_queued_commands"} <= names


async def test_metrics_are_there_when_the_node_does_not_answer(
    operator: aiohttp.ClientSession, operations: FakeOperations
) -> None:
    operations.failing["channels"] = BusUnavailableError("NATS is away")
    operations.hanging.add("clinics")

    async with operator.get("/metrics") as response:
        text = await response.text()

    assert response.status == 200
    assert "plantao_scrape_success 0.0" in text


@pytest.mark.parametrize(
    ("error", "status", "slug"),
    [
        (BusUnavailableError("NATS is away"), 503, "bus-unavailable"),
        (ConflictError("it is not paired"), 409, "conflict"),
        (RuntimeError("a bug"), 500, "internal"),
    ],
)
async def test_what_the_node_refuses_is_a_problem(
    operator: aiohttp.ClientSession, operations: FakeOperations, error: Exception, status: int, slug: str
) -> None:
    operations.failing["logout"] = error

    answered, problem = await ask(operator, "POST", f"{FRONT}/logout")

    assert (answered, problem["type"]) == (status, f"urn:plantao:problem:{slug}")


@pytest.mark.parametrize("state", list(ChannelState))
async def test_every_state_can_be_filtered_for(operator: aiohttp.ClientSession, state: ChannelState) -> None:
    assert (await ask(operator, "GET", f"{API}/channels?state={state}"))[0] == 200
