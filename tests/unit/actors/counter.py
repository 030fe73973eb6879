"""A desk with one clinic on its board, and scripted channels behind it: no tree, no loop of its own."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from pykka import ActorRef

from actors.board import Board
from actors.desk import Desk
from protocol.bus import Wanted
from protocol.channel import ChannelRecord, ClinicRecord, ClinicSnapshot, ClinicState
from protocol.errors import InvalidInputError
from supervisor.actor import ShutDown, of, tell
from supervisor.names import Names
from tests.fakes.answering_channel import AnsweringChannel, Script
from tests.fakes.bell import Bell
from tests.fakes.memory_bus import MemoryClinicBus
from tests.fakes.memory_ledger import MemoryLedger
from tests.fakes.memory_node import MemoryBus, MemoryStore
from tests.fakes.memory_registry import MemoryRegistry
from tests.fakes.parent import Parent
from tests.fakes.scripted_port import AT
from tests.unit.gateway.http.fake_node import channel_snapshot

CLINIC, CHANNEL = "acme", "reception"


async def as_given(clinic: str, jids: frozenset[str]) -> frozenset[str]:
    """Nobody is known under more names than they were given with."""
    del clinic
    return jids


def only_notes(config: Mapping[str, Any]) -> None:
    """A channel of these tests has one setting of its own, a note."""
    for name in config:
        if name != "note":
            raise InvalidInputError(f"config.{name}", "a known setting, one of note")


class Counter:
    """``open`` opens the clinic's account; ``staff`` starts a channel's actor; ``close`` ends those."""

    def __init__(self) -> None:
        self.bell = Bell()
        self.board = Board()
        self.board.put_wanted(Wanted(clinics={}, channels={}))
        self.names = Names()
        self.bus = MemoryBus(self.bell)
        self.store = MemoryStore(self.bell)
        self.registry = MemoryRegistry(self.bell)
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
        record = ClinicRecord(id=CLINIC, name=CLINIC, created_at=AT)
        self.registry.clinics[CLINIC] = record
        self.board.put_clinic(ClinicSnapshot.of(record, ClinicState.RUNNING, ""))
        self.put(CHANNEL)
        self._staff: list[tuple[ActorRef[Any], Parent]] = []

    def put(self, channel: str, **changes: Any) -> None:
        """The channel is registered and on the board."""
        own = {"name": changes.get("name", channel), "config": changes.get("config", {})}
        record = ChannelRecord(clinic=CLINIC, id=channel, created_at=AT, **own)
        self.registry.channels[CLINIC, channel] = record
        self.board.put_channel(channel_snapshot(CLINIC, channel, **changes))

    def read(self) -> None:
        """The registry as it is now has been read."""
        self.board.put_wanted(self.registry.wanted)

    async def open(self) -> tuple[MemoryClinicBus, MemoryLedger]:
        """What the clinic's account opens."""
        return await self.bus.open_clinic(CLINIC), await self.store.open_clinic(CLINIC)

    def staff(self, script: Script, channel: str = CHANNEL) -> list[Any]:
        """Start the channel's actor; returns what it will have been asked."""
        parent = Parent()
        ref = AnsweringChannel.start(parent, self.names, CLINIC, channel, script)
        parent.wait_started()
        self._staff.append((ref, parent))
        actor = of(ref)
        assert isinstance(actor, AnsweringChannel)
        return actor.asked

    def close(self) -> None:
        for ref, parent in self._staff:
            tell(ref, ShutDown())
            parent.wait_exit()


@contextmanager
def counter() -> Iterator[Counter]:
    """Ends the actors."""
    place = Counter()
    try:
        yield place
    finally:
        place.close()
