"""A service of the platform as far as the bench needs one: publishes commands in a pipeline, and notes the moment at
which each event arrives."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any, Final, Literal

import nats
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.js.api import ConsumerConfig, DeliverPolicy, PubAck

from protocol.codec import decode_raw, encode
from protocol.subjects import STREAM_EVENTS
from tests.bench.accounts import Channel

PATIENCE_S: Final = 120.0
_KEYS: Final = {"result": "id", "message": "text"}
"""By kind of event: the field by which the bench knows it again."""


class BenchError(Exception):
    """Something did not happen, or not as it should; the figures would mean nothing."""


class Arrivals:
    """When each of the events that are waited for arrived, in monotonic seconds (``at``, by key)."""

    def __init__(self, keys: Iterable[str]) -> None:
        self.at: dict[str, float] = {}
        self._missing = set(keys)
        self._done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def note(self, key: str, at: float, event: dict[str, Any]) -> None:
        """``key`` has arrived; an event that tells of a failure ends the waiting."""
        if key not in self._missing:
            return
        self._missing.discard(key)
        self.at[key] = at
        if event.get("status", "sent") != "sent" and not self._done.done():
            self._done.set_exception(BenchError(f"a command was not sent: {event}"))
        elif not self._missing and not self._done.done():
            self._done.set_result(None)

    async def all(self) -> dict[str, float]:
        """Wait for the last one.

        Raises:
            BenchError: one failed, or did not come.
        """
        try:
            await asyncio.wait_for(asyncio.shield(self._done), PATIENCE_S)
        except TimeoutError:
            raise BenchError(f"{len(self._missing)} events did not arrive within {PATIENCE_S:g} s") from None
        return self.at


class Service:
    """Made by ``service``."""

    def __init__(self, connection: Client) -> None:
        self.connection = connection
        self._stream = connection.jetstream()
        self._expected: dict[tuple[str, str, str], Arrivals] = {}
        self._events: list[tuple[str, dict[str, Any]]] = []
        self._changed = asyncio.Event()

    async def follow(self, since: datetime | None) -> None:
        """Begin to follow all clinics' events, from now or from ``since`` on."""
        policy = DeliverPolicy.BY_START_TIME if since else DeliverPolicy.NEW
        config = ConsumerConfig(deliver_policy=policy)
        if since is not None:
            config.opt_start_time = since
        await self._stream.subscribe(
            "clinic.>", stream=STREAM_EVENTS, ordered_consumer=True, config=config, cb=self._take
        )

    async def _take(self, message: Msg) -> None:
        at = time.monotonic()
        kind = message.subject.rsplit(".", 1)[-1]
        event = decode_raw(message.data)
        if kind in _KEYS:
            if arrivals := self._expected.get((kind, event["clinic"], event["channel"])):
                arrivals.note(event[_KEYS[kind]], at, event)
        elif kind in ("state", "qr"):
            self._events.append((kind, event))
            self._changed.set()

    def expect(self, kind: Literal["result", "message"], channel: Channel, keys: Iterable[str]) -> Arrivals:
        """From now on, note the arrivals of these events of ``channel``: results by id, messages by text."""
        arrivals = self._expected[kind, channel.clinic, channel.id] = Arrivals(keys)
        return arrivals

    async def publish(self, channel: Channel, id: str, to: str, text: str) -> "asyncio.Future[PubAck]":
        """Publish a send command; its acknowledgement comes later."""
        body = encode({"v": 1, "id": id, "to": to, "type": "text", "text": text})
        return await self._stream.publish_async(f"clinic.{channel.clinic}.channel.{channel.id}.send", body)

    async def state(self, channel: Channel, state: str, since: datetime) -> dict[str, Any]:
        """The first event at or after ``since`` by which ``channel`` entered ``state``."""
        return await self._first(
            "state", channel, lambda event: event["state"] == state and _time(event["since"]) >= since
        )

    async def qr(self, channel: Channel) -> str:
        """The first QR code that ``channel`` has shown."""
        return str((await self._first("qr", channel, lambda _: True))["code"])

    async def _first(self, kind: str, channel: Channel, fits: Any) -> dict[str, Any]:
        try:
            async with asyncio.timeout(PATIENCE_S):
                while True:
                    for of, event in self._events:
                        if (of, event["clinic"], event["channel"]) == (kind, channel.clinic, channel.id) and fits(
                            event
                        ):
                            return event
                    self._changed.clear()
                    await self._changed.wait()
        except TimeoutError:
            raise BenchError(f"{channel}: no {kind} event; came: {self._events[-5:]}") from None


def entered(event: dict[str, Any]) -> datetime:
    """When a state event's channel entered its state."""
    return _time(event["since"])


def retry_pause(event: dict[str, Any]) -> float:
    """Seconds which a state event's channel waits before its next attempt."""
    return (_time(event["next_retry_at"]) - _time(event["since"])).total_seconds() if event["next_retry_at"] else 0.0


def _time(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)


async def _unheard(_: Exception) -> None:
    """What the client library reports besides: a consumer that it renews while the connection is being closed. What
    matters is missed by whoever waits for it."""


@asynccontextmanager
async def service(url: str, since: datetime | None = None) -> AsyncIterator[Service]:
    """A service that is connected with the account ``platform``."""
    connection = await nats.connect(url, error_cb=_unheard)
    try:
        made = Service(connection)
        await made.follow(since)
        yield made
    finally:
        await connection.close()
