"""A channel's send commands: three durable consumers on the work queue, one per priority."""

from typing import Final

from gateway.nats import wire
from gateway.nats.headers import passed_on
from gateway.nats.pull import Delivery
from gateway.nats.queue import Source
from protocol import subjects
from protocol.bus import Fetched
from protocol.subjects import Priority

_ORDER: Final = (Priority.HIGH, Priority.NORMAL, Priority.BULK)


def consumer_name(channel: str, priority: Priority) -> str:
    """The last token is the priority, so that no two channels' names run together."""
    return f"{subjects.STREAM_SEND}-{channel}-{priority}"


def sources(clinic: str, channel: str) -> list[Source]:
    """The consumers of a channel, high before normal before bulk."""
    return [
        Source(subjects.STREAM_SEND, consumer_name(channel, priority), subjects.send(clinic, channel, priority))
        for priority in _ORDER
    ]


def fetched(delivery: Delivery) -> Fetched:
    """A command as it was delivered by one of ``sources``."""
    return Fetched(
        body=delivery.body,
        priority=_PRIORITIES[delivery.pull.name.rpartition("-")[2]],
        queued_at=wire.stored_at(delivery.reply),
        headers=passed_on(wire.headers_of(delivery.block)) if delivery.block else {},
        token=delivery,
    )


_PRIORITIES: Final = {priority.value: priority for priority in Priority}
