"""How a clinic is shown: as its own actors say, and as its channels are. Pure."""

from collections import Counter
from collections.abc import Iterable
from typing import Final

from msgspec.structs import replace

from protocol.channel import ChannelSnapshot, ChannelState, ClinicSnapshot, ClinicState

_UNWELL: Final = frozenset({ChannelState.RECONNECTING, ChannelState.ERROR, ChannelState.LOGGED_OUT})


def shown(snapshot: ClinicSnapshot, channels: Iterable[ChannelSnapshot], trouble: str | None) -> ClinicSnapshot:
    """``snapshot`` with its channels counted; one that runs is worse than that if they are. ``trouble``: why one of
    them can store nothing."""
    counts = Counter(str(channel.state) for channel in channels)
    state, reason = snapshot.state, snapshot.reason
    unwell = sum(count for name, count in counts.items() if name in _UNWELL)
    if state is ClinicState.RUNNING and trouble is not None:
        state, reason = ClinicState.ERROR, f"cannot store: {trouble}"
    elif state is ClinicState.RUNNING and unwell:
        state, reason = ClinicState.DEGRADED, f"{unwell} of {counts.total()} channels need attention"
    return replace(snapshot, channels=dict(counts), state=state, reason=reason)
