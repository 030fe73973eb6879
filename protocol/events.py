"""The events that a channel publishes on NATS. Every body has ``v``, ``clinic`` and ``channel``.

``Nats-Msg-Id`` is a stable hash, so that what is published twice after a crash is stored once.
"""

import hashlib
from collections.abc import Sequence
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta, Struct

from protocol.channel import Breaker, ChannelState
from protocol.codec import Moment
from protocol.codes import ErrorCode


class Event(Struct, frozen=True, kw_only=True):
    """What all events have."""

    v: Literal[1] = 1
    clinic: str
    channel: str


class EventMedia(Struct, frozen=True, kw_only=True):
    """Media of an inbound message: ``object`` is its key in the clinic's Object Store; None with ``error`` set."""

    object: str | None
    mime: str
    size: int
    sha256: str
    filename: str | None = None
    caption: str | None = None
    error: str | None = None


class EventReply(Struct, frozen=True, kw_only=True):
    """The message that an inbound message quotes."""

    id: str
    from_: str | None = msgspec.field(default=None, name="from")


class MessageEvent(Event, frozen=True, kw_only=True):
    """An inbound message. ``chat``, ``from`` are JIDs; ``from_phone`` digits and ``from_lid`` a JID where known.

    ``backlog``: it waited on WhatsApp's server while we were away, so no automatic answer should be given. ``type`` is
    as in the send command, ``unknown``, or ``undecryptable`` for one that could not be decrypted: its sender was asked
    for it again. ``opted_out``: it asks for no more messages (true), or for messages again (false).
    """

    wa_id: str
    chat: str
    from_: str = msgspec.field(name="from")
    from_phone: str | None
    from_lid: str | None
    push_name: str | None
    is_group: bool
    from_me: bool
    backlog: bool
    at: Moment
    type: str
    text: str | None = None
    media: EventMedia | None = None
    reply_to: EventReply | None = None
    target: str | None = None
    mentions: list[str] = msgspec.field(default_factory=list)
    edited: bool = False
    revoked: bool = False
    forwarded: bool = False
    opted_out: bool | None = None


class ReceiptEvent(Event, frozen=True, kw_only=True):
    """``from`` has received, read or played the message ``wa_id``; ``id`` and ``meta`` of the command that sent it."""

    wa_id: str
    id: str | None
    type: Literal["delivered", "read", "played"]
    chat: str
    from_: str = msgspec.field(name="from")
    at: Moment
    meta: dict[str, Any] | None = None


class ErrorBody(Struct, frozen=True, kw_only=True):
    """Why a command failed. ``code`` is one of ``protocol.codes.ErrorCode``."""

    code: Annotated[str, Meta(extra_json_schema={"enum": [code.value for code in ErrorCode]})]
    message: str
    permanent: bool

    @classmethod
    def of(cls, code: ErrorCode, message: str) -> "ErrorBody":
        """The body for ``code``, whose permanence goes with it."""
        return cls(code=code.value, message=message, permanent=code.permanent)


ResultStatus = Literal["sent", "failed", "expired", "held", "late"]


class ResultEvent(Event, frozen=True, kw_only=True):
    """The outcome of a command: exactly one for each (``id``, ``run``); given again when the id is sent again."""

    id: str
    run: int = 1
    status: ResultStatus
    repeat: bool = False
    wa_id: str | None = None
    to: str | None = None
    attempts: int = 0
    error: ErrorBody | None = None
    queued_at: Moment | None = None
    sent_at: Moment | None = None
    meta: dict[str, Any] | None = None


class StateEvent(Event, frozen=True, kw_only=True):
    """A transition of a channel. ``attempt`` counts openings since the last connection; times are UTC."""

    state: ChannelState
    previous: ChannelState
    reason: str
    since: Moment
    attempt: int
    next_retry_at: Moment | None
    breaker: Breaker


class QrEvent(Event, frozen=True, kw_only=True):
    """A pairing code to scan; each new one replaces the one before. It is a secret until it expires."""

    code: str
    expires_at: Moment


class FailedAttempt(Struct, frozen=True, kw_only=True):
    """An attempt of a run that failed, and when."""

    run: int
    number: int
    at: Moment
    error: ErrorBody


class DeadLetter(Event, frozen=True, kw_only=True):
    """A command that will not be tried again. ``body``: what was received; ``id`` is None if none could be read.

    ``history``: every attempt that failed, of all runs, oldest first.
    """

    id: str | None
    run: int = 1
    error: ErrorBody
    attempts: int
    at: Moment
    body: bytes
    history: list[FailedAttempt] = []
    meta: dict[str, Any] | None = None


class LostMessage(Struct, frozen=True, kw_only=True):
    """A message that WhatsApp takes for received and that we do not have."""

    wa_id: str
    chat: str
    from_: str = msgspec.field(name="from")


class GapEvent(Event, frozen=True, kw_only=True):
    """After each reconnection: what waited on WhatsApp's server and what came of it, between ``since``, when the last
    session ended (None: not known), and ``until``.

    ``announced`` and ``arrived`` count messages, undecryptable ones among the latter. ``lost``: those that WhatsApp was
    told we have, before we had written them down; their senders should be asked.
    """

    since: Moment | None
    until: Moment
    announced: int
    arrived: int
    undecryptable: int
    lost: list[LostMessage]


def message_id(channel: str, *parts: str) -> str:
    """A stable ``Nats-Msg-Id`` for an event of ``channel`` told apart by ``parts`` (32 hexadecimal digits)."""
    return stable_hash((channel, *parts))


def stable_hash(parts: Sequence[str]) -> str:
    """A hash of ``parts`` in which no two different sequences run together."""
    digest = hashlib.blake2b(digest_size=16)
    for part in parts:
        encoded = part.encode()
        digest.update(len(encoded).to_bytes(4, "big") + encoded)
    return digest.hexdigest()
