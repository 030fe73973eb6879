"""What a channel needs of the world, and what the settings say about channels."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from random import Random
from typing import Any

import structlog

from actors.board import Board
from actors.channel.context import Context
from actors.channel.flights import Flights
from actors.channel.life import Policy
from actors.channel.sealing import SealingPolicy
from actors.channel.sending import SendingPolicy
from actors.channel.telling import ReceivingPolicy
from actors.drain import Drain
from actors.meters import NodeMeters
from actors.turns import Turns
from protocol.bus import ClinicBus
from protocol.channel import ChannelRecord, ClinicSnapshot
from protocol.interfaces import Loop, PortOpener
from protocol.ledger import Ledger
from protocol.media import MediaSource
from protocol.telemetry import Telemetry
from protocol.vault import Vault
from supervisor.breaker import Breaker


@dataclass(frozen=True, slots=True, kw_only=True)
class ChannelPolicy:
    """Everything that settings say about channels. ``own``: what a channel's own settings make of it."""

    life: Policy = field(default_factory=Policy)
    breaker: Breaker = field(default_factory=Breaker)
    sending: SendingPolicy
    receiving: ReceivingPolicy = field(default_factory=ReceivingPolicy)
    sealing: SealingPolicy = field(default_factory=SealingPolicy)
    device_name: str = "Plantão"
    proxy: str | None = None
    own: Callable[["ChannelPolicy", Mapping[str, Any]], "ChannelPolicy"] | None = None

    def in_zone(self, timezone: str) -> "ChannelPolicy":
        """This, for a clinic whose days and quiet hours are in ``timezone``."""
        return replace(self, sending=replace(self.sending, pacing=replace(self.sending.pacing, zone=timezone)))

    def of(self, record: ChannelRecord) -> "ChannelPolicy":
        """This, with the channel's own settings."""
        return self if self.own is None else self.own(self, record.config)


class Policies:
    """What the settings say about channels by now: one for the node, and ``current`` may be replaced while it runs, in
    any thread. A channel takes it up when it begins and when it is told of its settings (``requests.Configure``)."""

    def __init__(self, current: ChannelPolicy) -> None:
        self.current = current

    def of(self, clinic: ClinicSnapshot | None) -> ChannelPolicy:
        """By the clinic's clock, once that is known."""
        return self.current if clinic is None else self.current.in_zone(clinic.timezone)


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What a channel needs of the world. ``store``: path of its session store on memory-backed storage; ``vault``:
    where it is kept while the machine is off; ``drain``: whether the node is ending; ``media_turns``: the node's, at
    media that came in."""

    record: ChannelRecord
    store: str
    bus: ClinicBus
    ledger: Ledger
    loop: Loop
    opener: PortOpener
    board: Board
    meters: NodeMeters
    policies: Policies
    vault: Vault
    web: MediaSource
    media_turns: Turns
    drain: Drain = field(default_factory=Drain)
    telemetry: Telemetry | None = None

    @property
    def policy(self) -> ChannelPolicy:
        """What the settings say by now, of all channels of the clinic."""
        return self.policies.of(self.board.clinic(self.record.clinic))

    def now(self) -> "Surroundings":
        """These, with the channel's record as it is by now: it may have been given other settings since."""
        latest = self.board.record(self.record.clinic, self.record.id)
        same = latest is not None and latest.created_at == self.record.created_at
        return replace(self, record=latest) if latest is not None and same else self

    def context(self, tell: Callable[[Any], None], timer: Callable[[str, float, Any], None]) -> Context:
        """What the parts of this channel share; ``tell`` and ``timer`` are its actor's."""
        record = self.record
        return Context(
            clinic=record.clinic,
            channel=record.id,
            bus=self.bus,
            ledger=self.ledger,
            web=self.web,
            loop=self.loop,
            remains=self.opener.remains(self.store),
            flights=Flights(),
            count=self.meters.of(record.clinic, record.id),
            tell=tell,
            timer=timer,
            random=Random(),  # noqa: S311 - jitter
            log=structlog.get_logger("actors.channel").bind(clinic=record.clinic, channel=record.id),
            telemetry=self.telemetry,
            media_turns=self.media_turns,
            ended=partial(self.board.ended, record.clinic, record.id),
        )
