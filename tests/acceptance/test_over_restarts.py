"""What a command waits for goes on over SIGKILL of the main process; what may have been sent is held for a person."""

import asyncio
import json
import os
import signal
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.acceptance.node import Listener, Node
from tests.acceptance.phones import Phones
from tests.emulator.client import EmulatorProcess

PHONE = "5511999990001"
ANA, BIA, CAU = PEOPLE = ("5511988880001", "5511988880002", "5511988880003")
NOBODY = "5511900000000"
FRONT = ("acme", "reception")
MESSAGES = "/api/v1/clinics/acme/channels/reception/messages"


@pytest.fixture
def tables() -> dict[str, Any]:
    """No long wait for receipts of what may have been sent."""
    return {"uncertain": {"wait": 0.5}}


@pytest.fixture
async def paired(phones: Phones) -> None:
    """``acme/reception``, connected."""
    await phones.pair("acme", ("reception", PHONE))


def text(id: str, to: str = ANA, **fields: Any) -> dict[str, Any]:
    """A command that says its id."""
    return {"v": 1, "id": id, "to": to, "type": "text", "text": id, **fields}


def within(seconds: float) -> str:
    """A time so far from now."""
    return (datetime.now(UTC) + timedelta(seconds=seconds)).isoformat()


async def killed(node: Node, service: Listener) -> None:
    """SIGKILL of the main process."""
    await service.stop()
    await node.close_http()
    await asyncio.to_thread(node.kill)


async def in_state(node: Node, id: str, state: str) -> dict[str, Any]:
    """The command, once it is in ``state``."""
    found: dict[str, Any] = await node.once(
        f"{MESSAGES}?limit=100", lambda page: any((one["id"], one["state"]) == (id, state) for one in page["items"])
    )
    return next(one for one in found["items"] if one["id"] == id)


async def got(emulator: EmulatorProcess, contact: str) -> list[str]:
    """What a contact has."""
    return [item.text for item in await emulator.inbox(contact)]


@pytest.mark.usefixtures("paired")
async def test_a_schedule_outlives_the_main_process(node: Node, service: Listener, emulator: EmulatorProcess) -> None:
    missed = datetime.now(UTC) + timedelta(seconds=6)
    await service.send(*FRONT, text("missed", ANA, not_before=missed.isoformat()))
    await service.send(*FRONT, text("kept", BIA, not_before=within(15)))
    for id_ in ("missed", "kept"):
        await in_state(node, id_, "scheduled")
    await killed(node, service)
    assert await got(emulator, ANA) == []
    await asyncio.sleep((missed - datetime.now(UTC)).total_seconds())
    async with node, await node.listen() as again:
        due = {id_: await again.until("result", id=id_) for id_ in ("missed", "kept")}
        assert [(one["status"], one["run"], one["attempts"]) for one in due.values()] == [("sent", 1, 1)] * 2
        kept = await in_state(node, "kept", "sent")
        assert kept["sent_at"] >= kept["not_before"][:19]
        await again.send(*FRONT, text("after"))
        await again.until("result", id="after")
        assert sorted(event["id"] for event in again.seen("result")) == ["after", "kept", "missed"]
    assert (await got(emulator, ANA), await got(emulator, BIA)) == (["missed", "after"], ["kept"])


@pytest.mark.usefixtures("paired")
async def test_what_is_not_delivered_in_time_is_late_also_when_nobody_was_there_at_the_time(
    node: Node, service: Listener, emulator: EmulatorProcess
) -> None:
    await emulator.auto(BIA, delivered=False)
    await service.send(*FRONT, text("in-time", ANA, deliver_by=within(8)))
    await service.send(*FRONT, text("undelivered", BIA, deliver_by=within(8)))
    for id_ in ("in-time", "undelivered"):
        await service.until("result", id=id_, status="sent")
    await service.until("receipt", id="in-time")
    await killed(node, service)
    async with node, await node.listen() as again:
        late = await again.until("result", status="late")
        assert (late["id"], late["run"], late["to"]) == ("undelivered", 1, BIA)
        await again.send(*FRONT, text("after"))
        await again.until("result", id="after")
        told = sorted((event["id"], event["status"]) for event in again.seen("result"))
        assert told == [("after", "sent"), ("in-time", "sent"), ("undelivered", "late"), ("undelivered", "sent")]


@pytest.mark.usefixtures("paired")
async def test_what_waits_for_too_long_expires_and_is_not_sent(
    node: Node, service: Listener, emulator: EmulatorProcess
) -> None:
    await node.act(*FRONT, "suspend")
    await service.until("state", state="suspended")
    await service.send(*FRONT, text("stale", expires_at=within(2)))
    await service.send(*FRONT, text("fresh", expires_at=within(600)))
    stale = await service.until("result", id="stale")
    assert (stale["status"], stale["attempts"], stale["error"]["code"]) == ("expired", 0, "expired")
    await node.act(*FRONT, "resume")
    await service.until("result", id="fresh", status="sent")
    assert await got(emulator, ANA) == ["fresh"]


async def held(node: Node, service: Listener, emulator: EmulatorProcess) -> None:
    """A command to each of the people, named after them: sent, not acknowledged, its port killed."""
    for person in PEOPLE:
        await emulator.auto(person, delivered=False)
    for person in PEOPLE:  # one after the other: whatsmeow waits for the acknowledgement of one before it sends another
        await emulator.fault("no_ack", phone=PHONE, count=1)
        await service.send(*FRONT, text(person, person, on_uncertain="hold"))
        await emulator.wait_for_message(person)
        os.kill(node.port_pid(*FRONT), signal.SIGKILL)
        await emulator.clear()
        result = await service.until("result", id=person)
        assert (result["status"], result["error"]["code"]) == ("held", "outcome_unknown")


@pytest.mark.usefixtures("paired")
async def test_what_is_held_is_released_by_rpc_http_and_the_command_line(
    node: Node, service: Listener, emulator: EmulatorProcess
) -> None:
    await held(node, service, emulator)
    assert (await service.rpc(*FRONT, "release", json.dumps({"id": ANA}).encode()))["run"] == 2
    assert (await node.request("POST", f"{MESSAGES}/{BIA}/release"))["run"] == 2
    await node.cli("message", "release", *FRONT, CAU)
    for person in PEOPLE:
        result = await service.until("result", id=person, run=2)
        assert (result["status"], result["attempts"]) == ("sent", 1)
        assert await got(emulator, person) == [person, person]
    refused = await service.rpc(*FRONT, "release", json.dumps({"id": ANA}).encode())
    assert refused["error"]["code"] == "conflict"


@pytest.mark.usefixtures("paired")
async def test_what_is_held_stays_so_over_a_kill_and_can_be_put_away(
    node: Node, service: Listener, emulator: EmulatorProcess
) -> None:
    await held(node, service, emulator)
    await killed(node, service)
    async with node, await node.listen() as again:
        for person in PEOPLE:
            await again.until("result", id=person, status="held")
        await again.until("state", state="connected", count=len(PEOPLE) + 2)
        assert (await again.rpc(*FRONT, "discard", json.dumps({"id": ANA}).encode()))["state"] == "discarded"
        await node.request("DELETE", f"/api/v1/clinics/acme/channels/reception/dead/{BIA}")
        await node.cli("dead", "discard", *FRONT, CAU, "--yes")
        await again.send(*FRONT, text("after"))
        await again.until("result", id="after")
        assert len(again.seen("result")) == len(PEOPLE) + 1
        assert [await got(emulator, person) for person in PEOPLE] == [[ANA, "after"], [BIA], [CAU]]


@pytest.mark.usefixtures("paired")
@pytest.mark.parametrize("by", ["rpc", "http"])
async def test_services_cancel_schedules_and_replay_dead_letters(
    node: Node, service: Listener, emulator: EmulatorProcess, by: str
) -> None:
    async def ask(verb: str, id: str) -> Any:
        if by == "rpc":
            return await service.rpc(*FRONT, verb, json.dumps({"id": id}).encode())
        place = "dead" if verb == "replay" else "messages"
        return await node.request("POST", f"/api/v1/clinics/acme/channels/reception/{place}/{id}/{verb}")

    await emulator.exists(NOBODY, False)
    await service.send(*FRONT, text("later", not_before=within(3600)))
    await service.send(*FRONT, text("dead", NOBODY))
    await in_state(node, "later", "scheduled")
    await service.until("result", id="dead", status="failed")
    await service.until("dead", id="dead")

    assert (await ask("cancel", "later"))["id"] == "later"
    cancelled = await service.until("result", id="later")
    assert (cancelled["status"], cancelled["error"]["code"]) == ("failed", "cancelled")
    await emulator.exists(NOBODY, True)
    assert (await ask("replay", "dead"))["run"] == 2
    assert (await service.until("result", id="dead", run=2))["status"] == "sent"
    assert (await got(emulator, NOBODY), await got(emulator, ANA)) == (["dead"], [])
