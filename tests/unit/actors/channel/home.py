"""A channel's actor with fakes around it, on real threads and a real loop."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from pykka import ActorRef

from actors.board import Board
from actors.channel.actor import Channel
from actors.channel.life import Policy
from actors.channel.outbox import OutboxPolicy
from actors.channel.sending import SendingPolicy
from actors.channel.surroundings import ChannelPolicy, Policies, Surroundings
from actors.drain import Drain
from actors.loop import AsyncioLoop
from actors.meters import NodeMeters
from actors.places import channel_name
from actors.turns import Turns
from protocol.channel import ChannelRecord, ChannelSnapshot, ChannelState
from supervisor.actor import ShutDown, ask, tell
from supervisor.backoff import Backoff
from supervisor.breaker import Breaker, Consecutive
from supervisor.names import Names
from supervisor.reasons import ExitReason
from tests.fakes.bell import PATIENCE_S, Bell
from tests.fakes.memory_bus import MemoryClinicBus, body_of
from tests.fakes.memory_ledger import MemoryLedger
from tests.fakes.memory_vault import MemoryVault
from tests.fakes.memory_web import MemoryWeb
from tests.fakes.parent import Parent, until
from tests.fakes.scripted_port import AT, UP, ScriptedOpener, ScriptedPort
from tests.unit.actors.channel.bench import CHANNEL, CLINIC

STORE = "/runtime/x.db"
AT_ONCE = Backoff(base_s=0.0)
POLICY = ChannelPolicy(
    life=Policy(patience_s=30.0, open_s=30.0, pairing_s=30.0, backoff=AT_ONCE),
    breaker=Breaker(trip=Consecutive(1000)),
    sending=SendingPolicy(outbox=OutboxPolicy(backoff=AT_ONCE)),
)
RECORD = ChannelRecord(clinic=CLINIC, id=CHANNEL, name="Reception", created_at=AT, config={"note": 1})


def has_port(channel: ActorRef[Any]) -> bool:
    """Whether it was told of its port, which may speak before that."""
    actor = channel._actor_weakref()
    return isinstance(actor, Channel) and "port" in actor.facts()


class Home:
    """``ref``: the channel's actor; what surrounds it survives it."""

    ref: ActorRef[Any]
    parent: Parent

    def __init__(self, loop: AsyncioLoop) -> None:
        self.loop = loop
        self.bell = Bell()
        self.bus = MemoryClinicBus(self.bell)
        self.ledger = MemoryLedger(self.bell)
        self.opener = ScriptedOpener(self.bell)
        self.remains = self.opener.remains(STORE)
        self.vault = MemoryVault(self.bell)
        self.board = Board()
        self.meters = NodeMeters(self.board)
        self.board.listen(self.bell.ring)
        self.drain = Drain()
        self.names = Names()

    def start(self, policy: ChannelPolicy = POLICY) -> "Home":
        self.policies = Policies(policy)
        surroundings = Surroundings(
            record=RECORD,
            store=STORE,
            bus=self.bus,
            ledger=self.ledger,
            loop=self.loop,
            opener=self.opener,
            board=self.board,
            meters=self.meters,
            policies=self.policies,
            vault=self.vault,
            web=MemoryWeb(),
            media_turns=Turns(),
            drain=self.drain,
        )
        self.parent = Parent()
        name = self.names.name(channel_name(CLINIC, CHANNEL))
        self.ref = Channel.start(self.parent.link, surroundings, name)
        self.parent.wait_started()
        return self

    def connected(self, policy: ChannelPolicy = POLICY) -> ScriptedPort:
        """Start with a stored session, and be connected; the channel has the port, which may speak before that."""
        self.opener.first_words = [UP]
        self.start(policy).wait_state(ChannelState.CONNECTED)
        until(lambda: has_port(self.ref))
        return self.opener.wait_port()

    @property
    def snapshot(self) -> ChannelSnapshot:
        found = self.board.channel(CLINIC, CHANNEL)
        assert found is not None
        return found

    def wait_state(self, state: ChannelState) -> ChannelSnapshot:
        def look() -> ChannelSnapshot | None:
            found = self.board.channel(CLINIC, CHANNEL)
            return found if found is not None and found.state is state else None

        return self.bell.wait(look, f"state {state}")

    def send(self, id: str, **fields: Any) -> None:
        self.bus.put(CHANNEL, body_of(id=id, **fields))

    async def ask(self, request: Any) -> Any:
        return await ask(self.ref, request, timeout=PATIENCE_S)

    def end(self) -> ExitReason:
        tell(self.ref, ShutDown())
        return self.parent.wait_exit()


@contextmanager
def home() -> Iterator[Home]:
    """Ends the actor, its ports and the loop."""
    loop = AsyncioLoop()
    loop.start(lambda: None)
    place = Home(loop)
    try:
        yield place
        if hasattr(place, "ref") and place.ref.is_alive():
            place.bus.away = place.bus.hanging = place.ledger.failing = place.ledger.full = False
            place.opener.let_go()
            place.vault.let_go()
            place.end()
        for port in place.opener.ports:
            port.wait_ended()
    finally:
        loop.stop()
