import asyncio
import time

from prometheus_client.parser import text_string_to_metric_families

from gateway.http.metrics import View, render
from protocol.channel import Breaker, ChannelState
from tests.unit.gateway.http.fake_node import TREE, FakeHealth, FakeOperations, channel_snapshot


def view() -> View:
    operations = FakeOperations()
    operations.set("acme", "front", state=ChannelState.CONNECTED, queued=3)
    operations.set("acme", 'od"d', state=ChannelState.ERROR, sending_breaker=Breaker.OPEN)
    operations.set("bela", "front", state=ChannelState.CONNECTED)

    async def ask() -> View:
        return View(
            report=await FakeHealth({"bus": "away"}).report(),
            clinics=await operations.clinics(),
            channels=await operations.channels(),
            tree=TREE,
            counts=[],
        )

    return asyncio.run(ask())


def samples(text: bytes) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text.decode())
        for sample in family.samples
    }


def test_channels_are_counted_by_clinic_and_state_with_the_empty_states() -> None:
    found = samples(render(view()))

    assert found["plantao_channels", (("clinic", "acme"), ("state", "connected"))] == 1
    assert found["plantao_channels", (("clinic", "acme"), ("state", "logged_out"))] == 0
    assert found["plantao_clinics", ()] == 2


def test_each_channel_has_its_state_and_queue() -> None:
    found = samples(render(view()))

    assert found["plantao_channel_state", (("channel", 'od"d'), ("clinic", "acme"), ("state", "error"))] == 1
    assert found["plantao_queued_commands", (("channel", "front"), ("clinic", "acme"))] == 3
    assert len([name for name, _ in found if name == "plantao_channel_state"]) == 3


def test_each_channel_has_the_state_of_both_its_breakers() -> None:
    found = samples(render(view()))
    of_one = {
        (labels[0][1], labels[3][1]): value
        for (name, labels), value in found.items()
        if name == "plantao_breaker_state" and dict(labels)["channel"] == 'od"d'
    }

    assert of_one == {("connect", "closed"): 1, ("send", "open"): 1}


def test_the_node_and_its_process_are_described() -> None:
    found = samples(render(view()))

    assert found["plantao_build_info", (("version", "1.2.3"),)] == 1
    assert found["plantao_uptime_seconds", ()] == 42
    assert found["plantao_part_up", (("part", "bus"),)] == 0
    assert found["plantao_part_up", (("part", "store"),)] == 1
    assert found["process_resident_memory_bytes", ()] > 0
    assert found["plantao_scrape_success", ()] == 1


def test_what_did_not_answer_is_left_out_and_said() -> None:
    found = samples(render(View(report=None, clinics=None, channels=None)))

    assert found["plantao_scrape_success", ()] == 0
    assert ("plantao_clinics", ()) not in found
    assert found["process_resident_memory_bytes", ()] > 0


def test_a_thousand_channels_are_rendered_in_well_under_a_second() -> None:
    channels = [channel_snapshot(f"c{i // 10}", f"ch{i % 10}") for i in range(1000)]
    began = time.process_time()

    render(View(report=None, clinics=[], channels=channels))

    assert time.process_time() - began < 0.5
