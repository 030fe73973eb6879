"""What a node says of its traffic, and by which name it can be followed: from a request over HTTP to the receipt."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from nats.aio.msg import Msg
from prometheus_client.parser import text_string_to_metric_families

from protocol.codec import decode_raw
from tests.acceptance.node import END_TIMEOUT, Listener, Node
from tests.acceptance.phones import Phones
from tests.emulator.client import EmulatorProcess
from tests.fakes.collector import Collector

TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
SENDER = f"00-{TRACE}-{SPAN}-01"
PHONE, ANA, NOBODY = "5511973310001", "5521986420001", "5521986420003"
NAME = "Plantao-Correlation-Id"
Series = dict[tuple[str, ...], float]


async def scraped(node: Node) -> Series:
    """Every series by its name and the values of its labels, in the order of their names."""
    text = (await node.request("GET", "/metrics")).decode()
    return {
        (sample.name, *(value for _, value in sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


async def until(node: Node, *series: str, value: float) -> Series:
    """What is scraped once this series has the value: counts follow what is published."""
    async with asyncio.timeout(END_TIMEOUT):
        while (found := await scraped(node)).get(series) != value:  # noqa: ASYNC110 - metrics tell nobody
            await asyncio.sleep(0.1)
        return found


@pytest.fixture
async def collector() -> AsyncIterator[Collector]:
    """Of OpenTelemetry."""
    async with Collector() as running:
        yield running


@pytest.fixture
def tables(collector: Collector) -> dict[str, Any]:
    """The node sends it spans."""
    return {"telemetry": {"endpoint": collector.url}}


@pytest.fixture
async def headers(service: Listener) -> dict[tuple[str, str], dict[str, str]]:
    """The headers of events, by kind and command id, as they come."""
    seen: dict[tuple[str, str], dict[str, str]] = {}

    async def take(message: Msg) -> None:
        event: dict[str, Any] = decode_raw(message.data)
        seen[message.subject.rsplit(".", 1)[-1], str(event.get("id"))] = message.headers or {}

    for subject in ("clinic.*.channel.*.event.>", "clinic.*.channel.*.dead"):
        await service.connection.subscribe(subject, cb=take)
    return seen


async def test_the_way_of_messages_can_be_counted_and_followed(
    node: Node,
    service: Listener,
    phones: Phones,
    emulator: EmulatorProcess,
    headers: dict[tuple[str, str], dict[str, str]],
    collector: Collector,
) -> None:
    of = ("reception", "acme")
    await emulator.exists(NOBODY, False)
    await phones.pair("acme", ("reception", PHONE))
    before = await scraped(node)
    assert before["plantao_commands_ended_total", *of, "sent"] == 0
    assert before["plantao_channel_state", *of, "connected"] == 1

    path = "/api/v1/clinics/acme/channels/reception/send"
    for command, to in (("good", ANA), ("dead", NOBODY)):
        body = {"v": 1, "id": command, "to": to, "type": "text", "text": "Sua consulta é amanhã"}
        await node.request("POST", path, body, headers={NAME: f"visit-{command}", "traceparent": SENDER})
    await service.until("result", id="good", status="sent")
    await service.until("result", id="dead", status="failed")
    await service.until("receipt", id="good", type="delivered")
    sent = await emulator.wait_for_message(ANA)
    await emulator.read(ANA, sent.id, PHONE)
    await service.until("receipt", id="good", type="read")
    await emulator.send_text(ANA, PHONE, "Obrigada")
    await service.until("message", text="Obrigada")

    await until(node, "plantao_receipts_total", *of, "read", value=1)
    found = await until(node, "plantao_inbound_messages_total", *of, value=1)
    assert found["plantao_commands_accepted_total", *of] == 2
    assert found["plantao_commands_ended_total", *of, "sent"] == 1
    assert found["plantao_commands_ended_total", *of, "failed"] == 1
    assert found["plantao_commands_failed_total", *of, "not_on_whatsapp"] == 1
    assert found["plantao_dead_letters_total", *of] == 1
    assert found["plantao_receipts_total", *of, "delivered"] == 1
    assert found["plantao_oldest_command_age_seconds", *of] == 0
    for name in ("queue", "send", "delivery"):
        assert found[f"plantao_{name}_seconds_count", "acme"] >= 1
    assert found["plantao_port_memory_bytes", *of] > 1 << 20
    assert found["plantao_part_up", "audit"] == 1
    assert found["plantao_disk_size_bytes",] > found["plantao_disk_free_bytes",]

    assert {kind: headers[kind, "good"][NAME] for kind in ("result", "receipt")} == {
        "result": "visit-good",
        "receipt": "visit-good",
    }
    assert headers["dead", "dead"][NAME] == headers["result", "dead"][NAME] == "visit-dead"
    lines = [json.loads(line) for line in node.log.splitlines() if line.startswith("{")]
    [ended] = [line for line in lines if line["event"] == "command ended"]
    assert (ended["correlation_id"], ended["id"], ended["error_code"]) == ("visit-dead", "dead", "not_on_whatsapp")

    await service.stop()
    await node.close_http()
    assert await asyncio.to_thread(node.stop) == 0, "what waits is sent at the end"
    [whole] = collector.named("plantao.command", status="sent")
    assert (whole["trace"], whole["parent"]) == (TRACE, SPAN)
    assert whole["attributes"]["plantao.correlation_id"] == "visit-good"
    within = [span for span in collector.spans if span["parent"] == whole["id"]]
    assert {span["name"] for span in within} == {"plantao.queue", "plantao.send", "plantao.delivery"}
    assert {span["trace"] for span in collector.spans} == {TRACE}
    assert not any(number in str(collector.spans) for number in (PHONE, ANA, NOBODY))
