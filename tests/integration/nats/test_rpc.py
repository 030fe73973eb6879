"""Requests and replies over a real server, with operations that only remember what they were asked."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime
from typing import Any, cast

import msgpack
import pytest
import structlog
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.errors import Error as NatsError
from structlog.testing import capture_logs

from gateway.nats import rpc
from gateway.nats.broker import EmbeddedBroker
from gateway.nats.bus import NatsBus
from protocol import subjects
from protocol.access import RPC_PERMISSION, Permission
from protocol.channel import Breaker, ChannelSnapshot, ChannelState, PairingCode, QrCode, WantedState
from protocol.errors import BusUnavailableError, ConflictError, NotFoundError
from protocol.operations import Operations
from protocol.subjects import ClinicVerb, Priority, Verb
from protocol.views import ChannelStats, ClinicStats, CommandState, CommandView, NumberCheck, NumberChecks
from tests.fakes.memory_audit import MemoryAudit
from tests.integration.nats.conftest import SMALL, Connect, crash

pytestmark = pytest.mark.filterwarnings("default::DeprecationWarning:nats")

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)


class RememberingOperations:
    """Answers for the channel ``front`` of any clinic, and for those named by what they raise."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, ...]] = []
        self.named: list[str | None] = []
        self.blocked = asyncio.Event()

    async def _snapshot(self, verb: str, clinic: str, channel: str) -> ChannelSnapshot:
        self.asked.append((verb, clinic, channel))
        self.named.append(structlog.contextvars.get_contextvars().get("correlation_id"))
        match channel:
            case "slow":
                await self.blocked.wait()
            case "missing":
                raise NotFoundError("channel missing of clinic acme")
            case "away":
                raise BusUnavailableError("NATS is away")
            case "broken":
                raise ZeroDivisionError("a secret")
        return ChannelSnapshot(
            clinic=clinic,
            channel=channel,
            name="Front",
            wanted=WantedState.CONNECTED,
            state=ChannelState.CONNECTED,
            reason="",
            since=NOW,
            phone=None,
            jid=None,
            profile_name=None,
            attempt=0,
            next_retry_at=None,
            breaker=Breaker.CLOSED,
            sending_breaker=Breaker.CLOSED,
            queued=0,
            created_at=NOW,
            last_connected_at=None,
            last_activity_at=None,
            config={},
        )

    async def channel(self, clinic: str, channel: str) -> ChannelSnapshot:
        return await self._snapshot("status", clinic, channel)

    async def connect(self, clinic: str, channel: str) -> ChannelSnapshot:
        return await self._snapshot("connect", clinic, channel)

    async def disconnect(self, clinic: str, channel: str) -> ChannelSnapshot:
        return await self._snapshot("disconnect", clinic, channel)

    async def suspend(self, clinic: str, channel: str) -> ChannelSnapshot:
        return await self._snapshot("suspend", clinic, channel)

    async def resume(self, clinic: str, channel: str) -> ChannelSnapshot:
        return await self._snapshot("resume", clinic, channel)

    async def logout(self, clinic: str, channel: str) -> ChannelSnapshot:
        raise ConflictError("the channel is not paired")

    async def pair(self, clinic: str, channel: str, phone: str | None) -> PairingCode | QrCode:
        self.asked.append(("pair", clinic, channel, phone or ""))
        if phone is None:
            return QrCode(code="qr", expires_at=NOW)
        return PairingCode(code="ABCD-EFGH", phone=phone, expires_at=NOW)

    async def qr(self, clinic: str, channel: str) -> QrCode:
        return QrCode(code="qr", expires_at=NOW)

    async def channels(self, clinic: str | None = None) -> list[ChannelSnapshot]:
        assert clinic is not None
        return [await self._snapshot("channels", clinic, "front"), await self._snapshot("channels", clinic, "back")]

    async def stats(self, clinic: str) -> ClinicStats:
        self.asked.append(("stats", clinic))
        counted = ChannelStats(channel="front", commands={CommandState.SENT: 2}, spooled=1)
        return ClinicStats(clinic=clinic, channels=[counted], database_bytes=3, database_limit=4)

    async def check(self, clinic: str, channel: str, phones: Sequence[str]) -> NumberChecks:
        self.asked.append(("check", clinic, channel, *phones))
        return NumberChecks(items=[NumberCheck(phone=phone, on_whatsapp=False) for phone in phones])

    async def mark_read(self, clinic: str, channel: str, chat: str, wa_ids: Sequence[str], sender: str | None) -> None:
        self.asked.append(("mark_read", clinic, channel, chat, *wa_ids, sender or "-"))

    async def presence(self, clinic: str, channel: str, presence: str, chat: str | None) -> None:
        self.asked.append(("presence", clinic, channel, presence, chat or "-"))

    async def command(self, clinic: str, channel: str, id: str) -> CommandView:
        return self._view("command", clinic, channel, id)

    async def cancel(self, clinic: str, channel: str, id: str) -> CommandView:
        return self._view("cancel", clinic, channel, id)

    async def release(self, clinic: str, channel: str, id: str) -> CommandView:
        return self._view("release", clinic, channel, id)

    async def replay(self, clinic: str, channel: str, id: str) -> CommandView:
        return self._view("replay", clinic, channel, id)

    async def discard(self, clinic: str, channel: str, id: str) -> CommandView:
        return self._view("discard", clinic, channel, id)

    def _view(self, verb: str, clinic: str, channel: str, id: str) -> CommandView:
        self.asked.append((verb, clinic, channel, id))
        return CommandView(
            id=id,
            run=1,
            state=CommandState.HELD,
            priority=Priority.NORMAL,
            to="5511988887777",
            type="text",
            attempts=1,
            queued_at=NOW,
        )


@pytest.fixture
def operations() -> RememberingOperations:
    """Remembering nothing yet."""
    return RememberingOperations()


@pytest.fixture
def audit() -> MemoryAudit:
    return MemoryAudit()


@pytest.fixture
async def serving(
    broker: EmbeddedBroker, operations: RememberingOperations, audit: MemoryAudit
) -> AsyncIterator[NatsBus]:
    """A bus that answers for the clinics acme and other."""
    bus = NatsBus(broker, retention=SMALL)
    bus.serve(cast(Operations, operations), audit)
    await bus.start()
    for clinic in ("acme", "other"):
        await bus.open_clinic(clinic)
    yield bus
    await bus.stop(timeout=2)


async def ask(
    nc: Client, verb: str, body: bytes = b"", *, channel: str = "front", clinic: str = "acme", timeout: float = 5
) -> Msg:
    """The reply to a request."""
    return await nc.request(f"clinic.{clinic}.channel.{channel}.rpc.{verb}", body, timeout=timeout)


def refusal(reply: Msg) -> dict[str, Any]:
    """The error of a refused request, after a look at its headers."""
    error: dict[str, Any] = json.loads(reply.data)["error"]
    assert (reply.headers or {})["Nats-Service-Error"] == error["message"]
    return {"status": (reply.headers or {})["Nats-Service-Error-Code"], **error}


async def test_every_verb_is_answered_for_its_own_clinic(
    serving: NatsBus, operations: RememberingOperations, connect: Connect
) -> None:
    nc = await connect("clinic-other")
    verbs = (Verb.STATUS, Verb.CONNECT, Verb.DISCONNECT, Verb.SUSPEND, Verb.RESUME)
    for verb in verbs:
        reply = await ask(nc, verb, clinic="other")
        body = json.loads(reply.data)
        assert (body["v"], body["clinic"], body["channel"], body["state"]) == (1, "other", "front", "connected")
        assert body["since"] == "2026-11-20T12:00:00Z"
        assert (reply.headers or {})["Content-Type"] == "application/json"
    assert operations.asked == [(verb.value, "other", "front") for verb in verbs]
    assert json.loads((await ask(nc, Verb.QR, clinic="other")).data)["code"] == "qr"


async def test_what_is_asked_of_commands_and_of_whatsapp_reaches_operations(
    serving: NatsBus, operations: RememberingOperations, connect: Connect
) -> None:
    nc = await connect("clinic-acme")
    for verb in (Verb.COMMAND, Verb.CANCEL, Verb.RELEASE, Verb.REPLAY, Verb.DISCARD):
        view = json.loads((await ask(nc, verb, b'{"id": "a:1_x"}')).data)
        assert (view["v"], view["id"], view["state"], view["history"]) == (1, "a:1_x", "held", [])
    checked = json.loads((await ask(nc, Verb.CHECK, b'{"phones": ["5511988887777"]}')).data)
    assert checked["items"] == [{"phone": "5511988887777", "on_whatsapp": False, "jid": None}]
    read = {"chat": "120363@g.us", "ids": ["A", "B"], "from": "1@lid"}
    assert msgpack.unpackb((await ask(nc, Verb.MARK_READ, msgpack.packb(read))).data) == {"v": 1}
    await ask(nc, Verb.MARK_READ, b'{"chat": "5511988887777", "ids": ["A"]}')
    await ask(nc, Verb.PRESENCE, b'{"presence": "typing", "chat": "5511988887777"}')
    assert json.loads((await ask(nc, Verb.PRESENCE, b'{"presence": "available"}')).data) == {"v": 1}
    commands = [(verb, "acme", "front", "a:1_x") for verb in ("command", "cancel", "release", "replay", "discard")]
    assert operations.asked == [
        *commands,
        ("check", "acme", "front", "5511988887777"),
        ("mark_read", "acme", "front", "120363@g.us", "A", "B", "1@lid"),
        ("mark_read", "acme", "front", "5511988887777", "A", "-"),
        ("presence", "acme", "front", "typing", "5511988887777"),
        ("presence", "acme", "front", "available", "-"),
    ]


@pytest.mark.parametrize("account", ["clinic-acme", subjects.ACCOUNT_PLATFORM])
async def test_a_clinic_tells_of_itself_as_a_whole(serving: NatsBus, connect: Connect, account: str) -> None:
    nc = await connect(account)
    channels = json.loads((await nc.request("clinic.acme.rpc.channels", timeout=5)).data)
    assert [one["channel"] for one in channels["items"]] == ["front", "back"]
    stats = json.loads((await nc.request("clinic.acme.rpc.stats", timeout=5)).data)
    assert stats == {
        "v": 1,
        "clinic": "acme",
        "channels": [{"channel": "front", "commands": {"sent": 2}, "spooled": 1}],
        "database_bytes": 3,
        "database_limit": 4,
    }
    unknown = await nc.request("clinic.acme.rpc.status", timeout=5)
    assert refusal(unknown) == {
        "status": "400",
        "code": "invalid_request",
        "field": "verb",
        "message": "verb: expected one of channels, stats; got 'status'",
    }


async def test_pairing_takes_a_phone_in_either_encoding_and_replies_in_the_same(
    serving: NatsBus, operations: RememberingOperations, connect: Connect
) -> None:
    nc = await connect("clinic-acme")
    in_json = await ask(nc, Verb.PAIR, b'{"v": 1, "phone": "5511999990000"}')
    assert json.loads(in_json.data)["code"] == "ABCD-EFGH"
    in_msgpack = await ask(nc, Verb.PAIR, msgpack.packb({"phone": "5511999990000"}))
    assert msgpack.unpackb(in_msgpack.data)["code"] == "ABCD-EFGH"
    assert (in_msgpack.headers or {})["Content-Type"] == "application/msgpack"
    assert json.loads((await ask(nc, Verb.PAIR)).data) == {"v": 1, "code": "qr", "expires_at": "2026-11-20T12:00:00Z"}
    assert operations.asked[0] == ("pair", "acme", "front", "5511999990000")


async def test_bad_requests_name_what_is_wrong(serving: NatsBus, connect: Connect) -> None:
    nc = await connect("clinic-acme")
    wrong = [
        ("pair", b'{"phone": "12"}', "front", "phone"),
        ("pair", b'{"v": 2}', "front", "v"),
        ("status", b"{not json", "front", "body"),
        ("status", b"\xc1", "front", "body"),
        ("status", b"", "FRONT", "channel"),
        ("explode", b"", "front", "verb"),
        ("stats", b"", "front", "verb"),
        ("check", b"", "front", "phones"),
        ("check", b'{"phones": []}', "front", "phones"),
        ("check", json.dumps({"phones": ["5511988887777"] * 51}).encode(), "front", "phones"),
        ("check", b'{"phones": ["5511988887777", "x"]}', "front", "phones[1]"),
        ("mark_read", b'{"ids": ["A"]}', "front", "chat"),
        ("mark_read", b'{"chat": "1@lid", "ids": []}', "front", "ids"),
        ("mark_read", b'{"chat": "1@lid", "ids": [""]}', "front", "ids[0]"),
        ("mark_read", b'{"chat": "1@lid", "ids": ["A"], "from": 3}', "front", "from"),
        ("presence", b'{"presence": "asleep"}', "front", "presence"),
        ("cancel", b"{}", "front", "id"),
        ("replay", b'{"id": "a b"}', "front", "id"),
    ]
    for verb, body, channel, field in wrong:
        reply = await ask(nc, verb, body, channel=channel)
        if body == b"\xc1":
            assert msgpack.unpackb(reply.data)["error"]["field"] == field
            continue
        error = refusal(reply)
        assert (error["code"], error["status"], error["field"]) == ("invalid_request", "400", field)


async def test_what_operations_refuse_is_said_and_what_is_unknown_is_not(serving: NatsBus, connect: Connect) -> None:
    nc = await connect("clinic-acme")
    expected = [
        ("status", "missing", "not_found", "404"),
        ("connect", "away", "unavailable", "503"),
        ("logout", "front", "conflict", "409"),
        ("status", "broken", "internal", "500"),
    ]
    with capture_logs():
        for verb, channel, code, status in expected:
            reply = await ask(nc, verb, channel=channel)
            error = refusal(reply)
            assert (error["code"], error["status"]) == (code, status)
            assert b"a secret" not in reply.data


async def test_what_is_logged_of_a_request_bears_its_name(
    serving: NatsBus, operations: RememberingOperations, connect: Connect
) -> None:
    nc = await connect("clinic-acme")
    for headers in ({"plantao-correlation-id": "visit-7"}, {}, {"Plantao-Correlation-Id": "visit-8"}):
        await nc.request("clinic.acme.channel.front.rpc.status", b"", timeout=5, headers=headers)
    assert operations.named == ["visit-7", None, "visit-8"]


async def test_a_slow_request_holds_up_no_other_and_ends_in_a_timeout(
    serving: NatsBus, operations: RememberingOperations, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    nc = await connect("clinic-acme")
    slow = asyncio.create_task(ask(nc, Verb.STATUS, channel="slow", timeout=20))
    while not operations.asked:  # noqa: ASYNC110
        await asyncio.sleep(0.01)
    assert json.loads((await ask(nc, Verb.STATUS)).data)["state"] == "connected"
    assert not slow.done()
    operations.blocked.set()
    await slow
    operations.blocked.clear()
    monkeypatch.setattr(rpc, "TIMEOUT", 0.2)
    assert refusal(await ask(nc, Verb.STATUS, channel="slow"))["code"] == "timeout"


async def test_too_many_requests_at_once_are_refused_as_busy(
    serving: NatsBus, operations: RememberingOperations, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rpc, "MAX_CONCURRENT", 3)
    nc = await connect("clinic-acme")
    waiting = {asyncio.create_task(ask(nc, Verb.STATUS, channel="slow", timeout=20)) for _ in range(5)}
    while len(waiting) > 3:
        done, waiting = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        assert {refusal(task.result())["code"] for task in done} == {"busy"}
    operations.blocked.set()
    await asyncio.wait(waiting)
    assert all(json.loads(task.result().data)["state"] == "connected" for task in waiting)


async def test_platform_reaches_every_clinic_and_a_clinic_only_itself(serving: NatsBus, connect: Connect) -> None:
    platform = await connect(subjects.ACCOUNT_PLATFORM)
    for clinic in ("acme", "other"):
        assert json.loads((await ask(platform, Verb.STATUS, clinic=clinic)).data)["clinic"] == clinic
    with pytest.raises(TimeoutError):  # the server tells who asks that he may not, but not as an answer
        await ask(await connect("clinic-acme"), Verb.STATUS, clinic="other", timeout=0.5)


async def test_the_service_is_found_by_the_tools_of_nats(serving: NatsBus, connect: Connect) -> None:
    nc = await connect("clinic-acme")
    ping = json.loads((await nc.request("$SRV.PING", timeout=5)).data)
    assert (ping["name"], ping["type"]) == ("plantao", "io.nats.micro.v1.ping_response")
    info = json.loads((await nc.request("$SRV.INFO.plantao", timeout=5)).data)
    assert {endpoint["name"] for endpoint in info["endpoints"]} == {*Verb, *ClinicVerb}
    assert info["endpoints"][0]["subject"].startswith("clinic.acme.channel.*.rpc.")
    stats = json.loads((await nc.request("$SRV.STATS.plantao", timeout=5)).data)
    assert stats["endpoints"][0]["num_errors"] == 0


async def test_requests_are_answered_again_after_the_broker_was_killed(
    serving: NatsBus, broker: EmbeddedBroker, connect: Connect
) -> None:
    await crash(broker)
    await broker.start()
    nc = await connect("clinic-acme")
    async with asyncio.timeout(10):
        while not serving.clinic_connected("acme"):  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    assert json.loads((await ask(nc, Verb.STATUS)).data)["state"] == "connected"


@pytest.mark.parametrize("verb", Verb)
async def test_what_changes_something_is_in_the_audit_and_a_look_is_not(
    serving: NatsBus, connect: Connect, audit: MemoryAudit, verb: Verb
) -> None:
    client = await connect(subjects.account("acme"))
    bodies = {
        Verb.CHECK: {"phones": ["5511988887777"]},
        Verb.MARK_READ: {"chat": "5511988887777", "ids": ["A"]},
        Verb.PRESENCE: {"presence": "available"},
        Verb.COMMAND: {"id": "m-1"},
        Verb.CANCEL: {"id": "m-1"},
        Verb.RELEASE: {"id": "m-1"},
        Verb.REPLAY: {"id": "m-1"},
        Verb.DISCARD: {"id": "m-1"},
    }
    await ask(client, verb, json.dumps(bodies.get(verb, {})).encode())

    traffic = verb in (Verb.QR, Verb.MARK_READ, Verb.PRESENCE)
    changes = RPC_PERMISSION[verb] >= Permission.OPERATE and not traffic
    assert [(each.who, each.outcome, each.clinic, each.channel) for each in audit.kept] == [
        ("nats:clinic", outcome, "acme", "front")
        for outcome in ("asked", "refused" if verb is Verb.LOGOUT else "done")
        if changes
    ]


async def test_who_asked_is_told_by_the_account_and_how_it_ended_by_its_status(
    serving: NatsBus, connect: Connect, audit: MemoryAudit
) -> None:
    platform, clinic = await connect(subjects.ACCOUNT_PLATFORM), await connect(subjects.account("acme"))
    await ask(platform, Verb.CONNECT, channel="missing")
    await ask(clinic, Verb.CONNECT, channel="away")
    await ask(clinic, Verb.CHECK, b"{}")
    assert [(each.who, each.outcome, dict(each.detail)) for each in audit.kept] == [
        ("nats:platform", "asked", {}),
        ("nats:platform", "refused", {"status": "404"}),
        ("nats:clinic", "asked", {}),
        ("nats:clinic", "failed", {"status": "503"}),
        ("nats:clinic", "asked", {}),
        ("nats:clinic", "refused", {"status": "400"}),
    ]


async def test_a_clinic_cannot_pass_for_the_platform(serving: NatsBus, connect: Connect, audit: MemoryAudit) -> None:
    client = await connect(subjects.account("acme"))
    subject = "clinic.acme.channel.front.rpc.connect"
    with contextlib.suppress(NatsError):
        await client.publish(subject, b"", reply="_R_.forged")
        await client.flush()
    await ask(client, Verb.DISCONNECT)
    assert {each.who for each in audit.kept} == {"nats:clinic"}


async def test_a_clinic_cannot_fill_the_audit_of_all(
    serving: NatsBus, connect: Connect, audit: MemoryAudit, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rpc, "CHANGES_PER_MINUTE", 3)
    client, platform = await connect(subjects.account("acme")), await connect(subjects.ACCOUNT_PLATFORM)
    for _ in range(3):
        assert "error" not in json.loads((await ask(client, Verb.CONNECT)).data)
    assert refusal(await ask(client, Verb.CONNECT))["code"] == "busy"
    assert "error" not in json.loads((await ask(client, Verb.STATUS)).data)
    assert "error" not in json.loads((await ask(platform, Verb.CONNECT, clinic="other")).data)
    assert [each.clinic for each in audit.kept] == ["acme"] * 6 + ["other"] * 2


async def test_what_the_audit_cannot_keep_is_refused_and_looking_goes_on(
    serving: NatsBus, connect: Connect, audit: MemoryAudit, operations: RememberingOperations
) -> None:
    audit.full = True
    client = await connect(subjects.account("acme"))
    assert refusal(await ask(client, Verb.CONNECT))["code"] == "unavailable"
    assert operations.asked == []
    assert json.loads((await ask(client, Verb.STATUS)).data)["channel"] == "front"
