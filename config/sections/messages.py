"""Settings of messages: how they go out, how they come in, how they are told."""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta, Struct

from config.sections.bounds import (
    SECONDS,
    Burst,
    Bytes,
    Clock,
    Count,
    Pause,
    PerDay,
    PerMinute,
    Seconds,
    TypingSpeed,
    WarmUp,
    Word,
)
from protocol.codec import Encoding


class Outbox(Struct, frozen=True, kw_only=True):
    """How a channel works off its commands. If too many attempts fail, its circuit breaker lets nothing through for a
    while, and then one command that probes."""

    window: Count = 64
    """Commands that could be sent now; while there are fewer, more are taken from the queue."""
    backlog: Count = 10_000
    """Commands that a channel has taken from the queue, at most."""
    bytes: Bytes = 32 << 20
    """What those say, at most, in bytes."""
    in_flight: Annotated[int, Meta(ge=1, le=1000)] = 16
    """Commands that the port has at once; at most ``outbox.window``."""
    attempts: Annotated[int, Meta(ge=1, le=100)] = 5
    """How often a command is tried before it is a dead letter."""
    backoff_base: Pause = 1.0
    """The pause after the first attempt; it doubles from one to the next."""
    backoff_cap: Pause = 60.0
    """The longest pause between attempts."""
    on_uncertain: Literal["resend", "hold"] = "resend"
    """What becomes of a command that may have been sent already: ``resend``, or ``hold`` it for a person."""
    breaker_rate: Annotated[float, Meta(gt=0, le=1)] = 0.5
    """The part of attempts whose failure opens the circuit breaker."""
    breaker_window: Pause = 60.0
    """Over how long attempts are looked at for that."""
    breaker_minimum: Count = 10
    """Attempts within that time below which it stays closed."""
    breaker_pause: Seconds = 30.0
    """How long an open circuit breaker lets nothing through."""


class Uncertain(Struct, frozen=True, kw_only=True):
    """What may have been sent when something died: a receipt that names it is waited for, and then
    ``outbox.on_uncertain`` decides."""

    wait: Seconds = 30.0
    """How long, from when WhatsApp has delivered what came in meanwhile."""


class Pacing(Struct, frozen=True, kw_only=True):
    """How fast a channel sends, so that WhatsApp does not take it for a machine; a channel can have its own."""

    enabled: bool = True
    """Whether any of this holds."""
    per_minute: PerMinute = 20.0
    """Messages a minute, on average."""
    burst: Burst = 5
    """Messages at once, after a pause."""
    per_day: PerDay = 200
    """Messages a day."""
    new_per_day: PerDay = 50
    """Messages a day to people who never wrote and were never written to."""
    warm_up: WarmUp = msgspec.field(default_factory=lambda: [20, 30, 45, 65, 90, 120, 160])
    """Messages a day on a number's first days, from the first day's on."""
    quiet_from: Clock = "00:00"
    """From then on (the clinic's time) only high priority goes out, and to who wrote in the last 24 hours."""
    quiet_until: Clock = "00:00"
    """Until then; if it equals ``pacing.quiet_from``, no hour is quiet."""
    restriction: Pause = 21_600.0
    """How long new people wait after WhatsApp has last refused one because it restricts the number."""
    typing_per_s: TypingSpeed = 0.0
    """Characters a second at which the channel is shown typing before a text; 0: it is not."""
    typing_most: Seconds = 5.0
    """For how long at most it is shown typing."""


class Media(Struct, frozen=True, kw_only=True):
    """Media that a command names by its ``media.url``: fetched from public servers over https alone."""

    allow_networks: Annotated[list[Annotated[str, Meta(min_length=1, max_length=64)]], Meta(max_length=100)] = (
        msgspec.field(default_factory=list)
    )
    """Other networks (``10.1.2.0/24``) that it may name, and by http there, such as a media server's of your own: every
    service that may send can then reach all that answers in them."""
    deadline: Annotated[float, Meta(ge=1, le=50, extra=SECONDS)] = 30.0
    """Within which one is fetched."""
    at_once: Annotated[int, Meta(ge=1, le=32)] = 4
    """Those of one clinic that are fetched at the same time."""


class Events(Struct, frozen=True, kw_only=True):
    """How events are written."""

    encoding: Encoding = Encoding.MSGPACK
    """Of their bodies."""
    from_me: bool = False
    """Also publish what the account's owner sends from other devices."""


class Inbox(Struct, frozen=True, kw_only=True):
    """How what comes in is dealt with. In words, case, accents and punctuation make no difference."""

    opt_out_words: list[Word] = msgspec.field(default_factory=lambda: ["SAIR", "PARAR", "STOP"])
    """A person whose whole message is one of these is sent nothing more."""
    opt_in_words: list[Word] = msgspec.field(default_factory=lambda: ["VOLTAR", "START"])
    """Until one of their messages is one of these."""
    in_memory: Annotated[int, Meta(ge=16, le=10_000)] = 256
    """Events of a channel that NATS does not have yet and that are held in memory; others are in the clinic's database
    alone."""
    media_at_once: Annotated[int, Meta(ge=1, le=1000)] = 16
    """Media that is fetched at the same time, of all clinics (at most 4 of a channel); each is whole in memory. A
    clinic has at most as many as are left for the others."""
    backlog_wait: Pause = 10.0
    """A backlog that WhatsApp does not announce within so long of a connection is taken to be empty."""
