"""What of a channel's error outlives its node."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Condemnation:
    """Only a person can help the channel, for this ``reason``, ``since`` then: until an operator wants something else
    of it; or until that time, if WhatsApp named one; or until the client is another than ``client``, the version that
    was refused."""

    reason: str
    since: datetime
    until: datetime | None = None
    client: str | None = None
