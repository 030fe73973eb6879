"""The NATS subjects, streams, accounts and buckets; the one place where their names are spelled."""

from enum import StrEnum
from typing import Final

STREAM_SEND: Final = "send"
STREAM_EVENTS: Final = "events"
STREAM_DEAD: Final = "dead"
STREAM_LATER: Final = "later"
MEDIA_BUCKET: Final = "media"
REGISTRY_BUCKET: Final = "plantao_registry"
SERVICE: Final = "plantao"
ACCOUNT_NODE: Final = "plantao"
ACCOUNT_PLATFORM: Final = "platform"

EVENT_SUBJECTS: Final = ("clinic.*.channel.*.event.>",)
DEAD_SUBJECTS: Final = ("clinic.*.channel.*.dead",)

HEADER_CORRELATION: Final = "Plantao-Correlation-Id"
HEADER_TRACE: Final = "traceparent"
HEADER_CONTENT_TYPE: Final = "Content-Type"
HEADER_MESSAGE_ID: Final = "Nats-Msg-Id"


class Priority(StrEnum):
    """Of a send command; the value is the last token of the subject (normal has none)."""

    HIGH = "high"
    NORMAL = "normal"
    BULK = "bulk"


class EventKind(StrEnum):
    """The last token of an event's subject."""

    MESSAGE = "message"
    RECEIPT = "receipt"
    RESULT = "result"
    STATE = "state"
    QR = "qr"
    GAP = "gap"


class Verb(StrEnum):
    """A request to a channel: the last token of its rpc subject. HTTP has routes of its own (``gateway.http``)."""

    STATUS = "status"
    CONNECT = "connect"
    DISCONNECT = "disconnect"
    SUSPEND = "suspend"
    RESUME = "resume"
    LOGOUT = "logout"
    PAIR = "pair"
    QR = "qr"
    CHECK = "check"
    MARK_READ = "mark_read"
    PRESENCE = "presence"
    COMMAND = "command"
    CANCEL = "cancel"
    RELEASE = "release"
    REPLAY = "replay"
    DISCARD = "discard"


class ClinicVerb(StrEnum):
    """A request to a clinic: the last token of its rpc subject."""

    CHANNELS = "channels"
    STATS = "stats"


def account(clinic: str) -> str:
    """The NATS account of a clinic."""
    return f"clinic-{clinic}"


def channel_root(clinic: str, channel: str) -> str:
    """What all subjects of a channel begin with."""
    return f"clinic.{clinic}.channel.{channel}"


def send(clinic: str, channel: str, priority: Priority = Priority.NORMAL) -> str:
    """Where send commands for a channel are published."""
    root = f"{channel_root(clinic, channel)}.send"
    return root if priority is Priority.NORMAL else f"{root}.{priority}"


def later(clinic: str, channel: str, name: str) -> str:
    """Where the schedule of a command waits for its time; ``name`` is not the command's id, which may tell of a person,
    but says which it is."""
    return f"{channel_root(clinic, channel)}.later.{name}"


def due(clinic: str, channel: str) -> str:
    """Where the server puts what was scheduled when its time has come."""
    return f"{channel_root(clinic, channel)}.due"


def event(clinic: str, channel: str, kind: EventKind) -> str:
    """Where a channel publishes events of a kind."""
    return f"{channel_root(clinic, channel)}.event.{kind}"


def dead(clinic: str, channel: str) -> str:
    """Where a channel publishes its dead letters."""
    return f"{channel_root(clinic, channel)}.dead"


def rpc(clinic: str, channel: str, verb: Verb) -> str:
    """Where requests to a channel are sent."""
    return f"{channel_root(clinic, channel)}.rpc.{verb}"


def clinic_rpc(clinic: str, verb: ClinicVerb) -> str:
    """Where requests to a clinic are sent."""
    return f"clinic.{clinic}.rpc.{verb}"


def registry_clinic(clinic: str) -> str:
    """The registry key of a clinic."""
    return f"clinic.{clinic}"


def registry_channel(clinic: str, channel: str) -> str:
    """The registry key of a channel."""
    return f"channel.{clinic}.{channel}"
