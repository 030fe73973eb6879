"""The NATS server: which version it is, and whether it answers."""

import asyncio
import subprocess
from collections.abc import Iterable, Iterator
from typing import Final
from urllib.parse import urlsplit

from config.doctor.finding import Finding, fine, unknown, warning, wrong
from config.sections import Settings
from gateway.nats.external import ExternalBroker
from gateway.nats.greeting import Greeting, greeting
from gateway.nats.probe import usable
from gateway.nats.server_process import find_program
from protocol.errors import BusUnavailableError
from protocol.subjects import ACCOUNT_NODE, ACCOUNT_PLATFORM

CHECK: Final = "broker"
LEAST: Final = (2, 12)
"""Older ones have no schedules, which ``gateway.nats.later`` needs."""
TRIED: Final = (2, 15)
TIMEOUT_S: Final = 5.0


def look(settings: Settings) -> Iterable[Finding]:
    """The embedded server's program, or the external server. Raises OSError, BrokerError and InvalidInputError."""
    if not settings.nats.url:
        return [version(_installed(), "embedded")]
    return list(_external(settings))


def version(text: str, where: str) -> Finding:
    """Whether a server of this version will do."""
    parts = text.split("-")[0].split(".")
    told = f"nats-server {text}, {where}"
    if not all(part.isdigit() for part in parts):
        return warning(CHECK, f"{told}: no version is known by that name", f"use {_named(TRIED)} or newer")
    if tuple(map(int, parts)) < LEAST:
        return wrong(CHECK, f"{told}: too old, it has no schedules", f"use {_named(TRIED)} or newer")
    if tuple(map(int, parts)) < TRIED:
        return warning(CHECK, f"{told}: older than what was tried", f"use {_named(TRIED)} or newer")
    return fine(CHECK, told)


def greeted(url: str, said: Greeting) -> Iterator[Finding]:
    """What an external server says of itself."""
    yield version(said.version, f"at {url}")
    if not said.jetstream:
        yield wrong(CHECK, f"{url} has no JetStream", "switch it on, with a cipher and a key: plantao nats config")


def _external(settings: Settings) -> Iterator[Finding]:
    url, file = settings.nats.url, settings.nats.accounts_file
    if file is None:
        return
    broker = ExternalBroker(url, file, settings.nats.ca)
    if urlsplit(url).scheme in ("ws", "wss"):
        yield unknown(CHECK, f"{url} is a WebSocket: what is behind it cannot be asked", "see the node's log")
        return
    try:
        yield from greeted(url, asyncio.run(greeting(url, timeout=TIMEOUT_S)))
    except BusUnavailableError as error:
        yield wrong(CHECK, str(error), "start it, or correct nats.url; is a firewall between?")
        return
    for account in (ACCOUNT_NODE, ACCOUNT_PLATFORM):
        if asyncio.run(usable(broker.login(account), timeout=TIMEOUT_S)):
            yield fine(CHECK, f"account {account} is served")
        else:
            told = f"{url} does not serve account {account} with the password in {file}, or not with JetStream"
            yield wrong(CHECK, told, f"plantao nats config --accounts {file}, include what it prints, and reload it")


def _installed() -> str:
    said = subprocess.run([find_program(), "--version"], capture_output=True, text=True, timeout=TIMEOUT_S, check=False)
    return said.stdout.strip().rpartition(" ")[2].removeprefix("v") or "without a version"


def _named(version: tuple[int, ...]) -> str:
    return ".".join(map(str, version))
