"""A service that answers patients: an ordinary NATS client, a page of code. Needs `nats-py` and `msgpack`.

    python autoresponder.py [nats://user:password@127.0.0.1:4222]

The address may stand in NATS_URL instead; a login made by `plantao key nats issue` also needs its NATS_INBOX_PREFIX.

It follows the inbound messages of all clinics that its login sees with a durable consumer, so nothing is missed while
it is down, and answers each text once: an inbound message is acknowledged only when its answer is stored, and the
answer's id is made of the message's id, so whatever is delivered or published again is never sent again. What is old by
the time that it is read gets no automatic answer, nor does what waited at WhatsApp (`backlog`).
"""

import asyncio
import contextlib
import json
import os
import signal
import sys
from datetime import UTC, datetime, timedelta
from typing import Any

import msgpack
import nats
from nats.aio.msg import Msg
from nats.errors import Error as NatsError
from nats.errors import TimeoutError as NothingNew
from nats.js import JetStreamContext
from nats.js.api import ConsumerConfig, DeliverPolicy

EVENTS = "clinic.*.channel.*.event.message"
CONSUMER = ConsumerConfig(deliver_policy=DeliverPolicy.ALL, ack_wait=30.0, max_ack_pending=500)
FRESH = timedelta(minutes=15)
AGAIN_S = 5.0


def read(message: Msg) -> dict[str, Any]:
    """An event is JSON or msgpack, as the clinic's settings say; the first byte tells."""
    event: dict[str, Any] = json.loads(message.data) if message.data[:1] == b"{" else msgpack.unpackb(message.data)
    return event


def answer(event: dict[str, Any], now: datetime) -> dict[str, Any] | None:
    """The send command that answers an inbound message; None if it gets no automatic answer."""
    written = datetime.fromisoformat(event["at"])
    if event["type"] != "text" or event["is_group"] or event["from_me"] or event["opted_out"] is not None:
        return None
    if event["backlog"] or now - written > FRESH:
        return None
    return {
        "v": 1,
        "id": f"auto:{event['wa_id']}",
        "to": event["chat"],
        "type": "text",
        "text": f"Recebemos: {event['text']}. Já respondemos.",
        "reply_to": {"id": event["wa_id"], "from": event["from"]},
        "expires_at": (written + FRESH).isoformat(),
    }


async def take(stream: JetStreamContext, message: Msg) -> None:
    """Answer it, and only then acknowledge it; what could not be stored is delivered again."""
    event = read(message)
    command = answer(event, datetime.now(UTC))
    try:
        if command is not None:
            subject = f"clinic.{event['clinic']}.channel.{event['channel']}.send"
            await stream.publish(subject, json.dumps(command).encode(), timeout=5)
        await message.ack()
    except NatsError:
        await message.nak(delay=AGAIN_S)


async def follow(stream: JetStreamContext) -> None:
    """For ever; while the server is away, until it is back."""
    messages = await stream.pull_subscribe(EVENTS, durable="autoresponder", stream="events", config=CONSUMER)
    while True:
        try:
            for message in await messages.fetch(50, timeout=60):
                await take(stream, message)
        except NothingNew:
            continue
        except NatsError:
            await asyncio.sleep(1)


async def main(url: str) -> None:
    """Until SIGINT or SIGTERM."""
    inbox = os.environ.get("NATS_INBOX_PREFIX", "_INBOX").encode()
    connection = await nats.connect(url, name="autoresponder", inbox_prefix=inbox, max_reconnect_attempts=-1)
    following = asyncio.create_task(follow(connection.jetstream()))
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, following.cancel)
    try:
        with contextlib.suppress(asyncio.CancelledError):
            await following
    finally:
        await connection.close()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1] if len(sys.argv) > 1 else os.environ["NATS_URL"]))
