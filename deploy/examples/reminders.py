"""Reminds patients of their appointments, and says whom somebody should phone instead. Needs `nats-py` and `msgpack`.

    NATS_URL=nats://… python reminders.py appointments.json

    [{"id": "17", "clinic": "acme", "channel": "reception", "to": "5511999990000", "at": "2026-11-21T10:00:00-03:00",
      "text": "Sua consulta é amanhã às 10 h"}]

Each reminder goes out a day before its appointment (`not_before`) and is worth nothing four hours before it
(`expires_at`); if no phone has taken it by then, somebody is told in time (`deliver_by`). One JSON line a reminder says
how it ended; the exit code is 0 if all were delivered, 3 if somebody has to be phoned.

Run it as often as you like, also while it still runs: the id of a reminder is made of the appointment's, so it is sent
once, and outcomes are read from the stream `events`, which has them for seven days.
"""

import argparse
import asyncio
import json
import os
import sys
from collections.abc import Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import msgpack
import nats
from nats.aio.msg import Msg
from nats.js import JetStreamContext

OUTCOMES = "clinic.*.channel.*.event.*"
Key = tuple[str, str, str]
"""Clinic, channel and id of a reminder."""


def reminder(appointment: Mapping[str, Any], ahead: timedelta, latest: timedelta) -> dict[str, Any]:
    """The send command for an appointment: ``ahead`` of it, at once if that has passed, and no later than ``latest``
    before it. The same at each run: an id with another body is refused."""
    at = datetime.fromisoformat(appointment["at"])
    end = (at - latest).isoformat()
    return {
        "v": 1,
        "id": f"reminder:{appointment['id']}",
        "to": appointment["to"],
        "type": "text",
        "text": appointment["text"],
        "not_before": (at - ahead).isoformat(),
        "expires_at": end,
        "deliver_by": end,
        "meta": {"appointment": appointment["id"]},
    }


def outcome(kind: str, event: Mapping[str, Any]) -> str | None:
    """How a reminder ended, by a result or a receipt; None if that is not known yet."""
    if kind == "receipt":
        return "delivered"
    if event["status"] == "sent":
        return None
    error = event["error"]
    return event["status"] if error is None else f"{event['status']}: {error['code']}"


def read(message: Msg) -> dict[str, Any]:
    """An event is JSON or msgpack, as the clinic's settings say; the first byte tells."""
    event: dict[str, Any] = json.loads(message.data) if message.data[:1] == b"{" else msgpack.unpackb(message.data)
    return event


async def follow(stream: JetStreamContext, waiting: dict[Key, Mapping[str, Any]]) -> bool:
    """Print how each of ``waiting`` ended, as soon as it is known; whether all were delivered."""
    all_delivered = True
    events = await stream.subscribe(OUTCOMES, stream="events", ordered_consumer=True)
    while waiting:
        message = await events.next_msg(timeout=None)
        kind = message.subject.rsplit(".", 1)[-1]
        if kind not in ("result", "receipt"):
            continue
        event = read(message)
        key = (event["clinic"], event["channel"], event["id"])
        ended = outcome(kind, event) if key in waiting else None
        if ended is not None:
            print(json.dumps({"appointment": waiting.pop(key)["id"], "outcome": ended}), flush=True)
            all_delivered &= ended == "delivered"
    return all_delivered


async def main(appointments: list[dict[str, Any]], ahead: timedelta, latest: timedelta) -> int:
    """Until every reminder has ended; the exit code."""
    inbox = os.environ.get("NATS_INBOX_PREFIX", "_INBOX").encode()
    connection = await nats.connect(os.environ["NATS_URL"], inbox_prefix=inbox, max_reconnect_attempts=-1)
    try:
        stream = connection.jetstream()
        waiting: dict[Key, Mapping[str, Any]] = {}
        for appointment in appointments:
            command = reminder(appointment, ahead, latest)
            clinic, channel = appointment["clinic"], appointment["channel"]
            await stream.publish(f"clinic.{clinic}.channel.{channel}.send", json.dumps(command).encode(), timeout=5)
            waiting[(clinic, channel, command["id"])] = appointment
        return 0 if await follow(stream, waiting) else 3
    finally:
        await connection.close()


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("file", type=Path, help="appointments, as a JSON list")
    parser.add_argument("--ahead", type=float, default=24.0, metavar="HOURS", help="when to remind")
    parser.add_argument("--latest", type=float, default=4.0, metavar="HOURS", help="from when on to phone instead")
    given = parser.parse_args()
    wanted = json.loads(given.file.read_text())
    sys.exit(asyncio.run(main(wanted, timedelta(hours=given.ahead), timedelta(hours=given.latest))))
