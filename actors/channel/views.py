"""How a channel's life looks from outside: pure functions from what it is to what is shown."""

from datetime import datetime
from typing import Final

from actors.channel.keeping import Kept
from actors.channel.life import Life
from protocol.channel import Breaker, ChannelRecord, ChannelSnapshot, ChannelState, QrCode, WantedState
from protocol.events import QrEvent, StateEvent
from supervisor.breaker import BreakerState

NOT_KEPT: Final = Kept()


def snapshot(
    record: ChannelRecord,
    life: Life,
    *,
    wanted: WantedState,
    sending_breaker: BreakerState,
    queued: int,
    last_activity_at: datetime | None,
    restricted_until: datetime | None = None,
    spooled: int = 0,
    undecryptable: int = 0,
    kept: Kept = NOT_KEPT,
) -> ChannelSnapshot:
    """The shape of ``status``."""
    return ChannelSnapshot(
        clinic=record.clinic,
        channel=record.id,
        name=record.name,
        wanted=wanted,
        state=life.state,
        reason=life.reason,
        since=life.since,
        phone=life.phone,
        jid=life.jid,
        profile_name=life.profile_name,
        attempt=life.attempt,
        next_retry_at=life.next_retry_at,
        breaker=Breaker(life.breaker.state.value),
        sending_breaker=Breaker(sending_breaker.value),
        queued=queued,
        created_at=record.created_at,
        last_connected_at=life.last_connected_at,
        last_activity_at=last_activity_at,
        config=record.config,
        restricted_until=restricted_until,
        spooled=spooled,
        undecryptable=undecryptable,
        restored=kept.restored,
        sealed_at=kept.sealed_at,
        unsealed=kept.trouble,
    )


def without_actor(record: ChannelRecord, life: Life) -> ChannelSnapshot:
    """A channel of which nobody but ``life`` can tell anything."""
    return snapshot(
        record,
        life,
        wanted=record.wanted,
        sending_breaker=BreakerState.CLOSED,
        queued=0,
        last_activity_at=None,
    )


def state_event(record: ChannelRecord, life: Life, previous: ChannelState) -> StateEvent:
    """The event of a transition from ``previous``."""
    return StateEvent(
        clinic=record.clinic,
        channel=record.id,
        state=life.state,
        previous=previous,
        reason=life.reason,
        since=life.since,
        attempt=life.attempt,
        next_retry_at=life.next_retry_at,
        breaker=Breaker(life.breaker.state.value),
    )


def qr_event(record: ChannelRecord, qr: QrCode) -> QrEvent:
    """The event of a code to scan."""
    return QrEvent(clinic=record.clinic, channel=record.id, code=qr.code, expires_at=qr.expires_at)
