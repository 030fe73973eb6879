"""One emulator for the tests of a module; a node of its own for each test."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance.node import Listener, Node, settings
from tests.acceptance.phones import Phones
from tests.emulator.client import EmulatorProcess


@pytest.fixture
async def emulator(tmp_path: Path) -> AsyncIterator[EmulatorProcess]:
    """WhatsApp, on loopback."""
    async with EmulatorProcess(tmp_path / "whatsapp") as process:
        yield process


@pytest.fixture
def tables() -> dict[str, Any]:
    """Settings of the node, besides those of every test."""
    return {}


@pytest.fixture
async def node(tmp_path: Path, emulator: EmulatorProcess, tables: dict[str, Any]) -> AsyncIterator[Node]:
    """A running node that talks to the emulator; it must end with exit code 0."""
    async with Node(tmp_path / "node", settings(emulator.ready, tables)) as running:
        yield running


@pytest.fixture
async def service(node: Node) -> AsyncIterator[Listener]:
    """A service of the platform."""
    async with await node.listen() as listener:
        yield listener


@pytest.fixture
def phones(node: Node, emulator: EmulatorProcess, service: Listener) -> Phones:
    """People with phones who pair channels."""
    return Phones(node, emulator, service)


@pytest.fixture
async def bad(node: Node, service: Listener) -> tuple[Node, Listener]:
    """A node with one unpaired channel, and a service that will misbehave."""
    await node.add("acme", "reception")
    return node, service
