"""The broker, clocks, sockets, certificates, backups, and the node itself."""

import errno
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from config.doctor import backups, broker, clock, configuration, databases, running, sockets
from config.doctor.finding import Level
from config.settings import load
from gateway.nats.greeting import Greeting

NOW = datetime(2026, 3, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "level"),
    [
        ("2.15.1", Level.FINE),
        ("3.0.0-beta.1", Level.FINE),
        ("2.14.0", Level.WARNING),
        ("2.11.9", Level.WRONG),
        ("nightly", Level.WARNING),
    ],
)
def test_the_version_of_the_broker(text: str, level: Level) -> None:
    assert broker.version(text, "embedded").level is level


def test_a_broker_without_jetstream_is_none() -> None:
    found = list(broker.greeted("nats://h", Greeting(version="2.15.1")))
    assert [each.level for each in found] == [Level.FINE, Level.WRONG]


@pytest.mark.parametrize(("state", "level"), [(0, Level.FINE), (5, Level.WARNING), (-1, Level.UNKNOWN)])
def test_what_the_kernel_says_of_the_clock(state: int, level: Level) -> None:
    assert clock.kept(state).level is level


def test_a_clock_that_has_gone_back_is_told() -> None:
    written = [(Path("a"), 100.0), (Path("b"), 200.0)]
    assert list(clock.ahead(written, now=150.0)) == []
    (found,) = clock.ahead(written, now=20.0)
    assert (found.level, found.told[:27]) == (Level.WRONG, "b was written 180 s later t")


@pytest.mark.parametrize(
    ("number", "level", "mend"),
    [
        (None, Level.FINE, ""),
        (errno.EADDRINUSE, Level.WRONG, "http.port"),
        (errno.EACCES, Level.WRONG, "above 1023"),
        (errno.EADDRNOTAVAIL, Level.WARNING, "http.host"),
        (errno.EMFILE, Level.WRONG, "http.host"),
    ],
)
def test_an_address_that_cannot_be_had(number: int | None, level: Level, mend: str) -> None:
    found = sockets.of("http", "127.0.0.1", 80, None if number is None else OSError(number, "why"))
    assert found.level is level
    assert mend in found.mend


def test_a_file_with_a_secret_must_be_its_owners_alone() -> None:
    open_to_others = configuration.of_file(Path("p.toml"), 0o644, {"keys": {"master": "x"}})
    assert (open_to_others.level, open_to_others.mend) == (Level.WARNING, "chmod 600 p.toml")
    assert configuration.of_file(Path("p.toml"), 0o600, {"keys": {"master": "x"}}).level is Level.FINE
    assert configuration.of_file(Path("p.toml"), 0o644, {"http": {"port": 1}}).level is Level.FINE


def test_a_network_that_is_none_and_a_broker_without_accounts_are_told() -> None:
    settings = load(None, {"PLANTAO_MEDIA__ALLOW_NETWORKS": '["moon"]', "PLANTAO_NATS__URL": "nats://h:1"})
    found = [finding.told for finding in configuration.look(None, settings) if finding.level is Level.WRONG]
    assert ["nats.accounts_file" in found[0], "media.allow_networks" in found[1]] == [True, True]


def test_a_program_for_ports_that_is_not_there_is_told() -> None:
    settings = load(None, {"PLANTAO_WHATSAPP__PORT_COMMAND": '["/nowhere/python"]'})
    found = [finding.told for finding in configuration.look(None, settings) if finding.level is Level.WRONG]
    assert ["/nowhere/python" in told for told in found] == [True]


@pytest.mark.parametrize(
    ("age", "levels"),
    [
        (timedelta(hours=30), [Level.FINE]),
        (timedelta(hours=50), [Level.WRONG]),
        (None, [Level.WARNING]),
    ],
)
def test_a_backup_that_is_missing_is_told(age: timedelta | None, levels: list[Level]) -> None:
    newest = {"acme": None if age is None else NOW - age}
    assert [finding.level for finding in backups.late(newest, timedelta(days=1), NOW)] == levels


def test_a_database_that_is_nearly_full_is_told() -> None:
    found = list(databases.sized({"acme": 10 << 20, "bela": 250 << 20}, limit=256 << 20))
    assert [(finding.level, "bela has 250 of 256 MiB" in finding.told) for finding in found] == [(Level.WARNING, True)]
    assert [finding.level for finding in databases.sized({"acme": 10 << 20}, limit=256 << 20)] == [Level.FINE]
    assert list(databases.sized({}, limit=1)) == []


READY: dict[str, Any] = {"ready": True, "version": "1.0", "queued": 0, "store": {"ok": True, "reason": ""}}


@pytest.mark.parametrize(
    ("said", "levels"),
    [
        (READY, [Level.FINE]),
        ({"ready": False}, [Level.WRONG]),
        ({**READY, "ready": False, "draining": True}, [Level.WARNING]),
        ({**READY, "ready": False, "store": {"ok": False, "reason": "down"}}, [Level.WRONG]),
        ({**READY, "version": "0.9"}, [Level.WARNING, Level.FINE]),
        ({**READY, "clinics": [{"clinic": "a", "state": "suspended", "reason": ""}]}, [Level.FINE]),
        ({**READY, "clinics": [{"clinic": "a", "state": "quarantined", "reason": ""}]}, [Level.WARNING, Level.FINE]),
        ({**READY, "channels": {"error": 2, "connected": 5, "logged_out": 1}}, [*[Level.WARNING] * 2, Level.FINE]),
    ],
)
def test_what_a_node_says_of_itself(said: dict[str, Any], levels: list[Level]) -> None:
    assert [finding.level for finding in running.told(said, "1.0")] == levels
