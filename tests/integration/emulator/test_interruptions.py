"""Faults that strike a client that is logged in: one client for all, except where it does not survive."""

import asyncio
import time
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.emulator.client import EmulatorError, EmulatorProcess
from tests.integration.emulator.conftest import Clients, MakeNumber
from tests.integration.emulator.harness import CallError, NeonizeClient

pytestmark = pytest.mark.asyncio(loop_scope="session")


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def living(
    running_emulator: EmulatorProcess, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[NeonizeClient]:
    """A client that survives what these tests do to it."""
    async with NeonizeClient(running_emulator, tmp_path_factory.mktemp("living"), "5521900000001") as client:
        await client.pair()
        yield client


@pytest.mark.parametrize(
    ("kind", "parameters"),
    [("drop", {"how": "fin"}), ("drop", {"how": "rst"}), ("stream_error", {"code": "503"})],
)
async def test_a_lost_connection_is_reported_and_made_again(
    emulator: EmulatorProcess, living: NeonizeClient, kind: str, parameters: dict[str, str]
) -> None:
    mark = living.mark()
    await emulator.fault(kind, phone=living.phone, count=1, **parameters)
    await living.wait_for("Disconnected", after=mark)
    await living.wait_for("Connected", after=mark)


async def test_a_restart_is_not_reported_as_a_loss(emulator: EmulatorProcess, living: NeonizeClient) -> None:
    mark = living.mark()
    await emulator.fault("stream_error", code="515", phone=living.phone, count=1)
    await living.wait_for("Connected", after=mark)
    assert "Disconnected" not in living.names(mark)


async def test_another_stream_error_is_reported_with_its_code(emulator: EmulatorProcess, living: NeonizeClient) -> None:
    mark = living.mark()
    await emulator.fault("stream_error", code="500", phone=living.phone, count=1)
    error = await living.wait_for("StreamError", after=mark)
    assert error.data["Code"] == "500"
    await living.wait_for("Connected", after=mark)


async def test_a_fault_for_one_phone_leaves_the_others_alone(
    emulator: EmulatorProcess, living: NeonizeClient, number: MakeNumber
) -> None:
    mark = living.mark()
    await emulator.fault("ack_error", code=463, phone=number())
    await emulator.fault("drop", phone=number())
    await living.send_text(number(), "comigo nada")
    assert "Disconnected" not in living.names(mark)


async def test_faults_are_listed_and_taken_away_one_by_one(
    emulator: EmulatorProcess, living: NeonizeClient, number: MakeNumber
) -> None:
    first = await emulator.fault("late_ack", seconds=0, phone=living.phone)
    second = await emulator.fault("drop", phone=number())
    await living.send_text(number(), "adiada")
    assert [(f.id, f.kind, f.strikes) for f in await emulator.faults()] == [(first, "late_ack", 1), (second, "drop", 0)]
    await emulator.clear(first)
    assert [f.id for f in await emulator.faults()] == [second]
    with pytest.raises(EmulatorError, match=f"no fault has the id {first}"):
        await emulator.clear(first)


@pytest.mark.parametrize("code", [463, 479])
async def test_a_refused_message_raises_its_code_and_reaches_nobody(
    emulator: EmulatorProcess, living: NeonizeClient, number: MakeNumber, code: int
) -> None:
    contact = number()
    await emulator.fault("ack_error", code=code, phone=living.phone, count=1)
    with pytest.raises(CallError, match=f"server returned error {code}"):
        await living.send_text(contact, "recusada")
    await living.send_text(contact, "aceita")
    await emulator.wait_for_message(contact, text="aceita")
    assert [item.text for item in await emulator.inbox(contact)] == ["aceita"]


async def test_a_late_ack_delays_the_sender_and_not_the_contact(
    emulator: EmulatorProcess, living: NeonizeClient, number: MakeNumber
) -> None:
    contact = number()
    await emulator.fault("late_ack", seconds=3.0, phone=living.phone)
    sending = asyncio.create_task(living.send_text(contact, "com calma"))
    item = await emulator.wait_for_message(contact)
    assert not sending.done()
    assert await sending == item.id


async def test_without_an_ack_the_client_sends_again_on_its_next_connection_and_the_contact_sees_one(
    emulator: EmulatorProcess, living: NeonizeClient, number: MakeNumber
) -> None:
    contact = number()
    await emulator.fault("no_ack", phone=living.phone, count=1)
    sending = asyncio.create_task(living.send_text(contact, "chegou?"))
    await emulator.wait_for_message(contact)
    assert not sending.done()

    await emulator.fault("drop", how="rst", phone=living.phone, count=1)

    sent = await sending
    await emulator.wait_for("redelivery", living.phone, where=lambda event: event.data["id"] == sent)
    assert [item.id for item in await emulator.inbox(contact)] == [sent]


async def test_a_message_lost_with_its_connection_is_sent_again_and_arrives_once(
    emulator: EmulatorProcess, living: NeonizeClient, number: MakeNumber
) -> None:
    contact = number()
    await emulator.fault("drop_in_flight", phone=living.phone, count=1)
    sent = await living.send_text(contact, "perdida")
    await emulator.wait_for_message(contact, text="perdida")
    assert [item.id for item in await emulator.inbox(contact)] == [sent]


async def test_with_key_bundles_refused_the_client_claims_to_have_sent_what_nobody_can_read(
    emulator: EmulatorProcess, living: NeonizeClient, number: MakeNumber
) -> None:
    contact = number()
    await emulator.fault("bundle_refused", phone=living.phone)
    sent = await living.send_text(contact, "para ninguém")
    await living.wait_for("log", where=lambda line: f"Failed to encrypt {sent} for" in line)
    assert await emulator.inbox(contact) == []


async def test_a_refused_query_raises_its_code(
    emulator: EmulatorProcess, living: NeonizeClient, number: MakeNumber
) -> None:
    await emulator.fault("iq_error", xmlns="usync", code=429, phone=living.phone)
    with pytest.raises(CallError, match="status 429"):
        await living.send_text(number(), "quem é?")


async def test_delayed_frames_slow_the_client_down_and_keep_their_order(
    emulator: EmulatorProcess, living: NeonizeClient, number: MakeNumber
) -> None:
    contact = number()
    await living.send_text(contact, "rápida")
    await living.wait_for("Receipt")
    await emulator.fault("delay", seconds=0.4, phone=living.phone)
    mark, started = living.mark(), time.monotonic()
    await emulator.send_text(contact, living.phone, "primeira")
    await living.send_text(contact, "lenta")
    assert time.monotonic() - started >= 0.4
    await emulator.clear()
    await emulator.send_text(contact, living.phone, "segunda")
    await living.wait_for("Message", after=mark, where=lambda data: data["Message"]["conversation"] == "segunda")
    texts = [e.data["Message"]["conversation"] for e in living.events[mark:] if e.name == "Message"]
    assert texts == ["primeira", "segunda"]


async def test_messages_can_go_unread_for_measurements(
    emulator: EmulatorProcess, living: NeonizeClient, number: MakeNumber
) -> None:
    contact = number()
    await emulator.fault("no_decrypt", phone=living.phone)
    await living.send_text(contact, "ao vento")
    assert await emulator.inbox(contact) == []
    assert (await emulator.stats()).events["fault"] > 0


async def test_a_second_login_of_the_same_device_replaces_the_first(
    emulator: EmulatorProcess, clients: Clients, number: MakeNumber
) -> None:
    client = await clients.paired(number())
    await emulator.fault("stream_error", conflict="replaced", phone=client.phone, count=1)
    await client.wait_for("StreamReplaced")


async def test_a_removed_device_is_logged_out_for_good(
    emulator: EmulatorProcess, clients: Clients, number: MakeNumber
) -> None:
    client = await clients.paired(number())
    await emulator.fault("stream_error", code="401", conflict="device_removed", phone=client.phone, count=1)
    out = await client.wait_for("LoggedOut")
    assert not out.data.get("OnConnect")
    assert [s for s in await emulator.sessions() if s.phone == client.phone] == []


async def test_a_mute_server_answers_nothing_until_it_is_not(
    emulator: EmulatorProcess, clients: Clients, number: MakeNumber
) -> None:
    client, contact = await clients.paired(number()), number()
    await emulator.fault("mute", phone=client.phone)
    start, mark = await emulator.last_event(), client.mark()
    sending = asyncio.create_task(client.send_text(number(), "alô?"))
    await emulator.send_text(contact, client.phone, "calada")
    await emulator.wait_for("fault", client.phone, after=start)
    assert not sending.done()
    assert client.names(mark) == []

    await emulator.clear()
    await emulator.send_text(contact, client.phone, "de volta")
    message = await client.wait_for("Message", after=mark)
    assert message.data["Message"]["conversation"] == "de volta"
    sending.cancel()
