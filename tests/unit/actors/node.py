"""Clinics, their registrar and the desk, with fakes of all that they reach the world by."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from pykka import ActorRef

from actors import account as account_module
from actors import reconciler as reconciler_module
from actors import registrar as registrar_module
from actors.board import Board
from actors.channel.requests import Configure
from actors.channel.surroundings import Policies
from actors.clinic_parts import ClinicParts
from actors.desk import Desk
from actors.loop import AsyncioLoop
from actors.meters import NodeMeters
from actors.places import channel_name
from config import tree
from config.tree import Supervision
from protocol.channel import ChannelRecord, ChannelSnapshot, ChannelState, ClinicRecord, ClinicSnapshot, ClinicState
from supervisor.actor import ShutDown, ask, tell
from supervisor.api import Phase
from supervisor.names import Names
from supervisor.shell import Supervisor
from supervisor.snapshot import tree as tree_of
from supervisor.spec import Flags, Quarantine, Stagger
from tests.fakes.bell import Bell
from tests.fakes.memory_node import MemoryBus, MemoryStore
from tests.fakes.memory_registry import MemoryRegistry
from tests.fakes.memory_vault import MemoryVaults
from tests.fakes.memory_web import MemoryWeb
from tests.fakes.parent import PATIENCE_S, Parent, until
from tests.fakes.scripted_port import AT, ScriptedOpener
from tests.unit.actors.channel.home import AT_ONCE, POLICY, has_port
from tests.unit.actors.counter import as_given, only_notes

SUPERVISION = Supervision(
    hang_s=5.0,
    quarantine=Quarantine(restarts=3, period_s=60.0),
    stagger=Stagger(at_once=4),
)


def clinic_record(id: str, name: str = "A clinic") -> ClinicRecord:
    return ClinicRecord(id=id, name=name, created_at=AT)


def channel_record(clinic: str, id: str, created_at: datetime = AT) -> ChannelRecord:
    return ChannelRecord(clinic=clinic, id=id, name=id, created_at=created_at)


class Node:
    """``start`` starts the tree, and waits until the registry has been read; before, it and the fakes may be set up."""

    def __init__(self, runtime: Path) -> None:
        self.loop = AsyncioLoop()
        self.loop.start(lambda: None)
        self.bell = Bell()
        self.bus = MemoryBus(self.bell)
        self.store = MemoryStore(self.bell)
        self.opener = ScriptedOpener(self.bell)
        self.registry = MemoryRegistry(self.bell)
        self.vaults = MemoryVaults(self.bell)
        self.board = Board()
        self.meters = NodeMeters(self.board)
        self.board.listen(self.bell.ring)
        self.names = Names()
        self.runtime = runtime
        self.desk = Desk(
            self.board,
            self.names,
            self.registry,
            self.bus,
            self.store,
            only_notes,
            most_channels=lambda: 3,
            forms_of=as_given,
        )
        self.policies = Policies(POLICY)
        self.supervision = SUPERVISION
        self.parent = Parent()
        self.root: ActorRef[Any] | None = None

    def start(self) -> "Node":
        parts = ClinicParts(
            bus=self.bus,
            store=self.store,
            loop=self.loop,
            opener=self.opener,
            board=self.board,
            meters=self.meters,
            names=self.names,
            policies=self.policies,
            runtime=self.runtime,
            vaults=self.vaults,
            web=MemoryWeb(),
        )

        children = [tree.clinics(self.names, self.supervision), tree.follow(self.registry, parts, self.supervision)]
        self.root = Supervisor.start(self.parent.link, "root", children, Flags(intensity=100, period_s=60.0))
        self.parent.wait_started()
        self.bell.wait(self.board.wanted, "the registry to be read")
        return self

    def want(self, clinic: str, *channels: str) -> None:
        """As an operator of another node would have it."""
        self.registry.clinics[clinic] = clinic_record(clinic)
        for channel in channels:
            self.registry.channels[clinic, channel] = channel_record(clinic, channel)
        self.registry.tell()

    def wait_clinic(self, clinic: str, state: ClinicState) -> ClinicSnapshot:
        def look() -> ClinicSnapshot | None:
            found = self.board.clinic(clinic)
            return found if found is not None and found.state is state else None

        return self.bell.wait(look, f"clinic {clinic} {state}")

    def wait_channel(self, clinic: str, channel: str, state: ChannelState) -> ChannelSnapshot:
        def look() -> ChannelSnapshot | None:
            found = self.board.channel(clinic, channel)
            return found if found is not None and found.state is state else None

        return self.bell.wait(look, f"channel {clinic}/{channel} {state}")

    async def at_rest(self, clinic: str, channel: str) -> None:
        """The channel is connected, has its port, and has dealt with that."""
        ref, record = self.names.whereis(channel_name(clinic, channel)), self.board.record(clinic, channel)
        assert ref is not None
        assert record is not None
        await asyncio.to_thread(until, lambda: has_port(ref))
        await ask(ref, Configure(record), timeout=PATIENCE_S)

    def quarantined(self, clinic: str) -> bool:
        assert self.root is not None
        clinics = tree_of(self.root).children[0]
        return any(node.id == clinic and node.phase is Phase.QUARANTINED for node in clinics.children)

    def crash(self, name: str) -> None:
        """Have the actor of this name end without having been told to, and come back."""
        ref = self.names.whereis(name)
        assert ref is not None
        ref.stop(block=False)
        self.bell.wait(lambda: self.names.whereis(name) not in (None, ref), f"another {name}")

    def end(self) -> None:
        if self.root is not None and self.root.is_alive():
            self.bus.away.clear()
            self.bus.held.clear()
            for bus in self.bus.clinics.values():
                bus.away = bus.hanging = False
            self.opener.let_go()
            tell(self.root, ShutDown())
            self.parent.wait_exit()
        for port in self.opener.ports:
            port.wait_ended()


@contextmanager
def node(runtime: Path) -> Iterator[Node]:
    """A node that retries at once, and leaves nothing behind."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(reconciler_module, "_BACKOFF", AT_ONCE)
        patch.setattr(account_module, "_BACKOFF", AT_ONCE)
        patch.setattr(tree, "ACTOR_BACKOFF", AT_ONCE)
        patch.setattr(reconciler_module, "CLEAN_UP_PAUSE_S", 0.0)
        patch.setattr(registrar_module, "PAUSE_S", 0.0)
        place = Node(runtime)
        try:
            yield place
            place.end()
        finally:
            place.loop.stop()
