"""Settings of channels: their ports, their connections, and when they have one."""

import sys
from typing import Annotated, Literal

import msgspec
from msgspec import Meta, Struct

from config.sections.bounds import SECONDS, Count, Deadline, Pause, Seconds


class WhatsApp(Struct, frozen=True, kw_only=True):
    """How ports are started and what the phone shows."""

    port_command: list[str] = msgspec.field(default_factory=lambda: [sys.executable, "-m", "gateway.whatsapp.nursery"])
    """The program, and its arguments, that starts the nursery, from which ports are forked."""
    env: dict[str, str] = msgspec.field(default_factory=dict)
    """Added to the nursery's environment."""
    device_name: Annotated[str, Meta(min_length=1, max_length=50)] = "Plantão"
    """What the phone lists under linked devices."""
    proxy: str = ""
    """By which ports reach WhatsApp (``http://``, ``https://`` or ``socks5://``); empty: none. May hold a password."""


class Reconnect(Struct, frozen=True, kw_only=True):
    """When a lost session is given a new port."""

    patience: Seconds = 10.0
    """How long whatsmeow may redial by itself before the port is replaced."""
    base: Pause = 1.0
    """The first pause before a new port, of which a random part is waited."""
    factor: Annotated[float, Meta(ge=1, le=10)] = 2.0
    """By which each pause is longer than the one before."""
    cap: Pause = 30.0
    """The longest pause."""
    max_attempts: Annotated[int, Meta(ge=0)] = 0
    """New ports at most before the channel is in error; 0: it goes on for ever."""
    breaker_failures: Count = 5
    """Failures in a row that open the circuit breaker."""
    breaker_pause_s: Seconds = 60.0
    """How long an open circuit breaker lets no connection be tried."""


class Pairing(Struct, frozen=True, kw_only=True):
    """How a phone is linked."""

    max_codes: Annotated[int, Meta(ge=1, le=6)] = 6
    """QR codes shown, one after another, before the pairing ends."""
    connect_patience: Seconds = 10.0
    """Within which the session must be up once a phone has accepted."""


class Channel(Struct, frozen=True, kw_only=True):
    """When a channel holds a connection. A suspended one receives nothing: WhatsApp keeps it until the next connection.
    Whatever an operator suspends or disconnects stays so."""

    start: Literal["eager", "lazy"] = "eager"
    """``eager`` connects every channel when the node starts; ``lazy`` leaves it suspended until there is something to
    send, or an operator connects it."""
    idle_after: Seconds = 0.0
    """A channel that has had no messages, receipts or commands for so long is suspended as by ``lazy``; 0: never."""


class Calls(Struct, frozen=True, kw_only=True):
    """How long a call into a port may take; a port that takes longer is killed (but for media)."""

    send_deadline: Deadline = 80.0
    """For a send; WhatsApp's own limit is 75 s, so it stays above that."""
    connect_deadline: Deadline = 60.0
    """For a port to start, from its turn on (``boot.parallel``), and as long again to connect once it is there."""
    media_timeout: Deadline = 30.0
    """Within which the media of a message that came in is fetched and stored, from its turn on
    (``inbox.media_at_once``); else the message is told without it."""


class Boot(Struct, frozen=True, kw_only=True):
    """How many channels start at once."""

    parallel: Annotated[int, Meta(ge=1, le=64)] = 4
    """Channels that open their ports at the same time."""
    jitter_s: Annotated[float, Meta(ge=0, le=60, extra=SECONDS)] = 0.2
    """The longest of the random pauses before each."""
