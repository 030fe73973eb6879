"""What the settings say about channels, as their actors want it."""

from importlib.metadata import version

from actors.channel.life import Policy
from actors.channel.optout import OptOut
from actors.channel.outbox import OutboxPolicy
from actors.channel.sealing import SealingPolicy
from actors.channel.sending import SendingPolicy
from actors.channel.surroundings import ChannelPolicy
from actors.channel.telling import ReceivingPolicy
from config.own import own_policy, pacing_policy
from config.sections import Settings
from supervisor.backoff import Backoff
from supervisor.breaker import Breaker, Consecutive, FailureRate
from supervisor.window import Window


def channel_policy(settings: Settings) -> ChannelPolicy:
    """What the settings say about channels."""
    reconnect = settings.reconnect
    return ChannelPolicy(
        life=_life(settings),
        breaker=Breaker(trip=Consecutive(reconnect.breaker_failures), pause_s=reconnect.breaker_pause_s),
        sending=_sending(settings),
        receiving=_receiving(settings),
        sealing=SealingPolicy(interval_s=settings.vault.interval),
        device_name=settings.whatsapp.device_name,
        proxy=settings.whatsapp.proxy or None,
        own=own_policy,
    )


def _life(settings: Settings) -> Policy:
    reconnect = settings.reconnect
    return Policy(
        patience_s=reconnect.patience,
        open_s=settings.calls.connect_deadline,
        pairing_s=settings.pairing.connect_patience,
        max_codes=settings.pairing.max_codes,
        max_attempts=reconnect.max_attempts,
        backoff=Backoff(base_s=reconnect.base, factor=reconnect.factor, cap_s=reconnect.cap),
        lazy=settings.channel.start == "lazy",
        idle_after_s=settings.channel.idle_after,
        client=version("neonize"),
    )


def _sending(settings: Settings) -> SendingPolicy:
    outbox = settings.outbox
    return SendingPolicy(
        outbox=OutboxPolicy(
            window=outbox.window,
            backlog=outbox.backlog,
            bytes=outbox.bytes,
            in_flight=outbox.in_flight,
            attempts=outbox.attempts,
            on_uncertain=outbox.on_uncertain,
            backoff=Backoff(base_s=outbox.backoff_base, cap_s=outbox.backoff_cap),
        ),
        breaker=Breaker(
            trip=FailureRate(threshold=outbox.breaker_rate, minimum=outbox.breaker_minimum),
            pause_s=outbox.breaker_pause,
            window=Window(span_s=outbox.breaker_window),
        ),
        deadline_s=settings.calls.send_deadline,
        media_limit=settings.limits.media_bytes,
        uncertain_wait_s=settings.uncertain.wait,
        pacing=pacing_policy(settings.pacing),
    )


def _receiving(settings: Settings) -> ReceivingPolicy:
    inbox = settings.inbox
    return ReceivingPolicy(
        from_me=settings.events.from_me,
        media_timeout_s=settings.calls.media_timeout,
        media_limit=settings.limits.media_bytes,
        in_memory=inbox.in_memory,
        backlog_s=inbox.backlog_wait,
        optout=OptOut.of(inbox.opt_out_words, inbox.opt_in_words),
    )
