"""What a service and an operator see of the node while it is broken: every event, and the board by HTTP.

Follows the stream by sequence number, on a connection of its own that is made anew whenever it fails, so nothing is
missed and nothing is seen twice, whoever is killed.
"""

import asyncio
import contextlib
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any, Final

import nats
import nats.errors
from aiohttp import ClientError
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.js.api import AckPolicy, ConsumerConfig, DeliverPolicy

from protocol.codec import decode_raw
from protocol.subjects import STREAM_EVENTS
from tests.acceptance.node import Node, NodeError
from tests.chaos.plan import Key

_FETCH_S: Final = 1.0
_POLL_S: Final = 0.5
_AGAIN_S: Final = 0.1
_PATIENCE_S: Final = 90.0
_SILENT: Final = 5
"""Empty fetches in a row after which the consumer is held to be gone."""

Event = dict[str, Any]


async def unheard(_: Exception) -> None:
    """What the client library reports besides."""


class Watch:
    """Made by ``watching``. ``states`` and ``results`` hold every event so far; ``on_*`` are told of each as it comes,
    ``on_board`` of each look at the board."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._last = 0
        self.states: dict[Key, list[Event]] = defaultdict(list)
        self.results: dict[str, list[Event]] = defaultdict(list)
        self.codes = 0
        self.board: dict[Key, Event] = {}
        self.clinics: dict[str, Event] = {}
        self.looks = 0
        self.on_state: Callable[[Key, Event], None] = lambda _key, _event: None
        self.on_result: Callable[[Event], None] = lambda _event: None
        self.on_board: Callable[[], None] = lambda: None
        self._qr: dict[Key, str] = {}
        self._changed = asyncio.Event()

    # -- events --

    async def follow(self) -> None:
        """For ever."""
        while True:
            try:
                connection = await nats.connect(
                    self._node.where["nats"], allow_reconnect=False, error_cb=unheard, connect_timeout=2
                )
            except (nats.errors.Error, OSError, TimeoutError):
                await asyncio.sleep(_POLL_S)
                continue
            try:
                await self._follow(connection)
            except (nats.errors.Error, OSError, TimeoutError):
                await asyncio.sleep(_POLL_S)
            finally:
                await connection.close()

    async def _follow(self, connection: Client) -> None:
        config = ConsumerConfig(
            deliver_policy=DeliverPolicy.BY_START_SEQUENCE,
            opt_start_seq=self._last + 1,
            ack_policy=AckPolicy.NONE,
            inactive_threshold=30.0,
        )
        subscription = await connection.jetstream().pull_subscribe("clinic.>", stream=STREAM_EVENTS, config=config)
        silent = 0
        while silent < _SILENT:
            try:
                messages = await subscription.fetch(256, timeout=_FETCH_S)
            except nats.errors.TimeoutError:
                silent += 1
                continue
            silent = 0
            for message in messages:
                self._take(message)

    def _take(self, message: Msg) -> None:
        self._last = message.metadata.sequence.stream
        event = decode_raw(message.data)
        key = event["clinic"], event["channel"]
        match message.subject.rsplit(".", 1)[-1]:
            case "state":
                self.states[key].append(event)
                self.on_state(key, event)
            case "result":
                event["seen"] = time.monotonic()
                self.results[event["id"]].append(event)
                self.on_result(event)
            case "qr":
                self.codes += 1
                self._qr[key] = event["code"]
        self._changed.set()

    # -- the board --

    async def look(self) -> None:
        """At all channels and clinics, for ever. Who is not there to be asked says nothing."""
        while True:
            await self.look_once()
            await asyncio.sleep(_POLL_S)

    async def look_once(self) -> bool:
        """Whether there was an answer."""
        try:
            channels = (await self._node.request("GET", "/api/v1/channels"))["items"]
            clinics = (await self._node.request("GET", "/api/v1/clinics"))["items"]
        except (ClientError, NodeError, OSError, TimeoutError, RuntimeError):  # RuntimeError: our session is closed
            return False
        self.board = {(channel["clinic"], channel["channel"]): channel for channel in channels}
        self.clinics = {clinic["id"]: clinic for clinic in clinics}
        self.looks += 1
        self.on_board()
        return True

    # -- waiting --

    async def until(self, holds: Callable[[], bool], within: float = _PATIENCE_S) -> None:
        """Until it holds. Raises TimeoutError."""
        async with asyncio.timeout(within):
            while not holds():
                self._changed.clear()
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._changed.wait(), _AGAIN_S)

    async def code(self, key: Key) -> str:
        """The pairing code that the channel shows first."""
        await self.until(lambda: key in self._qr)
        return self._qr[key]

    def connected_since(self, key: Key, at: datetime) -> bool:
        """Whether the channel is connected by its last event, and became so at ``at`` or later."""
        events = self.states[key]
        return bool(events) and events[-1]["state"] == "connected" and since(events[-1]) >= at


def since(event: Event) -> datetime:
    """When its state was entered."""
    return datetime.fromisoformat(event["since"])


@asynccontextmanager
async def watching(node: Node) -> AsyncIterator[Watch]:
    """Watch ``node`` as long as this lasts; it may be ended and started again meanwhile."""
    watch = Watch(node)
    tasks = [asyncio.create_task(watch.follow()), asyncio.create_task(watch.look())]
    try:
        yield watch
    finally:
        for task in tasks:
            task.cancel()
        ended = await asyncio.gather(*tasks, return_exceptions=True)
        failed = [error for error in ended if isinstance(error, Exception)]
        if failed:
            raise failed[0]
