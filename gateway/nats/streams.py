"""The streams and buckets of each account, and the one routine that creates and migrates them.

What is kept how long, and how much of it, is decided here and corrected on every new connection: a stream of an older
version, or one that somebody changed by hand, gets what this page says.
"""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Final

import structlog
from nats.js import JetStreamContext
from nats.js.api import DiscardPolicy, RetentionPolicy, StorageType, StreamConfig, StreamInfo
from nats.js.errors import NotFoundError

from protocol import subjects
from protocol.codec import MAX_BODY
from protocol.subjects import Priority

log = structlog.get_logger(__name__)

DAY: Final = 24 * 3600.0
MAX_SEND: Final = MAX_BODY + (64 << 10)
"""Bytes of a send command with its headers; a larger one is refused as it is published."""
MEDIA_STREAM: Final = f"OBJ_{subjects.MEDIA_BUCKET}"
_WINDOW: Final = 120.0
_NO_CHANNEL: Final = "-"
"""No valid identifier of a channel."""
REGISTRY_STREAM: Final = f"KV_{subjects.REGISTRY_BUCKET}"

_COMPARED: Final = (
    "subjects",
    "retention",
    "discard",
    "max_age",
    "max_bytes",
    "max_msg_size",
    "max_msgs_per_subject",
    "duplicate_window",
    "allow_rollup_hdrs",
    "allow_direct",
    "allow_msg_ttl",
    "allow_msg_schedules",
    "deny_delete",
)
"""What is migrated. A stream's storage can't be changed once it exists."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Retention:
    """How long is kept what, in seconds, and how much a clinic's account may hold, in bytes. ``duplicate_window``: for
    how long a stream knows a ``Nats-Msg-Id``, which nothing here relies on."""

    events: float = 7 * DAY
    dead: float = 30 * DAY
    media: float = 7 * DAY
    clinic_bytes: int = 2 << 30
    platform_bytes: int = 4 << 30
    duplicate_window: float = 120


def clinic_streams(clinic: str, retention: Retention, channels: Collection[str] = ()) -> list[StreamConfig]:
    """Of one clinic that serves ``channels``. Their sizes add up to 31/32 of what its account may hold."""
    root = subjects.channel_root(clinic, "*")
    part = retention.clinic_bytes // 16
    return [
        send_stream(clinic, retention, channels),
        later_stream(clinic, retention),
        _stream(
            subjects.STREAM_EVENTS,
            [f"{root}.event.>"],
            max_age=retention.events,
            max_bytes=6 * part,
            window=retention.duplicate_window,
        ),
        _stream(
            subjects.STREAM_DEAD,
            [f"{root}.dead"],
            max_age=retention.dead,
            max_bytes=part,
            window=retention.duplicate_window,
        ),
        _stream(
            MEDIA_STREAM,
            [f"$O.{subjects.MEDIA_BUCKET}.{part_of}.>" for part_of in ("C", "M")],
            max_age=retention.media,
            max_bytes=6 * part,
            discard=DiscardPolicy.NEW,
            allow_rollup_hdrs=True,
            allow_direct=True,
        ),
    ]


def send_stream(clinic: str, retention: Retention, channels: Collection[str]) -> StreamConfig:
    """The work queue of ``channels``: a command to any other meets nobody, and whoever published it hears so."""
    taken = [subjects.send(clinic, channel, priority) for channel in sorted(channels) for priority in Priority]
    # No rollup, TTL or schedules: whoever may publish here could abuse them.
    return _stream(
        subjects.STREAM_SEND,
        # A stream must have a subject: without channels, one that nobody sends commands to.
        taken or [f"{subjects.channel_root(clinic, _NO_CHANNEL)}.none"],
        retention=RetentionPolicy.WORK_QUEUE,
        discard=DiscardPolicy.NEW,
        max_bytes=retention.clinic_bytes // 16 * 2,
        max_msg_size=MAX_SEND,
    )


def later_stream(clinic: str, retention: Retention) -> StreamConfig:
    """Schedules and, on one subject for each channel, what is due. Nobody but Plantão may publish here: a schedule can
    do more than that. The server itself keeps only the newest schedule of a subject.

    It drops the oldest when it is full, because the server has it no other way: see ``room_for_schedules``.
    """
    root = subjects.channel_root(clinic, "*")
    return _stream(
        subjects.STREAM_LATER,
        [f"{root}.later.*", f"{root}.due"],
        retention=RetentionPolicy.WORK_QUEUE,
        max_bytes=retention.clinic_bytes // 32,
        allow_rollup_hdrs=True,
        allow_msg_schedules=True,
    )


def room_for_schedules(info: StreamInfo) -> bool:
    """False once the stream ``later`` is so full that it could soon drop what it holds: no more may be scheduled."""
    return info.state.bytes < (info.config.max_bytes or 0) // 4 * 3


def platform_streams(retention: Retention) -> list[StreamConfig]:
    """Of the account ``platform``: every clinic's events and dead letters in one stream."""
    shared = [*subjects.EVENT_SUBJECTS, *subjects.DEAD_SUBJECTS]
    return [
        _stream(subjects.STREAM_EVENTS, shared, max_age=retention.events, max_bytes=retention.platform_bytes),
    ]


def node_streams() -> list[StreamConfig]:
    """Of the account ``plantao``: the registry, a key-value bucket as all clients know it."""
    return [
        _stream(
            REGISTRY_STREAM,
            [f"$KV.{subjects.REGISTRY_BUCKET}.>"],
            max_msgs_per_subject=1,
            discard=DiscardPolicy.NEW,
            allow_rollup_hdrs=True,
            allow_direct=True,
            deny_delete=True,
        ),
    ]


async def ensure_stream(js: JetStreamContext, wanted: StreamConfig, *, keep: Collection[str] = ()) -> StreamInfo:
    """Create ``wanted``, or change the stream of that name to it in all but the fields in ``keep``; leaves one alone
    that is as it should be.

    Raises the client library's errors.
    """
    assert wanted.name is not None
    try:
        found = await js.stream_info(wanted.name)
    except NotFoundError:
        return await js.add_stream(wanted)
    changes = {
        field: getattr(wanted, field)
        for field in _COMPARED
        if field not in keep and (getattr(wanted, field) or None) != (getattr(found.config, field) or None)
    }
    if not changes:
        return found
    log.info("stream_migrated", stream=wanted.name, fields=sorted(changes))
    return await js.update_stream(found.config.evolve(**changes))


def _stream(
    name: str,
    stream_subjects: list[str],
    *,
    retention: RetentionPolicy = RetentionPolicy.LIMITS,
    discard: DiscardPolicy = DiscardPolicy.OLD,
    max_age: float = 0,
    max_bytes: int = -1,
    max_msg_size: int = -1,
    max_msgs_per_subject: int = -1,
    allow_rollup_hdrs: bool = False,
    allow_direct: bool = False,
    deny_delete: bool = False,
    allow_msg_schedules: bool = False,
    window: float = _WINDOW,
) -> StreamConfig:
    return StreamConfig(
        name=name,
        subjects=stream_subjects,
        storage=StorageType.FILE,
        retention=retention,
        discard=discard,
        max_age=max_age,
        max_bytes=max_bytes,
        max_msg_size=max_msg_size,
        max_msgs_per_subject=max_msgs_per_subject,
        duplicate_window=window,
        allow_rollup_hdrs=allow_rollup_hdrs,
        allow_direct=allow_direct,
        allow_msg_ttl=False,
        allow_msg_schedules=allow_msg_schedules,
        deny_delete=deny_delete,
    )
