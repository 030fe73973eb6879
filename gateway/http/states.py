"""Metrics of how clinics and channels are now.

A state that nobody is in is given as well where it is counted: a series that vanishes cannot raise an alert.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime

from gateway.http.catalogue import Samples
from protocol.channel import ChannelSnapshot, ChannelState, ClinicSnapshot


def put_clinics(samples: Samples, clinics: Sequence[ClinicSnapshot]) -> None:
    """All that are registered."""
    samples.put("plantao_clinics", len(clinics))
    for clinic in clinics:
        samples.put("plantao_clinic_state", 1, clinic.id, clinic.state)


def put_channels(samples: Samples, channels: Sequence[ChannelSnapshot], now: datetime) -> None:
    """All that are registered. A restriction that ends is no change of its channel: what is shown still names it."""
    count = Counter((each.clinic, each.state) for each in channels)
    for clinic in sorted({each.clinic for each in channels}):
        for state in ChannelState:
            samples.put("plantao_channels", count[clinic, state], clinic, state)
    for each in channels:
        of = (each.clinic, each.channel)
        samples.put("plantao_channel_state", 1, *of, each.state)
        samples.put("plantao_channel_since_timestamp_seconds", each.since.timestamp(), *of)
        restricted = each.restricted_until is not None and each.restricted_until > now
        samples.put("plantao_channel_restricted", restricted, *of)
        samples.put("plantao_session_unsealed", each.unsealed is not None, *of)
        samples.put("plantao_breaker_state", 1, *of, "connect", each.breaker)
        samples.put("plantao_breaker_state", 1, *of, "send", each.sending_breaker)
        samples.put("plantao_queued_commands", each.queued, *of)
        samples.put("plantao_spooled_events", each.spooled, *of)


def put_ports(samples: Samples, memory: Mapping[tuple[str, str], int]) -> None:
    """``memory``: bytes, by clinic and channel; who has no port has none."""
    for (clinic, channel), size in sorted(memory.items()):
        samples.put("plantao_port_memory_bytes", size, clinic, channel)
