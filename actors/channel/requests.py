"""What a channel can be asked (see ``actors.desk``)."""

from dataclasses import dataclass


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
    """Unlink the device. Answered with a ``ChannelSnapshot`` once it is done."""


@dataclass(frozen=True, slots=True)
class Pair:
    """Answered with a ``QrCode``, or with a ``PairingCode`` if ``phone`` (digits) is given, once WhatsApp gave one."""

    phone: str | None


@dataclass(frozen=True, slots=True)
class ShowQr:
    """Answered with the ``QrCode`` to show now."""
