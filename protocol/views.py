"""Commands as operators and services see them: the shapes of HTTP, rpc and the command line."""

from enum import StrEnum
from typing import Any

from msgspec import Struct

from protocol.codec import Moment
from protocol.events import ErrorBody, FailedAttempt
from protocol.subjects import Priority


class CommandState(StrEnum):
    """Where a command is. The last five are how its last run ended; ``discarded``: a person put a failed or held one
    away."""

    SCHEDULED = "scheduled"
    WAITING = "waiting"
    IN_FLIGHT = "in_flight"
    SENT = "sent"
    FAILED = "failed"
    EXPIRED = "expired"
    HELD = "held"
    DISCARDED = "discarded"


class CommandView(Struct, frozen=True, kw_only=True):
    """A command, without what it says. ``history`` holds the attempts that failed, of all runs, oldest first."""

    id: str
    run: int
    state: CommandState
    priority: Priority
    to: str
    type: str
    attempts: int
    queued_at: Moment
    not_before: Moment | None = None
    expires_at: Moment | None = None
    deliver_by: Moment | None = None
    sent_at: Moment | None = None
    delivered_at: Moment | None = None
    read_at: Moment | None = None
    wa_id: str | None = None
    error: ErrorBody | None = None
    history: list[FailedAttempt] = []
    meta: dict[str, Any] | None = None


class CommandPage(Struct, frozen=True, kw_only=True):
    """A list of commands as it is answered; ``next`` is the cursor for more."""

    items: list[CommandView]
    next: str | None = None


class NumberCheck(Struct, frozen=True, kw_only=True):
    """Whether a number (digits) is on WhatsApp, and its JID there."""

    phone: str
    on_whatsapp: bool
    jid: str | None = None


class NumberChecks(Struct, frozen=True, kw_only=True):
    """The answer to ``check``."""

    items: list[NumberCheck]


class ChannelStats(Struct, frozen=True, kw_only=True):
    """A channel's commands by state, and inbound events that wait for NATS."""

    channel: str
    commands: dict[CommandState, int]
    spooled: int


class ClinicStats(Struct, frozen=True, kw_only=True):
    """The answer to ``stats``: what a clinic's channels hold, and its database's bytes and their limit."""

    clinic: str
    channels: list[ChannelStats]
    database_bytes: int
    database_limit: int
