"""A light, steady traffic of send commands, and what became of each."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from itertools import count, cycle
from typing import Final

import nats
import nats.errors
from nats.aio.client import Client

from tests.acceptance.node import Node
from tests.chaos.plan import Key
from tests.chaos.watch import Watch, unheard

_ACK_S: Final = 2.0
_AGAIN_S: Final = 0.1


@dataclass(slots=True, eq=False)
class Command:
    """A command that was published; times are monotonic seconds. ``exposed``: its channel was to lose its connection
    while it was on its way: it alone may have been sent twice (``on_uncertain``)."""

    id: str
    key: Key
    begun: float
    stored: float | None = None
    done: float | None = None
    status: str = ""
    exposed: bool = False


class Traffic:
    """Made by ``traffic``. One contact for each channel."""

    def __init__(self, node: Node, watch: Watch, channels: Sequence[Key], rate: float) -> None:
        self._node = node
        self._watch = watch
        self._channels = channels
        self._rate = rate
        self._numbers = count(1)
        self._flying: set[asyncio.Task[None]] = set()
        self._connection: Client | None = None
        self._connecting = asyncio.Lock()
        self._exposed: set[Key] = set()
        self._running: asyncio.Task[None] | None = None
        self.commands: dict[str, Command] = {}

    def contact(self, key: Key) -> str:
        """Who gets the messages of that channel."""
        return f"55318{self._channels.index(key):08d}"

    @property
    def open(self) -> list[Command]:
        """Those without a result so far."""
        return [command for command in self.commands.values() if command.done is None]

    async def _run(self) -> None:
        """At the rate, one channel after another, for ever."""
        for key in cycle(self._channels):
            self.send(key)
            await asyncio.sleep(1 / self._rate)

    def send(self, key: Key) -> Command:
        """Publish one more command, until it is stored."""
        name = f"chaos-{next(self._numbers)}"
        command = self.commands[name] = Command(name, key, time.monotonic(), exposed=key in self._exposed)
        task = asyncio.create_task(self._publish(command))
        self._flying.add(task)
        task.add_done_callback(self._flying.discard)
        return command

    def expose(self, channels: set[Key]) -> None:
        """These channels, and no others, are about to lose their connection."""
        self._exposed = channels
        for command in self.open:
            command.exposed = command.exposed or command.key in channels

    def start(self) -> None:
        """Begin."""
        self._running = asyncio.create_task(self._run())

    async def cease(self) -> None:
        """Begin no more commands; those that are begun are published yet."""
        if self._running is not None:
            self._running.cancel()
            await asyncio.gather(self._running, return_exceptions=True)
        await asyncio.gather(*self._flying)

    async def stop(self) -> None:
        """Publish nothing more."""
        tasks = [*self._flying, *([self._running] if self._running else [])]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if self._connection is not None:
            await self._connection.close()

    async def _connected(self) -> Client:
        async with self._connecting:
            if self._connection is None or self._connection.is_closed:
                self._connection = await nats.connect(
                    self._node.where["nats"], allow_reconnect=False, error_cb=unheard, connect_timeout=2
                )
            return self._connection

    async def _publish(self, command: Command) -> None:
        clinic, channel = command.key
        body = {"v": 1, "id": command.id, "to": self.contact(command.key), "type": "text", "text": command.id}
        while True:
            try:
                stream = (await self._connected()).jetstream()
                await stream.publish(
                    f"clinic.{clinic}.channel.{channel}.send", json.dumps(body).encode(), timeout=_ACK_S
                )
            except (nats.errors.Error, OSError, TimeoutError):
                await asyncio.sleep(_AGAIN_S)
            else:
                command.stored = time.monotonic()
                return


@asynccontextmanager
async def traffic(node: Node, watch: Watch, channels: Sequence[Key], rate: float) -> AsyncIterator[Traffic]:
    """So many commands a second over all ``channels``, as long as this lasts."""
    made = Traffic(node, watch, channels, rate)
    made.start()
    try:
        yield made
    finally:
        await made.stop()
