"""Clinics and channels as in a node (``config.tree``), with fakes of all that they reach the world by."""

import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from queue import SimpleQueue
from typing import Any, Final

from pykka import ActorRef

from actors.board import Board
from actors.channel.surroundings import ChannelPolicy, Policies
from actors.clinic_parts import ClinicParts
from actors.loop import AsyncioLoop
from actors.meters import NodeMeters
from config import tree
from config.tree import Supervision
from protocol.channel import ChannelRecord, ChannelState, ClinicRecord
from protocol.port import PortSpec
from protocol.port_events import PortEvent
from supervisor.actor import Link
from supervisor.names import Names
from supervisor.shell import Supervisor
from supervisor.spec import Flags, Quarantine, Stagger
from tests.bench.actor_messages import PATIENCE_S
from tests.fakes.bell import Bell
from tests.fakes.memory_node import MemoryBus, MemoryStore
from tests.fakes.memory_registry import MemoryRegistry
from tests.fakes.memory_vault import MemoryVaults
from tests.fakes.memory_web import MemoryWeb
from tests.fakes.scripted_port import UP, ScriptedPort, obliging
from tests.fakes.scripted_remains import ScriptedRemains
from tests.unit.actors.channel.home import POLICY

CHANNELS_EACH: Final = 50
_AT: Final = datetime(2026, 1, 1, tzinfo=UTC)
_PAUSE_S: Final = 0.005
_NOWHERE: Final = Path("/nonexistent")
_SUPERVISION: Final = Supervision(
    hang_s=30.0, quarantine=Quarantine(restarts=5, period_s=600.0), stagger=Stagger(at_once=4)
)


class Opener:
    """Every port is connected at once. ``ports``: the newest of each channel."""

    def __init__(self, bell: Bell) -> None:
        self.ports: dict[tuple[str, str], ScriptedPort] = {}
        self._bell = bell
        self._remains: dict[str, ScriptedRemains] = {}

    def remains(self, store: str) -> ScriptedRemains:
        return self._remains.setdefault(store, ScriptedRemains())

    async def open(self, spec: PortSpec, deliver: Callable[[Sequence[PortEvent]], None]) -> ScriptedPort:
        port = ScriptedPort(spec, deliver, self._bell, obliging)
        self.ports[spec.clinic, spec.channel] = port
        port.say(UP)
        return port


def start(channels: int) -> list[ActorRef[Any]]:
    """Start clinics with ``CHANNELS_EACH`` channels, as one registry wants them, and wait until all are connected."""
    bell = Bell()
    return [run(registry(bell, channels, CHANNELS_EACH), parts(bell, Board(), Opener(bell)))]


def parts(bell: Bell, board: Board, opener: Opener, policy: ChannelPolicy = POLICY) -> ClinicParts:
    """What the clinics share, with a loop that runs."""
    loop = AsyncioLoop()
    loop.start(lambda: None)
    return ClinicParts(
        bus=MemoryBus(bell),
        store=MemoryStore(bell),
        loop=loop,
        opener=opener,
        board=board,
        meters=NodeMeters(board),
        names=Names(),
        policies=Policies(policy),
        runtime=_NOWHERE,
        vaults=MemoryVaults(bell),
        web=MemoryWeb(),
    )


def run(wanted: MemoryRegistry, shared: ClinicParts) -> ActorRef[Any]:
    """Start what ``wanted`` has, and wait until all of it is connected."""
    booted: SimpleQueue[object] = SimpleQueue()
    link = Link(exited=lambda _: None, started=booted.put)
    children = [tree.clinics(shared.names, _SUPERVISION), tree.follow(wanted, shared, _SUPERVISION)]
    root: ActorRef[Any] = Supervisor.start(link, "root", children, Flags())
    booted.get(timeout=PATIENCE_S)
    _wait_connected(shared.board, list(wanted.channels))
    return root


def registry(bell: Bell, channels: int, each: int) -> MemoryRegistry:
    """One that wants so many channels, ``each`` a clinic."""
    made = MemoryRegistry(bell)
    for number in range(channels):
        clinic, channel = f"clinic-{number // each}", f"desk-{number % each}"
        made.clinics[clinic] = ClinicRecord(id=clinic, name=clinic, created_at=_AT)
        made.channels[clinic, channel] = ChannelRecord(clinic=clinic, id=channel, name=channel, created_at=_AT)
    return made


def _wait_connected(board: Board, waiting: list[tuple[str, str]]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while waiting:
        shown = board.channel(*waiting[-1])
        if shown is not None and shown.state is ChannelState.CONNECTED:
            waiting.pop()
            continue
        assert time.monotonic() < deadline, f"{waiting[-1]} is not connected: {shown}"
        time.sleep(_PAUSE_S)
