"""Commands, dead letters, settings of a channel and what it asks WhatsApp, over HTTP."""

import asyncio
from typing import Any

import aiohttp
import pytest
from yarl import URL

from gateway.http.server import AdminServer
from protocol.errors import ConflictError, StoreUnavailableError, UnavailableError
from protocol.events import ErrorBody, FailedAttempt
from protocol.views import CommandState
from tests.integration.http.conftest import LIMITS
from tests.integration.http.test_routes import API, COMMAND, FRONT, ask
from tests.unit.gateway.http.fake_commands import NOW, command_view
from tests.unit.gateway.http.fake_node import FakeOperations

S = CommandState
KEY = ("acme", "front")
NOBODY = f"{API}/clinics/acme/channels/nobody"
ERROR = ErrorBody(code="server_error", message="WhatsApp's server failed", permanent=False)


@pytest.fixture
def commands(operations: FakeOperations) -> FakeOperations:
    """One in each state, by its name."""
    operations.put(*KEY, *(command_view(state.value, state) for state in CommandState))
    return operations


def ids(answer: Any) -> list[str]:
    return [command["id"] for command in answer["items"]]


async def test_commands_are_listed_newest_first_page_by_page(
    operator: aiohttp.ClientSession, commands: FakeOperations
) -> None:
    status, first = await ask(operator, "GET", f"{FRONT}/messages?limit=5")
    rest = (await ask(operator, "GET", f"{FRONT}/messages?limit=5&cursor={first['next']}"))[1]

    assert status == 200
    assert ids(first) + ids(rest) == [state.value for state in CommandState][::-1]
    assert rest["next"] is None


@pytest.mark.parametrize("state", list(CommandState))
async def test_commands_of_each_state_can_be_had(
    operator: aiohttp.ClientSession, commands: FakeOperations, state: CommandState
) -> None:
    assert ids((await ask(operator, "GET", f"{FRONT}/messages?state={state}"))[1]) == [state.value]


async def test_a_page_has_50_commands_if_nothing_is_said(
    operator: aiohttp.ClientSession, commands: FakeOperations
) -> None:
    await ask(operator, "GET", f"{FRONT}/messages")

    assert commands.asked[-1] == ("commands", *KEY, "None", "None", "50")


async def test_one_command_is_shown_with_its_history(
    operator: aiohttp.ClientSession, operations: FakeOperations
) -> None:
    history = [FailedAttempt(run=1, number=1, at=NOW, error=ERROR)]
    operations.put(*KEY, command_view("r-1", S.WAITING, attempts=1, history=history, meta={"a": 1}))

    status, command = await ask(operator, "GET", f"{FRONT}/messages/r-1")

    assert status == 200
    assert command.keys() == {
        "id", "run", "state", "priority", "to", "type", "attempts", "queued_at", "not_before", "expires_at",
        "deliver_by", "sent_at", "delivered_at", "read_at", "wa_id", "error", "history", "meta",
    }  # fmt: skip
    assert command["history"][0]["error"]["code"] == "server_error"
    assert command["meta"] == {"a": 1}


async def test_a_command_can_be_waited_for(operator: aiohttp.ClientSession, commands: FakeOperations) -> None:
    commands.ends["waiting"] = S.SENT

    assert (await ask(operator, "GET", f"{FRONT}/messages/waiting?wait=2.5"))[1]["state"] == "sent"
    assert commands.asked[-1] == ("command", *KEY, "waiting", "2.5")


async def test_waiting_may_take_longer_than_other_requests(
    operator: aiohttp.ClientSession, commands: FakeOperations, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tests.unit.gateway.http.fake_commands.LONGEST_S", LIMITS.request_s + 0.5)

    assert (await ask(operator, "GET", f"{FRONT}/messages/waiting?wait=30"))[0] == 200


async def test_who_waits_does_not_hold_up_the_end_of_the_node(
    server: AdminServer, operator: aiohttp.ClientSession, commands: FakeOperations, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tests.unit.gateway.http.fake_commands.LONGEST_S", 60.0)
    waiting = asyncio.create_task(ask(operator, "GET", f"{FRONT}/messages/waiting?wait=30"))
    await commands.waited.wait()

    async with asyncio.timeout(5.0):
        await server.stop(timeout=60.0)

    status, command = await waiting
    assert (status, command["state"]) == (200, "waiting")


@pytest.mark.parametrize(
    ("verb", "id", "state"),
    [
        ("messages/waiting/cancel", "waiting", "failed"),
        ("messages/scheduled/cancel", "scheduled", "failed"),
        ("messages/held/release", "held", "waiting"),
        ("dead/failed/replay", "failed", "waiting"),
    ],
)
async def test_what_a_person_decides_is_answered_with_the_command(
    operator: aiohttp.ClientSession, commands: FakeOperations, verb: str, id: str, state: str
) -> None:
    status, command = await ask(operator, "POST", f"{FRONT}/{verb}")

    assert (status, command["id"], command["state"]) == (200, id, state)


async def test_dead_letters_are_those_that_failed_until_they_are_put_away(
    operator: aiohttp.ClientSession, commands: FakeOperations
) -> None:
    assert ids((await ask(operator, "GET", f"{FRONT}/dead"))[1]) == ["failed"]
    assert await ask(operator, "DELETE", f"{FRONT}/dead/failed") == (204, None)
    assert ids((await ask(operator, "GET", f"{FRONT}/dead"))[1]) == []
    assert commands.held[KEY]["failed"].state is S.DISCARDED


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "messages/sent/cancel"),
        ("POST", "messages/waiting/release"),
        ("POST", "dead/waiting/replay"),
        ("DELETE", "dead/sent"),
    ],
)
async def test_what_is_not_possible_now_is_a_conflict(
    operator: aiohttp.ClientSession, commands: FakeOperations, method: str, path: str
) -> None:
    status, problem = await ask(operator, method, f"{FRONT}/{path}")

    assert (status, problem["type"]) == (409, "urn:plantao:problem:conflict")


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "messages/x"),
        ("GET", "messages/x?wait=0.01"),
        ("POST", "messages/x/cancel"),
        ("POST", "messages/x/release"),
        ("POST", "dead/x/replay"),
        ("DELETE", "dead/x"),
    ],
)
async def test_a_command_that_is_not_there_is_not_found(
    operator: aiohttp.ClientSession, commands: FakeOperations, method: str, path: str
) -> None:
    assert (await ask(operator, method, f"{FRONT}/{path}"))[0] == 404


@pytest.mark.parametrize(
    ("method", "path", "options", "field"),
    [
        ("GET", "messages?state=sleepy", {}, "state"),
        ("GET", "messages?limit=0", {}, "limit"),
        ("GET", "messages?limit=201", {}, "limit"),
        ("GET", "messages?limit=1.5", {}, "limit"),
        ("GET", "messages?limit=-1", {}, "limit"),
        ("GET", "messages?limit=%D9%A1", {}, "limit"),
        ("GET", "messages?cursor=x", {}, "cursor"),
        ("GET", "dead?limit=many", {}, "limit"),
        ("GET", "messages/no%20id", {}, "id"),
        ("GET", "messages/a%0A", {}, "id"),
        ("GET", "messages/a.b", {}, "id"),
        ("GET", f"messages/{'x' * 129}", {}, "id"),
        ("GET", "messages/r-1?wait=31", {}, "wait"),
        ("GET", "messages/r-1?wait=soon", {}, "wait"),
        ("GET", "messages/r-1?wait=nan", {}, "wait"),
        ("GET", "messages/r-1?wait=1e1", {}, "wait"),
        ("POST", "messages/no%20id/cancel", {}, "id"),
        ("POST", "dead/no%20id/replay", {}, "id"),
        ("DELETE", "dead/no%20id", {}, "id"),
        ("POST", "check", {}, "body"),
        ("POST", "check", {"json": {}}, "phones"),
        ("POST", "check", {"json": {"phones": []}}, "phones"),
        ("POST", "check", {"json": {"phones": ["5511912345678"] * 51}}, "phones"),
        ("POST", "check", {"json": {"phones": [5511912345678]}}, "phones[0]"),
        ("POST", "mark_read", {"json": {"wa_ids": ["A"]}}, "chat"),
        ("POST", "mark_read", {"json": {"chat": "5511912345678"}}, "wa_ids"),
        ("POST", "mark_read", {"json": {"chat": "5511912345678", "wa_ids": []}}, "wa_ids"),
        ("POST", "presence", {"json": {"presence": "asleep"}}, "presence"),
        ("POST", "presence", {"json": {}}, "presence"),
        ("PATCH", "", {}, "body"),
        ("PATCH", "", {"json": {}}, "body"),
        ("PATCH", "", {"json": {"nmae": "x"}}, "body"),
        ("PATCH", "", {"json": {"config": []}}, "config"),
        ("PATCH", "", {"json": {"config": {"pase": 1}}}, "config.pase"),
        ("PATCH", "", {"json": {"name": ""}}, "name"),
    ],
)
async def test_bad_input_names_the_field_and_changes_nothing(
    operator: aiohttp.ClientSession,
    commands: FakeOperations,
    method: str,
    path: str,
    options: dict[str, Any],
    field: str,
) -> None:
    before = dict(commands.held[KEY])
    where = f"{FRONT}/{path}".rstrip("/")
    async with operator.request(method, URL(where, encoded=True), **options) as response:
        problem = await response.json(content_type="application/problem+json")

    assert (response.status, problem["field"]) == (400, field)
    assert commands.held[KEY] == before
    assert commands.found[KEY].config == {}


@pytest.mark.parametrize(
    ("method", "path", "options"),
    [
        ("GET", "messages", {}),
        ("GET", "messages/x", {}),
        ("POST", "messages/x/cancel", {}),
        ("POST", "messages/x/release", {}),
        ("GET", "dead", {}),
        ("POST", "dead/x/replay", {}),
        ("DELETE", "dead/x", {}),
        ("PATCH", "", {"json": {"name": "x"}}),
        ("POST", "check", {"json": {"phones": ["5511912345678"]}}),
        ("POST", "mark_read", {"json": {"chat": "5511912345678", "wa_ids": ["A"]}}),
        ("POST", "presence", {"json": {"presence": "available"}}),
    ],
)
async def test_nothing_is_found_of_a_channel_that_is_not_there_nor_shown_without_a_key(
    operator: aiohttp.ClientSession, stranger: aiohttp.ClientSession, method: str, path: str, options: dict[str, Any]
) -> None:
    where = f"{NOBODY}/{path}".rstrip("/")
    assert (await ask(operator, method, where, **options))[0] == 404
    assert (await ask(stranger, method, where, **options))[0] == 401


# -- settings and WhatsApp --


async def test_a_channel_is_given_settings_and_a_name(
    operator: aiohttp.ClientSession, operations: FakeOperations
) -> None:
    config = {"pacing": {"per_minute": 10}}
    status, channel = await ask(operator, "PATCH", FRONT, json={"config": config, "name": "Recepção"})
    assert (status, channel["config"], channel["name"]) == (200, config, "Recepção")

    renamed = (await ask(operator, "PATCH", FRONT, json={"name": "Balcão"}))[1]
    assert (renamed["config"], renamed["name"]) == (config, "Balcão")


async def test_numbers_are_looked_up(operator: aiohttp.ClientSession, operations: FakeOperations) -> None:
    operations.on_whatsapp.add("5511912345678")

    status, found = await ask(operator, "POST", f"{FRONT}/check", json={"phones": ["5511912345678", "5511911111111"]})

    assert status == 200
    assert found["items"] == [
        {"phone": "5511912345678", "on_whatsapp": True, "jid": "5511912345678@s.whatsapp.net"},
        {"phone": "5511911111111", "on_whatsapp": False, "jid": None},
    ]


async def test_messages_are_marked_as_read_and_presence_is_shown(
    operator: aiohttp.ClientSession, operations: FakeOperations
) -> None:
    mark = {"chat": "5511912345678", "wa_ids": ["A", "B"]}
    shown = {"presence": "typing", "chat": "5511912345678"}

    assert await ask(operator, "POST", f"{FRONT}/mark_read", json=mark) == (204, None)
    assert await ask(operator, "POST", f"{FRONT}/presence", json=shown) == (204, None)

    assert operations.marked == [("5511912345678", ["A", "B"], None)]
    assert operations.shown == [("typing", "5511912345678")]


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (ConflictError("channel acme/front is not connected"), 409),
        (UnavailableError("no answer"), 503),
        (StoreUnavailableError("the database is locked"), 503),
    ],
)
async def test_what_the_node_cannot_do_now_is_said(
    operator: aiohttp.ClientSession, operations: FakeOperations, error: Exception, status: int
) -> None:
    operations.failing |= {"check": error, "commands": error}

    body = {"phones": ["5511912345678"]}
    assert (await ask(operator, "POST", f"{FRONT}/check", json=body))[0] == status
    assert (await ask(operator, "GET", f"{FRONT}/messages"))[0] == status


async def test_a_clinic_is_counted(operator: aiohttp.ClientSession, operations: FakeOperations) -> None:
    await ask(operator, "POST", f"{FRONT}/send", json=COMMAND)

    status, stats = await ask(operator, "GET", f"{API}/clinics/acme/stats")

    assert status == 200
    assert (stats["clinic"], stats["database_bytes"]) == ("acme", 4096)
    (channel,) = stats["channels"]
    assert (channel["channel"], channel["commands"]["waiting"], channel["spooled"]) == ("front", 1, 3)
    assert (await ask(operator, "GET", f"{API}/clinics/nobody/stats"))[0] == 404
