"""The clinics' own ``events`` streams, read as each clinic's service may read them.

Not the platform's copy: what a clinic's stream holds is what the node's acknowledgement stands for.
"""

import asyncio
from collections.abc import Sequence
from typing import Final

import aiohttp
import nats.errors
from nats.aio.client import Client
from nats.js.api import AckPolicy, ConsumerConfig, DeliverPolicy

from protocol.codec import decode_raw
from protocol.subjects import STREAM_EVENTS
from tests.acceptance.node import Node, NodeError
from tests.storm.evidence import Stored

_BATCH: Final = 512
_FETCH_S: Final = 5.0
_FAILED = (nats.errors.Error, aiohttp.ClientError, NodeError, OSError, TimeoutError)


async def unheard(_: Exception) -> None:
    """What the client library reports besides."""


class ClinicStream:
    """Of one clinic. ``events`` are those read so far."""

    def __init__(self, node: Node, clinic: str) -> None:
        self._node = node
        self._clinic = clinic
        self.events: list[Stored] = []

    async def read(self) -> bool:
        """Read what came since; whether the stream could be read to its end."""
        try:
            connection = await self._connect()
        except _FAILED:
            return False
        try:
            await self._read(connection)
        except _FAILED:
            return False
        finally:
            await connection.close()
        return True

    async def read_anew(self) -> bool:
        """Read all of it again: a broker that was killed may have lost, and then given out again, a sequence number."""
        before, self.events = self.events, []
        if await self.read():
            return True
        self.events = before
        return False

    async def _connect(self) -> Client:
        return await self._node.login(self._clinic, allow_reconnect=False, connect_timeout=2, error_cb=unheard)

    async def _read(self, connection: Client) -> None:
        last = self.events[-1].sequence if self.events else 0
        config = ConsumerConfig(
            deliver_policy=DeliverPolicy.BY_START_SEQUENCE,
            opt_start_seq=last + 1,
            ack_policy=AckPolicy.NONE,
            inactive_threshold=30.0,
        )
        stream = connection.jetstream()
        pending = (await stream.stream_info(STREAM_EVENTS)).state.last_seq - last
        if pending <= 0:
            return
        subscription = await stream.pull_subscribe("clinic.>", stream=STREAM_EVENTS, config=config)
        while pending > 0:
            for message in await subscription.fetch(min(_BATCH, pending), timeout=_FETCH_S):
                sequence = message.metadata.sequence.stream
                pending -= sequence - last
                last = sequence
                at = message.metadata.timestamp.timestamp()
                kind = message.subject.rsplit(".", 1)[-1]
                self.events.append(Stored(sequence, at, kind, decode_raw(message.data)))
        await subscription.unsubscribe()


async def read_all(streams: Sequence[ClinicStream], *, anew: bool = False) -> bool:
    """All of them; whether all could be read to their ends."""
    return all(await asyncio.gather(*(one.read_anew() if anew else one.read() for one in streams)))
