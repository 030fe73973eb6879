"""Schedules: commands that wait for their time on the stream ``later``, by the server's own message schedules.

A schedule is a message on a subject of its own, which holds one: a newer one takes its place. When its time has come
the server puts its body on the channel's ``due`` subject and deletes it. The times are whole seconds.

The subject names a command by a keyed hash of its id: of all that JetStream writes, ``sched.db`` alone, which has the
subjects of schedules, is not encrypted (nats-server 2.15.1, as it ends; found by ``tests/acceptance``), and an id may
hold a phone number. A schedule of an earlier version, under the id itself, rings as before; one that is taken back
rings in vain.
"""

from datetime import UTC, datetime, timedelta
from hashlib import blake2b
from typing import Final, Literal

import structlog
from msgspec import Struct

from gateway.nats import wire
from gateway.nats.publisher import Outgoing
from gateway.nats.pull import Delivery
from gateway.nats.queue import Source
from protocol import subjects
from protocol.bus import Due, Later
from protocol.codec import Encoding, decode, encode
from protocol.errors import InvalidBodyError

log = structlog.get_logger(__name__)

SCHEDULE: Final = "Nats-Schedule"
TARGET: Final = "Nats-Schedule-Target"
_NAME_BYTES: Final = 16


class Note(Struct, frozen=True, kw_only=True):
    """The body of a schedule."""

    v: Literal[1] = 1
    id: str
    run: int


def source(clinic: str, channel: str) -> Source:
    """The consumer of what is due."""
    return Source(subjects.STREAM_LATER, f"{subjects.STREAM_LATER}-{channel}", subjects.due(clinic, channel))


def subject(clinic: str, channel: str, id: str, key: bytes) -> str:
    """Where the schedule of the command ``id`` is."""
    return subjects.later(clinic, channel, blake2b(id.encode(), key=key, digest_size=_NAME_BYTES).hexdigest())


def schedule(clinic: str, channel: str, later: Later, key: bytes) -> Outgoing:
    """The message that has ``later`` given out at its time; ``key`` as for ``subject``."""
    # Without a Nats-Msg-Id: the same schedule, taken back and made again, is no duplicate.
    headers = {SCHEDULE: f"@at {_whole_seconds(later.at)}", TARGET: subjects.due(clinic, channel)}
    return Outgoing(
        subject(clinic, channel, later.id, key),
        wire.header_block(headers),
        encode(Note(id=later.id, run=later.run), Encoding.JSON),
        f"the schedule of {later.id}",
    )


def due(delivery: Delivery) -> Due | None:
    """What was delivered by ``source``; None, and a line in the log, if it is none of ours."""
    try:
        note = decode(delivery.body, Note)
    except InvalidBodyError as error:
        log.error("schedule_unreadable", consumer=delivery.pull.name, error=str(error))
        return None
    return Due(id=note.id, run=note.run, token=delivery)


def _whole_seconds(at: datetime) -> str:
    """``at`` as the server reads it, never earlier."""
    moment = at.astimezone(UTC)
    if moment.microsecond:
        moment = moment.replace(microsecond=0) + timedelta(seconds=1)
    return moment.isoformat().replace("+00:00", "Z")
