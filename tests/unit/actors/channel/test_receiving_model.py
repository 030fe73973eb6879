"""Receiving as a whole, whatever happens: NATS away, the ledger full or away, ports that die, other lives."""

import asyncio
from collections import defaultdict

import hypothesis.strategies as st
from hypothesis import given, settings

from actors.channel.telling import ReceivingPolicy
from tests.unit.actors.channel.bench import CHANNEL
from tests.unit.actors.channel.ear import Ear
from tests.unit.actors.channel.heard import message

CHATS = [f"{name}@s.whatsapp.net" for name in "abc"]
IN_MEMORY = 4
POLICY = ReceivingPolicy(in_memory=IN_MEMORY)

EVENTS = st.lists(st.tuples(st.sampled_from(CHATS), st.booleans()), min_size=1, max_size=7)
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("hear"), EVENTS),
        st.tuples(
            st.sampled_from(
                ["away", "back", "broken", "full", "failing", "well", "repeat", "port dies", "timers", "another life"]
            ),
            st.just([]),
        ),
    ),
    max_size=30,
)


class History:
    """``heard``: what came, by chat in order; ``ear``: the present life."""

    def __init__(self) -> None:
        self.heard: dict[str, list[str]] = defaultdict(list)
        self.count = 0
        self.ear = Ear(POLICY)
        self.incarnation = 1

    async def take(self, step: str, events: list[tuple[str, bool]]) -> None:
        ear = self.ear
        match step:
            case "hear":
                whats = []
                for chat, media in events:
                    self.count += 1
                    self.heard[chat].append(str(self.count))
                    whats.append(message(str(self.count), chat, media=media))
                await ear.hear(*whats, incarnation=self.incarnation)
            case "repeat":
                again = [message(wa_id, chat) for chat, wa_ids in self.heard.items() for wa_id in wa_ids[-1:]]
                await ear.hear(*again, incarnation=self.incarnation)
            case "away" | "back":
                ear.bus.away = step == "away"
            case "broken":
                ear.bus.breaking = 1
            case "full" | "failing" | "well":
                ear.ledger.full = step == "full"
                ear.ledger.failing = step == "failing"
            case "port dies":
                self.incarnation += 1
                ear.part.opened(None)
                ear.part.use(None)
                await ear.run()
                port = ear.new_port(self.incarnation)
                ear.part.opened(port)
                ear.part.use(port)
            case "timers":
                await ear.fire_all()
            case "another life":
                await ear.loop.end()
                self.ear = Ear(POLICY, before=ear)
                self.ear.part.take(list(ear.remains.records.values()), 0)
        await self.ear.run()
        assert self.ear.part._spooling._spool._held <= IN_MEMORY

    async def end_well(self) -> None:
        ear = self.ear
        ear.bus.away = ear.ledger.full = ear.ledger.failing = False
        ear.bus.breaking = None
        for _ in range(self.count + 5):
            if ear.part.idle and not ear.left:
                break
            await ear.fire_all()
        published: dict[str, list[str]] = defaultdict(list)
        for event in ear.messages:
            published[event.chat].append(event.wa_id)
        assert published == self.heard, "each once, in the order of its chat"
        assert (ear.part.idle, ear.left, ear.remains.records) == (True, [], {})
        assert len(ear.ledger.channel(CHANNEL).claims) == self.count
        await ear.loop.end()


@settings(max_examples=120, deadline=None)
@given(STEPS)
def test_all_that_came_is_published_once_and_in_order_whatever_happens(
    steps: list[tuple[str, list[tuple[str, bool]]]],
) -> None:
    async def live() -> None:
        history = History()
        await history.ear.run()
        for step, events in steps:
            await history.take(step, events)
        await history.end_well()

    asyncio.run(live())
