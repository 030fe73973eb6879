"""``protocol/asyncapi.yaml`` is what the types say, whole, and valid by AsyncAPI's own parser."""

import subprocess
from pathlib import Path
from typing import Any

import pytest

from gateway.nats.requests import OF_CHANNEL, OF_CLINIC
from protocol.access import RPC_PERMISSION
from protocol.events import DeadLetter, Event
from protocol.subjects import ClinicVerb, EventKind, Priority, Verb
from tests.documents import asyncapi, npm
from tests.documents.contract import EVENTS, VERBS
from tests.documents.validating import Contract

LINTER = Path(__file__).with_name("linter")
KNOWN = ['asyncapi: The latest version of AsyncAPi is not used. It is recommended update to the "3.1.0" version.']


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    return asyncapi.describe()


def test_it_is_valid_by_the_official_schema_and_rules_examples_too(tmp_path: Path) -> None:
    place = npm.installed(LINTER, tmp_path)
    linted = subprocess.run(
        ["node", "lint.mjs"], cwd=place, input=asyncapi.text(), capture_output=True, text=True, timeout=60
    )
    found = [line.rpartition(" (")[0] for line in linted.stdout.splitlines()]
    assert (linted.returncode, found, linted.stderr) == (0, KNOWN, "")


def test_every_example_is_valid(document: dict[str, Any]) -> None:
    contract = Contract(document)
    for name, message in document["components"]["messages"].items():
        for example in message["examples"]:
            assert not contract.faults(name, example["payload"]), name


def test_what_is_not_of_its_type_is_found(document: dict[str, Any]) -> None:
    contract = Contract(document)
    example = document["components"]["messages"]["ResultEvent"]["examples"][0]["payload"]
    for wrong in ({"status": "vanished"}, {"sent_at": "2026-11-20T12:00:00"}, {"unheard_of": 1}, {"run": "one"}):
        assert len(contract.faults("ResultEvent", {**example, **wrong})) == 1, wrong


def test_every_kind_of_event_and_every_event_type_is_described() -> None:
    assert set(EVENTS) == set(EventKind)
    assert {*EVENTS.values(), DeadLetter} == set(Event.__subclasses__())


def test_every_verb_is_served_permitted_and_described() -> None:
    verbs = {*Verb, *ClinicVerb}
    assert {*OF_CHANNEL, *OF_CLINIC} == verbs == set(RPC_PERMISSION) == set(VERBS)


def test_every_subject_has_a_channel_and_an_operation(document: dict[str, Any]) -> None:
    names = {asyncapi.channel_name(one) for one in (*Priority, *EventKind, *Verb, *ClinicVerb)} | {"dead"}
    assert set(document["operations"]) == names
    assert set(document["channels"]) == names | {"replies"}
    addresses = [channel["address"] for channel in document["channels"].values()]
    assert len(set(addresses)) == len(addresses)


def test_plantao_receives_commands_and_requests_and_sends_events(document: dict[str, Any]) -> None:
    actions = {name: operation["action"] for name, operation in document["operations"].items()}
    assert {name for name, action in actions.items() if action == "send"} == {
        *(asyncapi.channel_name(kind) for kind in EventKind),
        "dead",
    }


def test_nothing_in_it_is_unused(document: dict[str, Any]) -> None:
    text = asyncapi.text()
    for kind in ("messages", "schemas", "parameters"):
        for name in document["components"][kind]:
            assert f"'#/components/{kind}/{name}'" in text, name
