"""A real Prometheus reads a real node: every alert and every panel asks for metrics and labels that there are."""

import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.acceptance.node import Node, settings
from tests.acceptance.phones import Phones
from tests.deploy.dashboards import filled, queries
from tests.deploy.promql import Selector, read
from tests.deploy.rules import rules
from tests.deploy.server import Prometheus
from tests.deploy.test_dashboards import CHOSEN
from tests.emulator.client import EmulatorProcess

PHONE, ANA = "5511900000001", "5511888000001"
FRONT = ("acme", "reception")
ABSENT = {"ALERTS", "plantao_backup_last_success_timestamp_seconds"}
"""Series that are not there while no alert fires, and no backups are made."""


@pytest.fixture
async def emulator(tmp_path: Path) -> AsyncIterator[EmulatorProcess]:
    """WhatsApp, on loopback."""
    async with EmulatorProcess(tmp_path / "whatsapp") as process:
        yield process


@pytest.fixture
async def node(tmp_path: Path, emulator: EmulatorProcess) -> AsyncIterator[Node]:
    """One in which what is counted has happened: messages both ways, a failure, a refusal, and a kill."""
    running = Node(tmp_path / "node", settings(emulator.ready))
    async with running, await running.listen() as service:
        await Phones(running, emulator, service).pair("acme", ("reception", PHONE))
        os.kill(running.port_pid(*FRONT), signal.SIGKILL)
        await service.until("state", state="connected", count=2)
        await running.cli("send", *FRONT, "--to", ANA, "--text", "oi", "--id", "sent")
        await service.until("receipt", type="delivered", id="sent")
        await service.send(*FRONT, b'{"v":1,"id":"bad"}')
        await service.until("result", id="bad", status="failed")
        await emulator.send_text(ANA, PHONE, "bom dia")
        await service.until("message", text="bom dia")
        (running.directory / "bad.key").write_text("plantao_" + "x" * 43)
        await running.cli("clinic", "list", "--key-file", str(running.directory / "bad.key"), code=2)
        yield running


@pytest.fixture
async def prometheus(tmp_path: Path, node: Node) -> AsyncIterator[Prometheus]:
    """It has a key of its own, as the example says, and has scraped the node."""
    said = await node.cli("key", "add", "prometheus", "--role", "viewer")
    target = node.where["http"].removeprefix("http://")
    async with Prometheus(tmp_path / "prometheus", target, said.split()[0]) as running:
        await running.scraped()
        yield running


def asked() -> list[tuple[str, str]]:
    """(where it stands, expression) of all alerts and panels."""
    panels = [(where, filled(target.expr, CHOSEN)) for where, target in queries()]
    return [*((rule.alert, rule.expr) for rule in rules()), *panels]


async def test_prometheus_reads_a_node_and_finds_all_that_alerts_and_dashboards_ask_for(prometheus: Prometheus) -> None:
    assert (await prometheus.target())["health"] == "up", await prometheus.target()
    loaded = [rule for group in (await prometheus.ask("rules"))["groups"] for rule in group["rules"]]
    assert {rule["name"]: rule["health"] for rule in loaded} == {rule.alert: "ok" for rule in rules()}
    firing = [alert["labels"] for alert in (await prometheus.ask("alerts"))["alerts"] if alert["state"] == "firing"]
    assert firing == []

    known: dict[str, set[str]] = {}
    lacking: list[str] = []
    for where, expression in asked():
        await prometheus.ask("query", query=expression)
        for each in read(expression).selectors:
            if each.metric not in known:
                known[each.metric] = await prometheus.labels(each.metric)
            lacking += [f"{where}: {fault}" for fault in faults(each, known[each.metric])]
    assert not lacking, "\n".join(lacking)


def faults(selector: Selector, labels: set[str]) -> list[str]:
    """What a selector asks for that a metric with these labels has not."""
    if selector.metric in ABSENT:
        return []
    if not labels:
        return [f"{selector.metric} is not exposed"]
    named = {matcher.label for matcher in selector.matchers}
    return [f"{selector.metric} has no label {label}" for label in sorted(named - labels)]
