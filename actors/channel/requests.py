"""What a channel can be asked (see ``actors.desk``)."""

from dataclasses import dataclass

from protocol.channel import ChannelRecord
from protocol.port import Presence


@dataclass(frozen=True, slots=True)
class Connect:
    """Open a port now; replaces a live one. Answered with a ``ChannelSnapshot``."""


@dataclass(frozen=True, slots=True)
class Disconnect:
    """Close the port until ``Connect``. Answered with a ``ChannelSnapshot``."""


@dataclass(frozen=True, slots=True)
class Suspend:
    """Close the port until ``Resume`` or ``Connect``; commands wait. Answered with a ``ChannelSnapshot``."""


@dataclass(frozen=True, slots=True)
class Resume:
    """Open a port if the channel is suspended. Answered with a ``ChannelSnapshot``."""


@dataclass(frozen=True, slots=True)
class Logout:
    """Unlink the device, or forget the session of a channel that is suspended or in error. Answered with a
    ``ChannelSnapshot`` once it is done."""


@dataclass(frozen=True, slots=True)
class Pair:
    """Answered with a ``QrCode``, or with a ``PairingCode`` if ``phone`` (digits) is given, once WhatsApp gave one."""

    phone: str | None


@dataclass(frozen=True, slots=True)
class ShowQr:
    """Answered with the ``QrCode`` to show now."""


@dataclass(frozen=True, slots=True)
class HearConsent:
    """Whoever is known under these JIDs wishes to hear no more, or again; the ledger has it. Answered with None."""

    people: frozenset[str]
    opted_out: bool


# -- commands --


@dataclass(frozen=True, slots=True)
class Cancel:
    """End a command that waits or is scheduled. Answered with None once the ledger knows."""

    id: str


@dataclass(frozen=True, slots=True)
class Release:
    """Send a held command in a new run. Answered with None once the ledger knows."""

    id: str


@dataclass(frozen=True, slots=True)
class Replay:
    """Send a failed command in a new run. Answered with None once the ledger knows."""

    id: str


@dataclass(frozen=True, slots=True)
class Discard:
    """Put a failed or held command away. Answered with None once the ledger knows."""

    id: str


# -- settings --


@dataclass(frozen=True, slots=True)
class Configure:
    """Live by this record's settings from now on. Answered with a ``ChannelSnapshot``."""

    record: ChannelRecord


# -- WhatsApp --


@dataclass(frozen=True, slots=True)
class CheckNumbers:
    """Which of these (digits) are on WhatsApp. Answered with ``NumberChecks``."""

    phones: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class MarkRead:
    """Tell ``chat`` that we have read these of ``sender`` (JIDs). Answered with None."""

    chat: str
    sender: str
    wa_ids: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ShowPresence:
    """Show the account as available or not, or as typing in ``chat`` (a JID). Answered with None."""

    presence: Presence
    chat: str | None
