"""What is said in a stream of events, to whom, and in what form. Pure. An event is put into its form once, however many
streams it is for."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import msgspec
from msgspec import Struct

from protocol.access import Caller, Permission
from protocol.live import Changes

AT_ONCE: Final = 64
"""Events in one write, between which others have their turn."""
QR: Final = "qr"


class Nothing(Struct, frozen=True):
    """What ``reset`` and ``ready`` say."""


class Said:
    """An event: its name, what it says, and of what that is (``clinic`` None: of nothing; ``channel`` None: of all of
    the clinic)."""

    __slots__ = ("_text", "channel", "clinic", "name", "what")

    def __init__(self, name: str, what: Struct, clinic: str | None = None, channel: str | None = None) -> None:
        self.name = name
        self.what = what
        self.clinic = clinic
        self.channel = channel
        self._text: bytes | None = None

    @property
    def text(self) -> bytes:
        """As it is sent, but for its id and the empty line at its end."""
        if self._text is None:
            self._text = b"event: %s\ndata: %s\n" % (self.name.encode(), msgspec.json.encode(self.what))
        return self._text


RESET: Final = Said("reset", Nothing())
READY: Final = Said("ready", Nothing())


@dataclass(frozen=True, slots=True, kw_only=True)
class Sight:
    """What a stream shows: what ``caller`` may see, of ``clinic`` and ``channel`` if they are given."""

    caller: Caller
    clinic: str | None
    channel: str | None

    def shows(self, said: Said) -> bool:
        """Whether ``said`` is for it. Whoever scans a QR code has the channel, so that is not for who only looks."""
        if said.clinic is None:
            return True
        return (
            self.clinic in (None, said.clinic)
            and (said.channel is None or self.channel in (None, said.channel))
            and self.caller.sees(said.clinic)
            and (said.name != QR or self.caller.may(Permission.OPERATE))
        )


def said(seen: Changes) -> list[Said]:
    """What ``seen`` comes to: first what is gone, for it may be there again."""
    return [
        *([RESET] if seen.whole else []),
        *(Said("gone", gone, gone.clinic, gone.channel) for gone in seen.gone),
        *(Said("clinic", clinic, clinic.id) for clinic in seen.clinics),
        *(Said("channel", channel, channel.clinic, channel.channel) for channel in seen.channels),
        *(Said(QR, code, code.clinic, code.channel) for code in seen.codes),
    ]


def told(said: Sequence[Said], sight: Sight, *, begins: bool) -> list[Said]:
    """What of ``said`` is for a stream with this ``sight``. ``begins``: it is the first that it is told."""
    shown = [one for one in said if sight.shows(one)]
    return [*shown, READY] if begins or shown[:1] == [RESET] else shown


def written(told: Sequence[Said], id: str) -> Iterator[bytes]:
    """``told`` as it is sent, some together; ``id`` is the last one's: whoever has that has all of them."""
    for start in range(0, len(told), AT_ONCE):
        text = b"\n".join(one.text for one in told[start : start + AT_ONCE])
        last = start + AT_ONCE >= len(told)
        yield text + (b"id: %s\n\n" % id.encode() if last else b"\n")
