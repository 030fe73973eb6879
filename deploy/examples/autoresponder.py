"""A service that answers patients: an ordinary NATS client, a page of code.

    python autoresponder.py nats://user:password@127.0.0.1:4222

It follows the inbound messages of all clinics (account ``platform``) with a durable consumer, so nothing is missed
while it is down, and answers each text once: the answer's id is made of the message's id, so it is never sent twice.
"""

import asyncio
import contextlib
import json
import sys
from typing import Any

import msgpack
import nats
from nats.aio.msg import Msg
from nats.errors import TimeoutError as NothingNew
from nats.js import JetStreamContext

EVENTS = "clinic.*.channel.*.event.message"


def read(message: Msg) -> dict[str, Any]:
    """An event is JSON or msgpack, as the clinic's settings say; the first byte tells."""
    event: dict[str, Any] = json.loads(message.data) if message.data[:1] == b"{" else msgpack.unpackb(message.data)
    return event


async def answer(stream: JetStreamContext, event: dict[str, Any]) -> None:
    """What waited while we were away, what is no text, and groups get no automatic answer."""
    if event["backlog"] or event["is_group"] or event["from_me"] or not event["text"]:
        return
    command = {
        "v": 1,
        "id": f"auto:{event['wa_id']}",
        "to": event["chat"],
        "type": "text",
        "text": f"Recebemos: {event['text']}. Já respondemos.",
        "reply_to": {"id": event["wa_id"], "from": event["from"]},
    }
    subject = f"clinic.{event['clinic']}.channel.{event['channel']}.send"
    await stream.publish(subject, json.dumps(command).encode())


async def main(url: str) -> None:
    """Until interrupted."""
    connection = await nats.connect(url, name="autoresponder")
    stream = connection.jetstream()
    messages = await stream.pull_subscribe(EVENTS, durable="autoresponder", stream="events")
    try:
        while True:
            try:
                batch = await messages.fetch(50, timeout=60)
            except NothingNew:
                continue
            for message in batch:
                await answer(stream, read(message))
                await message.ack()
    finally:
        await connection.close()


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(main(sys.argv[1]))
