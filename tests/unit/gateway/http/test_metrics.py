import asyncio
import re
import time
from datetime import timedelta
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from actors.meters import ClinicSpreads
from gateway.http.catalogue import CATALOGUE, Described, Kind, Samples, exposed
from gateway.http.health import RoleCount
from gateway.http.metrics import View, gathered, render
from protocol.channel import Breaker, ChannelState, ClinicState
from protocol.meters import ClinicTimes
from tests.unit.gateway.http.fake_commands import NOW
from tests.unit.gateway.http.fake_node import TREE, FakeHealth, FakeOperations, channel_meter, channel_snapshot


def view(**changes: Any) -> View:
    operations = FakeOperations()
    operations.set("acme", "front", state=ChannelState.CONNECTED, queued=3)
    operations.set("acme", 'od"d', state=ChannelState.ERROR, sending_breaker=Breaker.OPEN)
    operations.set("bela", "front", state=ChannelState.CONNECTED)

    async def ask() -> View:
        parts: dict[str, Any] = {
            "now": NOW,
            "report": await FakeHealth({"bus": "away"}).report(),
            "clinics": await operations.clinics(),
            "channels": await operations.channels(),
            "tree": TREE,
            "counts": [],
        }
        return View(**{**parts, **changes})

    return asyncio.run(ask())


def busy() -> View:
    """A node of which there is something to say for each metric."""
    ago = NOW - timedelta(seconds=90)
    meter = channel_meter(
        "acme",
        "front",
        accepted=9,
        failed={"opted_out": 2},
        dead=2,
        inbound=5,
        last_inbound_at=ago,
        oldest_waiting_at=ago,
        reconnects=3,
    )
    spreads = ClinicSpreads()
    for seconds in (0.01, 0.2, 0.2, 1e6):
        spreads.queue.took(seconds)
    times = ClinicTimes(
        clinic="acme", queue=spreads.queue.read(), send=spreads.send.read(), delivery=spreads.delivery.read()
    )
    return view(
        counts=[RoleCount(kind="channel", clinic="acme", restarts=1, hung=0, exits={"crash": 1})],
        meters=[meter],
        times=[times],
        memory={("acme", "front"): 4096},
        backups={"acme": ago, "bela": None},
        refused={"no_key": 4},
        streams=2,
    )


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
    found = samples(render(View(now=NOW, report=None, clinics=None, channels=None)))

    assert found["plantao_scrape_success", ()] == 0
    assert ("plantao_clinics", ()) not in found
    assert found["process_resident_memory_bytes", ()] > 0


def test_a_thousand_channels_are_rendered_in_well_under_a_second() -> None:
    names = [(f"c{i // 10}", f"ch{i % 10}") for i in range(1000)]
    channels, meters = [channel_snapshot(*name) for name in names], [channel_meter(*name) for name in names]
    began = time.process_time()

    render(View(now=NOW, report=None, clinics=[], channels=channels, meters=meters))

    assert time.process_time() - began < 1.0


def test_every_metric_of_the_catalogue_is_exposed_by_a_busy_node_and_no_other() -> None:
    named = {name for name, _ in samples(render(busy())) if name.startswith("plantao_")}
    assert named == set(exposed())


def test_every_series_has_the_labels_that_the_catalogue_says() -> None:
    kinds = {each.name: each for each in CATALOGUE}
    for family in text_string_to_metric_families(gathered(busy()).text()):
        described = kinds.get(family.name) or kinds[f"{family.name}_total"]
        assert (family.type, family.documentation) == (described.kind.value, described.help)
        for sample in family.samples:
            assert set(sample.labels) - {"le"} == set(described.labels), sample.name


@pytest.mark.parametrize("described", CATALOGUE, ids=[each.name for each in CATALOGUE])
def test_names_are_those_of_the_convention(described: Described) -> None:
    name, kind = described.name, described.kind
    assert re.fullmatch(r"plantao(_[a-z]+)+", name)
    assert name.endswith("_total") is (kind is Kind.COUNTER)
    assert name.endswith("_seconds") or kind is not Kind.HISTOGRAM
    assert described.help
    assert not described.help.endswith(".")
    assert set(described.labels) <= {
        "clinic", "channel", "state", "breaker", "status", "code", "type", "kind", "reason", "part", "version"
    }  # fmt: skip


def test_what_the_catalogue_does_not_have_cannot_be_exposed() -> None:
    with pytest.raises(KeyError):
        Samples().put("plantao_secrets", 1)


def test_counts_of_a_channel_are_given_also_where_nothing_happened() -> None:
    found = samples(render(view(meters=[channel_meter("acme", "front")])))
    of = (("channel", "front"), ("clinic", "acme"))
    assert found["plantao_dead_letters_total", of] == 0
    assert found["plantao_commands_ended_total", (*of, ("status", "expired"))] == 0
    assert found["plantao_receipts_total", (*of, ("type", "played"))] == 0
    assert found["plantao_oldest_command_age_seconds", of] == 0
    assert not [name for name, _ in found if name == "plantao_inbound_last_timestamp_seconds"]


def test_ages_are_from_now_and_times_of_the_clock() -> None:
    found = samples(render(busy()))
    of = (("channel", "front"), ("clinic", "acme"))
    assert found["plantao_oldest_command_age_seconds", of] == 90
    assert found["plantao_inbound_last_timestamp_seconds", of] == NOW.timestamp() - 90
    assert found["plantao_commands_failed_total", (*of, ("code", "opted_out"))] == 2
    assert found["plantao_channel_since_timestamp_seconds", of] == NOW.timestamp()


def test_a_histogram_is_cumulated() -> None:
    found = samples(render(busy()))
    of = {
        dict(labels)["le"]: value for (name, labels), value in found.items() if name == "plantao_queue_seconds_bucket"
    }
    assert (of["0.05"], of["0.25"], of["43200.0"], of["+Inf"]) == (1, 3, 3, 4)
    assert found["plantao_queue_seconds_count", (("clinic", "acme"),)] == 4
    assert found["plantao_queue_seconds_sum", (("clinic", "acme"),)] == pytest.approx(1e6 + 0.41)
    assert found["plantao_send_seconds_count", (("clinic", "acme"),)] == 0


def test_a_clinic_without_a_backup_by_the_clock_has_zero_and_without_such_backups_no_series() -> None:
    name = "plantao_backup_last_success_timestamp_seconds"
    found = samples(render(busy()))
    assert found[name, (("clinic", "acme"),)] == NOW.timestamp() - 90
    assert found[name, (("clinic", "bela"),)] == 0
    assert not [each for each, _ in samples(render(view())) if each == name]


def test_trouble_of_channels_is_one_and_else_nought() -> None:
    restricted = NOW + timedelta(seconds=1)
    odd = channel_snapshot("acme", "odd", restricted_until=restricted, unsealed="the disk is full", spooled=4)
    found = samples(render(view(channels=[channel_snapshot("acme", "front"), odd])))
    for channel, value in (("front", 0), ("odd", 1)):
        of = (("channel", channel), ("clinic", "acme"))
        assert found["plantao_channel_restricted", of] == value
        assert found["plantao_session_unsealed", of] == value
        assert found["plantao_spooled_events", of] == 4 * value


def test_a_restriction_that_is_over_is_none_whether_its_channel_has_said_so_or_not() -> None:
    found = samples(render(view(channels=[channel_snapshot("acme", "front", restricted_until=NOW)])))
    assert found["plantao_channel_restricted", (("channel", "front"), ("clinic", "acme"))] == 0


def test_each_clinic_has_its_state() -> None:
    found = samples(render(view()))
    assert found["plantao_clinic_state", (("clinic", "bela"), ("state", ClinicState.RUNNING))] == 1


def test_the_audit_is_a_part_and_the_disk_has_a_size() -> None:
    found = samples(render(view()))
    assert found["plantao_part_up", (("part", "audit"),)] == 1
    assert (found["plantao_disk_free_bytes", ()], found["plantao_disk_size_bytes", ()]) == (2000, 8000)
    assert found["plantao_draining", ()] == 0


@pytest.mark.parametrize("label", ['od"d', "back\\slash", "two\nlines", "back\\nslash", "canção", "", "a,b}"])
def test_whatever_is_in_a_label_is_read_as_it_was(label: str) -> None:
    found = Samples()
    found.put("plantao_build_info", 1, label)
    assert samples(found.text().encode()) == {("plantao_build_info", (("version", label),)): 1}


@pytest.mark.parametrize("value", [0, 1, True, 0.1, 1e-9, 1.7e18, 12345678901234567, float("inf")])
def test_whatever_is_a_value_is_read_as_it_was(value: float) -> None:
    found = Samples()
    found.put("plantao_clinics", value)
    assert samples(found.text().encode()) == {("plantao_clinics", ()): float(value)}


def test_a_value_has_as_many_labels_as_the_catalogue_says() -> None:
    with pytest.raises(ValueError, match="zip"):
        Samples().put("plantao_channel_state", 1, "acme", "front")
