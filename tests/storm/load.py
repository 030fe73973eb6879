"""The rain: commands and inbound messages, spread over the time of the strikes."""

import asyncio
import contextlib
import json
import time
from collections import defaultdict, deque
from collections.abc import Callable, Sequence
from random import Random
from typing import Final

import nats
import nats.errors
from nats.aio.client import Client

from protocol.subjects import Priority, send
from tests.acceptance.node import Node
from tests.emulator.client import EmulatorProcess
from tests.storm.evidence import Command
from tests.storm.plan import Key
from tests.storm.streams import unheard

CHATS: Final = 6
"""People whom each channel writes to, and as many who write to it; one person does both."""

_PAUSE_S: Final = 0.25
"""Between showers, on average."""
_ACK_S: Final = 2.0
_AGAIN_S: Final = 0.1
_LARGEST_BURST: Final = 20
_SOONEST_END_S: Final = 1.0
_PRIORITIES: Final = (Priority.HIGH, Priority.NORMAL, Priority.BULK)
_SHARES: Final = (2, 6, 2)


class Commands:
    """A service of the platform. A command counts once JetStream has acknowledged it; until then it is published again,
    and the next one for the same chat waits."""

    def __init__(self, node: Node, channels: Sequence[Key], random: Random) -> None:
        self._node = node
        self._channels = channels
        self._random = random
        self._lanes: dict[tuple[Key, str], deque[Command]] = defaultdict(deque)
        self._numbers: dict[tuple[Key, str, str], int] = defaultdict(int)
        self._publishing: set[asyncio.Task[None]] = set()
        self._connection: Client | None = None
        self._connecting = asyncio.Lock()
        self.all: list[Command] = []

    def contact(self, key: Key, number: int) -> str:
        """The ``number``-th person whom a channel writes to."""
        return f"55318{self._channels.index(key):05d}{number:03d}"

    def pour(self, count: int) -> None:
        """So many more, in bursts, each on one channel."""
        while count > 0:
            size = min(count, self._random.randint(1, _LARGEST_BURST))
            key = self._random.choice(self._channels)
            chats = self._random.randint(1, CHATS)
            for _ in range(size):
                self._give(self._command(key, self.contact(key, self._random.randrange(chats))))
            count -= size

    def _command(self, key: Key, chat: str) -> Command:
        [priority] = self._random.choices(_PRIORITIES, _SHARES)
        lane = key, chat, priority.value
        number = self._numbers[lane] = self._numbers[lane] + 1
        command = Command(f"storm-{len(self.all)}", key, chat, priority.value, number, time.time())
        self.all.append(command)
        return command

    def _give(self, command: Command) -> None:
        waiting = self._lanes[command.key, command.chat]
        waiting.append(command)
        if len(waiting) == 1:
            task = asyncio.create_task(self._publish_all(waiting))
            self._publishing.add(task)
            task.add_done_callback(self._publishing.discard)

    async def _publish_all(self, waiting: deque[Command]) -> None:
        while waiting:
            await self._publish(waiting[0])
            waiting.popleft()

    async def _publish(self, command: Command) -> None:
        subject = send(*command.key, Priority(command.priority))
        body = json.dumps({"v": 1, "id": command.id, "to": command.chat, "type": "text", "text": command.id}).encode()
        while command.stored is None:
            try:
                command.tries += 1
                await (await self._connected()).jetstream().publish(subject, body, timeout=_ACK_S)
                command.stored = time.time()
            except (nats.errors.Error, OSError, TimeoutError):
                await asyncio.sleep(_AGAIN_S)

    async def _connected(self) -> Client:
        async with self._connecting:
            if self._connection is None or self._connection.is_closed:
                self._connection = await nats.connect(
                    self._node.where["nats"], allow_reconnect=False, error_cb=unheard, connect_timeout=2
                )
            return self._connection

    async def published(self, within: float) -> None:
        """Wait until all are acknowledged, or for so long."""
        if self._publishing:
            await asyncio.wait(tuple(self._publishing), timeout=within)

    async def stop(self) -> None:
        """Publish nothing more."""
        for task in tuple(self._publishing):
            task.cancel()
        await asyncio.gather(*self._publishing, return_exceptions=True)
        if self._connection is not None:
            with contextlib.suppress(nats.errors.Error, OSError):
                await self._connection.close()


class Patients:
    """People who write to the channels in bursts, connected or not."""

    def __init__(self, emulator: EmulatorProcess, accounts: dict[str, Key], random: Random) -> None:
        self._emulator = emulator
        self._phones = list(accounts)
        self._random = random
        self.written = 0

    def people(self, phone: str) -> list[str]:
        """Who write to that account; the first of them is also written to."""
        index = self._phones.index(phone)
        return [f"55318{index:05d}{number:03d}" for number in (0, *range(500, 500 + CHATS - 1))]

    async def pour(self, count: int) -> None:
        """So many more, to anybody."""
        while count > 0:
            size = min(count, self._random.randint(1, _LARGEST_BURST))
            phone = self._random.choice(self._phones)
            people = self._random.sample(self.people(phone), self._random.randint(1, 3))
            await self._emulator.burst(people, phone, size, "in {n}", first=self.written)
            self.written += size
            count -= size


async def rain(
    commands: Commands, patients: Patients, out: int, into: int, left: Callable[[], float], random: Random
) -> None:
    """All of it, so that it ends about when ``left`` (seconds until the last strike) is 0."""
    poured_out = poured_in = 0.0
    given_out = given_in = 0
    last = time.monotonic()
    while given_out < out or given_in < into:
        await asyncio.sleep(random.uniform(0.0, 2 * _PAUSE_S))
        now = time.monotonic()
        share = min(1.0, (now - last) / max(left(), _SOONEST_END_S))
        last = now
        poured_out += (out - poured_out) * share if out - poured_out > 1 else 1
        poured_in += (into - poured_in) * share if into - poured_in > 1 else 1
        due_out, due_in = min(out, int(poured_out)), min(into, int(poured_in))
        commands.pour(due_out - given_out)
        await patients.pour(due_in - given_in)
        given_out, given_in = due_out, due_in
