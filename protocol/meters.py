"""What has been counted of channels since the node was started: for metrics, and for who looks on."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Protocol

from msgspec import Struct


class ChannelMeter(Struct, frozen=True, kw_only=True):
    """Of one channel; counts never go back while the node runs, whatever becomes of the channel's actor.

    ``accepted``: commands taken into the ledger (not repeats). ``ended``: runs by result status (``sent failed expired
    held late``). ``failed``: runs that failed, by error code; ``dead``: dead letters, both with the bodies that were
    refused and never accepted. ``receipts``: messages of commands for which one came, by type (``delivered read
    played``; what was read has been delivered). ``inbound``: messages that came in from others. ``lost``: inbound
    messages that a gap report named as lost. ``undecryptable``: messages that could not be decrypted. ``reconnects``:
    how often a lost session was got back by itself, or a port was opened for that. ``oldest_waiting_at``: since when
    the oldest command waits that could be sent by now; None: none does.
    """

    clinic: str
    channel: str
    accepted: int
    ended: Mapping[str, int]
    failed: Mapping[str, int]
    dead: int
    receipts: Mapping[str, int]
    inbound: int
    lost: int
    undecryptable: int
    reconnects: int
    last_inbound_at: datetime | None
    oldest_waiting_at: datetime | None


class ClinicTotals(Struct, frozen=True, kw_only=True):
    """What the channels of one clinic have done, together; see ``ChannelMeter``. ``received`` is ``inbound`` there."""

    accepted: int = 0
    sent: int = 0
    delivered: int = 0
    read: int = 0
    failed: int = 0
    dead: int = 0
    received: int = 0


class Distribution(Struct, frozen=True, kw_only=True):
    """A histogram: ``counts`` of what is at most each of ``bounds`` seconds (one count more, for what is above all of
    them), not cumulated, and the ``sum`` of all."""

    bounds: Sequence[float]
    counts: Sequence[int]
    sum: float


class ClinicTimes(Struct, frozen=True, kw_only=True):
    """How long it took in one clinic, in seconds: ``queue`` from the queue (or ``not_before``) until it was known that
    WhatsApp has it, ``send`` the call into the port alone, ``delivery`` from WhatsApp's acknowledgement to the
    recipient's phone (by WhatsApp's clock, in whole seconds)."""

    clinic: str
    queue: Distribution
    send: Distribution
    delivery: Distribution


class Meters(Protocol):
    """Whoever counts. In any thread; waits for no actor."""

    def channels(self) -> Sequence[ChannelMeter]:
        """Of all channels that there are, by clinic and channel."""

    def totals(self) -> Mapping[str, ClinicTotals]:
        """Of all clinics that have a channel which has begun. Cheap: a thousand channels take some 0.3 ms."""

    def times(self) -> Sequence[ClinicTimes]:
        """Of all clinics that there are."""
