"""States and snapshots of clinics and channels, and the records that say which are wanted."""

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any

import msgspec
from msgspec import Meta, Struct

from protocol.codec import Moment
from protocol.ids import ChannelId, ClinicId
from protocol.vault import Restoration


class ChannelState(StrEnum):
    """The wire names of a channel's nine states."""

    INITIALIZING = "initializing"
    QR_REQUIRED = "qr_required"
    PAIRING = "pairing"
    CONNECTED = "connected"
    RECONNECTING = "reconnecting"
    DISCONNECTED = "disconnected"
    LOGGED_OUT = "logged_out"
    SUSPENDED = "suspended"
    ERROR = "error"


class WantedState(StrEnum):
    """What an operator last asked of a channel; it holds over restarts."""

    CONNECTED = "connected"
    DISCONNECTED = "disconnected"
    SUSPENDED = "suspended"


class ClinicState(StrEnum):
    """The wire names of a clinic's states."""

    RUNNING = "running"
    DEGRADED = "degraded"
    ERROR = "error"
    QUARANTINED = "quarantined"
    SUSPENDED = "suspended"


class Breaker(StrEnum):
    """The state of a circuit breaker: all is let through, nothing, or one probe is under way."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half_open"


DisplayName = Annotated[str, Meta(min_length=1, max_length=120)]


class ClinicRecord(Struct, frozen=True, kw_only=True):
    """A wanted clinic, as it stands in the registry bucket."""

    id: ClinicId
    name: DisplayName
    timezone: str = "America/Sao_Paulo"
    created_at: Moment


class ChannelRecord(Struct, frozen=True, kw_only=True):
    """A wanted channel, as it stands in the registry bucket. ``wanted``: as it is when it is started."""

    clinic: ClinicId
    id: ChannelId
    name: DisplayName
    created_at: Moment
    wanted: WantedState = WantedState.CONNECTED
    config: dict[str, Any] = msgspec.field(default_factory=dict)


class ClinicSnapshot(Struct, frozen=True, kw_only=True):
    """A clinic as it is now; ``reason`` is empty while it runs."""

    id: str
    name: str
    timezone: str
    state: ClinicState
    reason: str
    channels: dict[str, int]
    created_at: Moment

    @classmethod
    def of(cls, record: ClinicRecord, state: ClinicState, reason: str) -> "ClinicSnapshot":
        """A clinic whose channels have not been counted."""
        return cls(
            id=record.id,
            name=record.name,
            timezone=record.timezone,
            state=state,
            reason=reason,
            channels={},
            created_at=record.created_at,
        )


class ChannelSnapshot(Struct, frozen=True, kw_only=True):
    """A channel as it is now (the shape of HTTP and rpc ``status``). ``phone`` is digits; ``queued`` counts commands
    that this channel has taken and not finished; ``breaker`` is the one around connecting.

    ``restricted_until``: WhatsApp keeps this number from new contacts, for about so long. ``spooled``: about how much
    came in that NATS does not have yet. ``undecryptable``: messages that could not be decrypted, since the channel was
    started. ``restored``: what its session store was at that time; ``sealed_at``: when it was last kept for a restart
    of the machine, since then; ``unsealed``: why it is not, if that fails again and again.
    """

    clinic: str
    channel: str
    name: str
    wanted: WantedState
    state: ChannelState
    reason: str
    since: Moment
    phone: str | None
    jid: str | None
    profile_name: str | None
    attempt: int
    next_retry_at: Moment | None
    breaker: Breaker
    sending_breaker: Breaker
    queued: int
    created_at: Moment
    last_connected_at: Moment | None
    last_activity_at: Moment | None
    config: dict[str, Any]
    restricted_until: Moment | None = None
    spooled: int = 0
    undecryptable: int = 0
    restored: Restoration | None = None
    sealed_at: Moment | None = None
    unsealed: str | None = None

    @classmethod
    def not_begun(cls, record: ChannelRecord, since: datetime) -> "ChannelSnapshot":
        """A channel that has had no actor yet, and is wanted ``since`` then."""
        return cls(
            clinic=record.clinic,
            channel=record.id,
            name=record.name,
            wanted=record.wanted,
            state=ChannelState.INITIALIZING,
            reason="starting",
            since=since,
            phone=None,
            jid=None,
            profile_name=None,
            attempt=0,
            next_retry_at=None,
            breaker=Breaker.CLOSED,
            sending_breaker=Breaker.CLOSED,
            queued=0,
            created_at=record.created_at,
            last_connected_at=None,
            last_activity_at=None,
            config=record.config,
        )


class QrCode(Struct, frozen=True, kw_only=True):
    """The pairing code to show now. ``code`` is what the QR encodes."""

    code: str
    expires_at: Moment


class PairingCode(Struct, frozen=True, kw_only=True):
    """An eight-character code (``XXXX-XXXX``) to type on the phone ``phone``."""

    code: str
    phone: str
    expires_at: Moment
