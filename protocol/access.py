"""Who may do what: roles, what each is good for, and whoever asks.

A key is for some clinics or for all. What is asked of a clinic that a key is not for is answered as if there were no
such clinic.
"""

from collections.abc import Mapping
from enum import IntEnum, StrEnum
from typing import Final

from msgspec import Struct

from protocol.subjects import ClinicVerb, Verb


class Role(StrEnum):
    """Of a key."""

    ADMIN = "admin"
    OPERATOR = "operator"
    VIEWER = "viewer"


class Permission(IntEnum):
    """What a route or request needs. Each includes those before it."""

    OPEN = 0
    """Nobody needs a key."""
    VIEW = 1
    """To see states, counts and what became of messages."""
    OPERATE = 2
    """To send, and to change what runs: pair, connect, suspend, replay, release."""
    ADMINISTER = 3
    """To add and remove clinics and channels, and whatever concerns keys, data as a whole, and the audit."""


GRANTED: Final = {
    Role.VIEWER: Permission.VIEW,
    Role.OPERATOR: Permission.OPERATE,
    Role.ADMIN: Permission.ADMINISTER,
}
"""The most that each role may do."""

RPC_PERMISSION: Final[Mapping[Verb | ClinicVerb, Permission]] = {
    Verb.STATUS: Permission.VIEW,
    Verb.COMMAND: Permission.VIEW,
    Verb.CONNECT: Permission.OPERATE,
    Verb.DISCONNECT: Permission.OPERATE,
    Verb.SUSPEND: Permission.OPERATE,
    Verb.RESUME: Permission.OPERATE,
    Verb.LOGOUT: Permission.OPERATE,
    Verb.PAIR: Permission.OPERATE,
    Verb.QR: Permission.OPERATE,
    Verb.CHECK: Permission.OPERATE,
    Verb.MARK_READ: Permission.OPERATE,
    Verb.PRESENCE: Permission.OPERATE,
    Verb.CANCEL: Permission.OPERATE,
    Verb.RELEASE: Permission.OPERATE,
    Verb.REPLAY: Permission.OPERATE,
    Verb.DISCARD: Permission.OPERATE,
    ClinicVerb.CHANNELS: Permission.VIEW,
    ClinicVerb.STATS: Permission.VIEW,
}
"""What a request over NATS needs; the same over HTTP. ``qr`` is no look: whoever scans the code has the channel. So is
``check`` none: WhatsApp counts who asks for many numbers."""


class Caller(Struct, frozen=True, kw_only=True):
    """Whoever asks. ``id`` is fit for the audit (a key's id, never the key); ``clinics`` None: all, and the node."""

    id: str
    role: Role
    clinics: frozenset[str] | None = None

    def may(self, permission: Permission) -> bool:
        """Whether the role is good for ``permission``, wherever the caller may ask at all."""
        return GRANTED[self.role] >= permission

    def sees(self, clinic: str | None) -> bool:
        """Whether the caller may ask about ``clinic``; None is what concerns the node, or all clinics."""
        return self.clinics is None or (clinic is not None and clinic in self.clinics)


NODE: Final = Caller(id="node", role=Role.ADMIN)
"""The node itself: what happens by settings or by the clock."""
