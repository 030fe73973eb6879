"""What has changed, for whoever looks on: the newest of each thing, never a queue of all that it was in between."""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Protocol

from msgspec import Struct

from protocol.channel import ChannelSnapshot, ClinicSnapshot


class ShownCode(Struct, frozen=True, kw_only=True):
    """The QR code of a channel; ``code`` and ``expires_at`` None: there is none any more. A secret until it expires."""

    clinic: str
    channel: str
    code: str | None
    expires_at: datetime | None


class Gone(Struct, frozen=True, kw_only=True):
    """A channel is no more, or (``channel`` None) a clinic with all of its channels."""

    clinic: str
    channel: str | None


class Changes(Struct, frozen=True, kw_only=True):
    """What is different since an earlier look. ``version`` is where the next look begins. ``whole``: this is all there
    is, and whatever is not in it is gone."""

    version: int
    whole: bool
    clinics: Sequence[ClinicSnapshot] = ()
    channels: Sequence[ChannelSnapshot] = ()
    codes: Sequence[ShownCode] = ()
    gone: Sequence[Gone] = ()


class Live(Protocol):
    """Whoever knows what has changed. Every method is callable from any thread and returns at once."""

    @property
    def epoch(self) -> str:
        """Tells this run of the node from others: versions of another mean nothing."""

    @property
    def began_at(self) -> datetime:
        """When this run of the node began."""

    def changes(self, since: int | None) -> Changes:
        """What is different since ``since``, each thing once and as it is now; all there is if that is None, or too
        long ago to know."""

    def listen(self, listener: Callable[[], None]) -> Callable[[], None]:
        """Call ``listener`` after every change, in the thread that made it; returns what ends that."""
