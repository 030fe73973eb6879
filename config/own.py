"""A channel's own settings (``config`` of its record): what it may have otherwise, and what comes of it."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import time
from typing import Any, Final

import msgspec
from msgspec import Struct

from actors.channel.pacing import PacingPolicy
from actors.channel.surroundings import ChannelPolicy
from config.sections import Pacing
from config.sections.bounds import Burst, Clock, Pause, PerDay, PerMinute, Seconds, TypingSpeed, WarmUp

_NAMES: Final = {"restriction": "restriction_s", "typing_most": "typing_most_s"}


class OwnPacing(Struct, frozen=True, kw_only=True):
    """As the section ``pacing``; what is not given is as there."""

    enabled: bool | None = None
    per_minute: PerMinute | None = None
    burst: Burst | None = None
    per_day: PerDay | None = None
    new_per_day: PerDay | None = None
    warm_up: WarmUp | None = None
    quiet_from: Clock | None = None
    quiet_until: Clock | None = None
    restriction: Pause | None = None
    typing_per_s: TypingSpeed | None = None
    typing_most: Seconds | None = None


class ChannelConfig(Struct, frozen=True, kw_only=True):
    """All that can be set for one channel; what is not is as the node's settings say."""

    pacing: OwnPacing | None = None


def own_policy(policy: ChannelPolicy, config: Mapping[str, Any]) -> ChannelPolicy:
    """``policy`` with the channel's own settings; what cannot be read leaves it as it is (it was checked when it was
    set, by a version that may have known other settings)."""
    try:
        own = msgspec.convert(dict(config), ChannelConfig, strict=False)
    except msgspec.ValidationError:
        return policy
    if own.pacing is None:
        return policy
    given = {name: value for name, value in msgspec.structs.asdict(own.pacing).items() if value is not None}
    pacing = replace(policy.sending.pacing, **_translated(given))
    return replace(policy, sending=replace(policy.sending, pacing=pacing))


def pacing_policy(pacing: Pacing) -> PacingPolicy:
    """What the section ``pacing`` says."""
    return PacingPolicy(**_translated(msgspec.structs.asdict(pacing)))


def _translated(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Settings by the policy's names and in its types."""
    translated = {_NAMES.get(name, name): value for name, value in settings.items()}
    for name in ("quiet_from", "quiet_until"):
        if name in translated:
            translated[name] = time.fromisoformat(translated[name])
    if "warm_up" in translated:
        translated["warm_up"] = tuple(translated["warm_up"])
    return translated
