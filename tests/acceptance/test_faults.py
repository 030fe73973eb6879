"""Each fault ends in the right state, and back; and nobody else notices."""

import asyncio
import os
import signal
from collections.abc import Callable

import pytest

from tests.acceptance.node import END_TIMEOUT, Listener, Node, NodeError, settings
from tests.acceptance.phones import Phones
from tests.emulator.client import EmulatorProcess

PHONE, OTHER_PHONE = "5511900000001", "5511900000002"
ANA, BIA = "5511888000001", "5511888000002"


@pytest.fixture
async def paired(phones: Phones) -> None:
    """``acme/reception``, connected."""
    await phones.pair("acme", ("reception", PHONE))


async def sends(service: Listener, id: str) -> None:
    """The channel sends."""
    await service.send("acme", "reception", {"v": 1, "id": id, "to": ANA, "type": "text", "text": id})
    assert (await service.until("result", id=id))["status"] == "sent"


async def _logins(emulator: EmulatorProcess) -> list[int]:
    return [session.logins for session in await emulator.sessions()]


async def waits_for(node: Node, attempt: int) -> None:
    """The channel waits for this attempt, or a later one, and says until when."""
    await node.once(
        "/api/v1/clinics/acme/channels/reception",
        lambda shown: shown["attempt"] >= attempt and shown["next_retry_at"] is not None,
    )


async def logged_out(node: Node) -> None:
    """Log the channel out, once its port has ended: that is not published as an event."""
    async with asyncio.timeout(END_TIMEOUT):
        while True:
            try:
                await node.act("acme", "reception", "logout")
                return
            except NodeError as error:
                if "has not ended yet" not in error.problem["detail"]:
                    raise
            await asyncio.sleep(0.1)


async def goes_and_comes_back(service: Listener) -> str:
    """The channel reconnects by itself; the reason that it gave meanwhile."""
    down = await service.until("state", state="reconnecting")
    await service.until("state", state="connected", count=len(service.seen("state", state="reconnecting")) + 1)
    return str(down["reason"])


@pytest.mark.usefixtures("paired")
@pytest.mark.parametrize("how", ["fin", "rst"])
async def test_a_lost_connection_comes_back(service: Listener, emulator: EmulatorProcess, how: str) -> None:
    await emulator.fault("drop", phone=PHONE, how=how, count=1)
    assert await goes_and_comes_back(service) == "connection lost"
    await sends(service, "again")


@pytest.mark.usefixtures("paired")
async def test_a_killed_port_is_replaced_while_the_neighbour_goes_on(
    node: Node, service: Listener, phones: Phones
) -> None:
    await phones.pair("bela", ("reception", OTHER_PHONE))
    neighbour = len(service.seen("state", clinic="bela"))
    os.kill(node.port_pid("acme", "reception"), signal.SIGKILL)
    assert "signal 9" in await goes_and_comes_back(service)
    await sends(service, "again")
    assert len(service.seen("state", clinic="bela")) == neighbour


@pytest.mark.usefixtures("paired")
async def test_whatsapp_away_is_waited_for(service: Listener, emulator: EmulatorProcess) -> None:
    refused = await emulator.fault("refuse", code=503)
    await emulator.fault("drop", phone=PHONE, count=1)
    await service.until("state", state="reconnecting")
    await service.send("acme", "reception", {"v": 1, "id": "waits", "to": ANA, "type": "text", "text": "espera"})
    failed = await service.until("state", state="reconnecting", attempt=2)
    assert failed["next_retry_at"] is not None
    await emulator.clear(refused)
    result = await service.until("result", id="waits")
    assert (result["status"], result["attempts"]) == ("sent", 1)


@pytest.mark.usefixtures("paired")
@pytest.mark.parametrize("reason", [400, 413, 503, 515])
async def test_a_login_that_goes_on_being_refused_is_tried_again_in_our_own_time(
    node: Node, service: Listener, emulator: EmulatorProcess, reason: int
) -> None:
    """After some of these whatsmeow would dial again by itself, after others never, and it says neither."""
    refused = await emulator.fault("failure", phone=PHONE, reason=reason)
    await emulator.fault("drop", phone=PHONE, count=1)
    for attempt in (1, 2, 3):
        await waits_for(node, attempt)
    await emulator.clear(refused)
    await service.until("state", state="connected", count=2)
    await sends(service, "again")


@pytest.mark.usefixtures("paired")
@pytest.mark.parametrize("fault", [{"kind": "drop"}, {"kind": "stream_error", "code": "515"}], ids=["drop", "515"])
async def test_a_connection_that_ends_after_each_login_is_not_dialled_without_a_pause(
    node: Node, service: Listener, emulator: EmulatorProcess, fault: dict[str, str]
) -> None:
    """whatsmeow itself would dial up to 170 times a second, thousands of times until the third attempt; a port that
    is being killed still dials some times."""
    after = await emulator.last_event()
    dropping = await emulator.fault(phone=PHONE, **fault)
    await waits_for(node, 3)
    assert len(await emulator.events(after, kind="login", phone=PHONE)) <= 100
    await emulator.clear(dropping)
    await sends(service, "again")


@pytest.mark.usefixtures("paired")
async def test_a_removed_device_needs_a_new_pairing(
    node: Node, service: Listener, phones: Phones, emulator: EmulatorProcess
) -> None:
    await emulator.fault("stream_error", phone=PHONE, conflict="device_removed", code="401", count=1)
    await service.until("state", state="logged_out")
    await service.send("acme", "reception", {"v": 1, "id": "blocked", "to": ANA, "type": "text", "text": "depois"})
    await node.act("acme", "reception", "pair")
    code = (await service.until("qr", count=2))["code"]
    await emulator.scan(code, PHONE)
    assert (await service.until("result", id="blocked"))["status"] == "sent"


@pytest.mark.usefixtures("paired")
@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        ({"kind": "stream_error", "conflict": "replaced"}, "replaced"),
        ({"kind": "failure", "reason": 402, "code": 101, "expire": 3600}, "banned"),
        ({"kind": "failure", "reason": 405}, "outdated"),
    ],
)
async def test_what_only_a_person_can_mend_is_an_error_until_somebody_connects(
    node: Node, service: Listener, emulator: EmulatorProcess, fault: dict[str, str | int], reason: str
) -> None:
    set_fault = await emulator.fault(phone=PHONE, **fault)  # type: ignore[arg-type]
    if fault["kind"] == "failure":
        await emulator.fault("drop", phone=PHONE, count=1)
    failed = await service.until("state", state="error")
    assert reason in failed["reason"]
    await emulator.clear(set_fault)
    await node.act("acme", "reception", "connect")
    await service.until("state", state="connected", count=2)
    await sends(service, "again")


@pytest.mark.usefixtures("paired")
@pytest.mark.parametrize("end", [Node.stop, Node.kill], ids=["stopped", "killed"])
async def test_a_banned_number_is_not_dialled_by_a_node_that_is_started_again(
    node: Node, service: Listener, emulator: EmulatorProcess, end: Callable[[Node], object]
) -> None:
    banned = await emulator.fault("failure", phone=PHONE, reason=402, code=101)
    await emulator.fault("drop", phone=PHONE, count=1)
    failed = await service.until("state", state="error")
    await emulator.clear(banned)
    logins = await _logins(emulator)
    for lives in (2, 3):
        await service.stop()
        await node.close_http()
        await asyncio.to_thread(end, node)
        await asyncio.to_thread(node.start)
        await node.open_http()
        service = await node.listen()
        await service.until("state", state="error", count=lives)
        await service.send("acme", "reception", {"v": 1, "id": "waits", "to": ANA, "type": "text", "text": "depois"})
        shown = await node.once("/api/v1/clinics/acme/channels/reception", lambda found: bool(found["queued"] == 1))
        assert (shown["state"], shown["reason"], shown["since"]) == ("error", failed["reason"], failed["since"])
    assert await _logins(emulator) == logins
    await node.act("acme", "reception", "connect")
    assert (await service.until("result", id="waits"))["status"] == "sent"
    await service.stop()


@pytest.mark.usefixtures("paired")
async def test_a_banned_number_is_logged_out_and_another_paired_in_its_place(
    node: Node, service: Listener, emulator: EmulatorProcess
) -> None:
    await emulator.fault("failure", phone=PHONE, reason=402, code=101)
    await emulator.fault("drop", phone=PHONE, count=1)
    await service.until("state", state="error")
    await service.send("acme", "reception", {"v": 1, "id": "old", "to": ANA, "type": "text", "text": "antes"})
    await logged_out(node)
    await service.until("state", state="logged_out", reason="logout")
    await node.act("acme", "reception", "pair")
    await emulator.scan((await service.until("qr", count=2))["code"], OTHER_PHONE)
    await service.until("state", state="connected", count=2)
    assert (await service.until("result", id="old"))["error"]["code"] == "other_number"
    assert (await node.channel("acme", "reception"))["phone"] == OTHER_PHONE
    await sends(service, "new")


@pytest.mark.usefixtures("paired")
@pytest.mark.timeout(150)
async def test_a_session_that_looks_connected_and_is_dead_is_found_out(
    service: Listener, emulator: EmulatorProcess
) -> None:
    """The server goes mute: whatsmeow would take 200 s to notice; the first missed keep-alive makes us ask."""
    mute = await emulator.fault("mute", phone=PHONE)
    down = await service.until("state", state="reconnecting", timeout=70.0)
    assert "deadline of Probe" in down["reason"]
    await emulator.clear(mute)
    await service.until("state", state="connected", count=2)
    await sends(service, "again")


@pytest.mark.usefixtures("paired")
@pytest.mark.parametrize("reason", [401, 403])
async def test_a_refused_login_is_logged_out(service: Listener, emulator: EmulatorProcess, reason: int) -> None:
    await emulator.fault("failure", phone=PHONE, reason=reason, count=1)
    await emulator.fault("drop", phone=PHONE, count=1)
    await service.until("state", state="logged_out")


@pytest.mark.usefixtures("paired")
@pytest.mark.parametrize("reason", [413, 503])
async def test_a_failure_that_kills_or_drops_the_client_heals(
    service: Listener, emulator: EmulatorProcess, reason: int
) -> None:
    await emulator.fault("failure", phone=PHONE, reason=reason, count=1)
    await emulator.fault("drop", phone=PHONE, count=1)
    await goes_and_comes_back(service)
    await sends(service, "again")


@pytest.mark.usefixtures("paired")
async def test_a_stream_error_515_is_nobodys_business(service: Listener, emulator: EmulatorProcess) -> None:
    after = await emulator.last_event()
    await emulator.fault("stream_error", phone=PHONE, code="515", count=1)
    await emulator.wait_for("login", PHONE, after=after)
    await sends(service, "again")
    assert service.seen("state", state="error") == []


@pytest.mark.usefixtures("paired")
@pytest.mark.parametrize("code", ["401", "503", "516"])
async def test_a_stream_error_that_ends_the_connection_is_survived(
    service: Listener, emulator: EmulatorProcess, code: str
) -> None:
    await emulator.fault("stream_error", phone=PHONE, code=code, count=1)
    await goes_and_comes_back(service)
    await sends(service, "again")


@pytest.mark.usefixtures("paired")
async def test_a_slow_server_is_no_dead_one(service: Listener, emulator: EmulatorProcess) -> None:
    slow = await emulator.fault("delay", phone=PHONE, seconds=0.7)
    await sends(service, "slowly")
    await emulator.clear(slow)
    await sends(service, "fast")
    assert service.seen("state", state="reconnecting") == []


async def test_pairing_that_never_connects_heals_by_itself(
    node: Node, service: Listener, emulator: EmulatorProcess
) -> None:
    """The server closes without sending 515: whatsmeow then waits for ever, though the session is saved."""
    await emulator.fault("pairing_restart", send_515=False, close_after=0.0, count=1)
    await node.add("acme", "reception")
    await emulator.scan((await service.until("qr"))["code"], PHONE)
    await service.until("state", state="pairing")
    stuck = await service.until("state", state="reconnecting")
    assert "paired, but not connected" in stuck["reason"]
    await service.until("state", state="connected")
    assert len(service.seen("state", state="qr_required")) == 1


async def test_codes_that_nobody_scans_run_out_without_a_loop(
    emulator: EmulatorProcess, service: Listener, node: Node
) -> None:
    await emulator.fault("qr_codes", codes=0)
    await node.add("acme", "reception")
    ended = await service.until(
        "state",
        state="disconnected",
    )
    assert ended["reason"] == "qr_expired"


@pytest.mark.parametrize("lie", ["bad_signature", "bad_hmac"])
async def test_a_phone_that_lies_is_refused(node: Node, service: Listener, emulator: EmulatorProcess, lie: str) -> None:
    await emulator.fault("pairing_lie", lie=lie, count=1)
    await node.add("acme", "reception")
    await emulator.scan((await service.until("qr"))["code"], PHONE)
    assert (await service.until("state", state="disconnected"))["reason"] == "pairing_refused"
    await node.act("acme", "reception", "pair")
    await emulator.scan((await service.until("qr", count=2))["code"], PHONE)
    await service.until("state", state="connected")


@pytest.mark.usefixtures("paired")
@pytest.mark.parametrize("lie", ["wrong_root", "bad_certificate"])
async def test_a_server_that_lies_is_refused(service: Listener, emulator: EmulatorProcess, lie: str) -> None:
    lying = await emulator.fault("handshake_lie", lie=lie)
    await emulator.fault("drop", phone=PHONE, count=1)
    await service.until("state", state="reconnecting", attempt=2)
    assert service.seen("state", state="connected", attempt=0)[1:] == []
    await emulator.clear(lying)
    await service.until("state", state="connected", count=2)


@pytest.mark.usefixtures("paired")
async def test_a_recipient_that_cannot_be_encrypted_for_is_not_sent(
    service: Listener, emulator: EmulatorProcess
) -> None:
    refused = await emulator.fault("bundle_refused", phone=PHONE, count=1)
    await service.send("acme", "reception", {"v": 1, "id": "k", "to": ANA, "type": "text", "text": "segredo"})
    result = await service.until("result", id="k")
    assert (result["status"], result["attempts"]) == ("sent", 2)
    assert [item.text for item in await emulator.inbox(ANA)] == ["segredo"]
    await emulator.clear(refused)


@pytest.mark.usefixtures("paired")
async def test_a_refusal_by_whatsapp_is_a_permanent_failure_and_a_dead_letter(
    service: Listener, emulator: EmulatorProcess
) -> None:
    await emulator.fault("ack_error", phone=PHONE, code=403, count=1)
    await service.send("acme", "reception", {"v": 1, "id": "no", "to": ANA, "type": "text", "text": "não"})
    result = await service.until("result", id="no")
    assert (result["status"], result["error"]["code"], result["error"]["permanent"]) == ("failed", "rejected", True)
    letter = await service.until("dead", id="no")
    assert letter["error"]["code"] == "rejected"


@pytest.mark.usefixtures("paired")
async def test_a_number_that_whatsapp_restricts_waits_with_new_contacts_and_answers_who_writes(
    service: Listener, emulator: EmulatorProcess
) -> None:
    await sends(service, "before")
    await emulator.fault("ack_error", phone=PHONE, code=463, count=1)
    await service.send("acme", "reception", {"v": 1, "id": "b", "to": BIA, "type": "text", "text": "olá"})
    await sends(service, "after")
    assert service.seen("result", id="b") == []
    await emulator.send_text(BIA, PHONE, "oi")
    result = await service.until("result", id="b")
    assert (result["status"], result["attempts"]) == ("sent", 1)


@pytest.mark.usefixtures("paired")
async def test_somebody_who_is_not_on_whatsapp_fails_and_holds_up_nobody(
    service: Listener, emulator: EmulatorProcess
) -> None:
    await emulator.exists(BIA, False)
    await service.send("acme", "reception", {"v": 1, "id": "b", "to": BIA, "type": "text", "text": "alô"})
    await sends(service, "a")
    assert (await service.until("result", id="b"))["error"]["code"] == "not_on_whatsapp"


async def test_a_send_without_acknowledgement_kills_the_port_and_is_proved_by_its_receipt(
    tmp_path_factory: pytest.TempPathFactory, emulator: EmulatorProcess
) -> None:
    directory = tmp_path_factory.mktemp("impatient")
    impatient = {"calls": {"send_deadline": 4.0}}
    async with Node(directory, settings(emulator.ready, impatient)) as node, await node.listen() as service:
        await Phones(node, emulator, service).pair("acme", ("reception", PHONE))
        await emulator.fault("no_ack", phone=PHONE, count=1)
        await service.send("acme", "reception", {"v": 1, "id": "n", "to": ANA, "type": "text", "text": "oi"})
        down = await service.until("state", state="reconnecting")
        assert "deadline" in down["reason"]
        result = await service.until("result", id="n")
        assert (result["status"], result["attempts"]) == ("sent", 1)
        assert [item.text for item in await emulator.inbox(ANA)] == ["oi"]


@pytest.mark.usefixtures("paired")
async def test_the_main_process_killed_leaves_nothing_undone(
    node: Node, service: Listener, emulator: EmulatorProcess
) -> None:
    await service.stop()
    await node.close_http()
    port = node.port_pid("acme", "reception")
    node.kill()
    async with node, await node.listen() as again:
        await again.until("state", state="connected", count=2)
        assert node.port_pid("acme", "reception") != port
        await sends(again, "after")
    assert [item.text for item in await emulator.inbox(ANA)] == ["after"]


@pytest.mark.usefixtures("paired")
async def test_the_broker_and_the_nursery_are_restarted_when_they_are_killed(node: Node, service: Listener) -> None:
    await sends(service, "before")
    for name in ("nats-server", "nursery"):
        os.kill(node.child(name), signal.SIGKILL)
    await sends(service, "between")
    os.kill(node.port_pid("acme", "reception"), signal.SIGKILL)
    await goes_and_comes_back(service)
    await sends(service, "after")
