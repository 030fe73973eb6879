"""The closed list of error codes that a result event or dead letter can carry.

Permanence is a property of the code, decided here once, never a test on a message's text.
"""

from enum import Enum


class Permanence(Enum):
    """What an error says about trying again."""

    PERMANENT = "permanent"
    """Trying again gives the same answer: the command is failed at once."""
    TRANSIENT = "transient"
    """Nothing was sent; worth another attempt after a pause."""
    UNKNOWN = "unknown"
    """It may have been sent: ``on_uncertain`` decides."""
    NOT_CONNECTED = "not_connected"
    """Nothing was sent because there is no session: wait for one, at the cost of no attempt."""
    RESTRICTED = "restricted"
    """Nothing was sent because WhatsApp keeps this number from new contacts: wait, at the cost of no attempt."""


class ErrorCode(Enum):
    """Wire name, permanence, and what it tells a person."""

    permanence: Permanence
    meaning: str

    def __new__(cls, wire: str, permanence: Permanence, meaning: str) -> "ErrorCode":
        member = object.__new__(cls)
        member._value_ = wire
        member.permanence = permanence
        member.meaning = meaning
        return member

    INVALID_COMMAND = "invalid_command", Permanence.PERMANENT, "the body is not a valid send command"
    UNSUPPORTED = "unsupported", Permanence.PERMANENT, "valid, but this version cannot do it"
    ID_CONFLICT = "id_conflict", Permanence.PERMANENT, "the id was used before with another body"
    NOT_ON_WHATSAPP = "not_on_whatsapp", Permanence.PERMANENT, "the recipient is not on WhatsApp"
    INVALID_RECIPIENT = "invalid_recipient", Permanence.PERMANENT, "WhatsApp cannot address this recipient"
    GROUP_UNAVAILABLE = "group_unavailable", Permanence.PERMANENT, "no such group, or we are not in it"
    REJECTED = "rejected", Permanence.PERMANENT, "WhatsApp refused the message"
    RESTRICTED = "restricted", Permanence.RESTRICTED, "WhatsApp restricts this number from new contacts"
    OPTED_OUT = "opted_out", Permanence.PERMANENT, "the recipient asked not to be written to"
    CANCELLED = "cancelled", Permanence.PERMANENT, "it was cancelled before it was sent"
    OTHER_NUMBER = "other_number", Permanence.PERMANENT, "another number was paired while it waited"
    RESTORED = (
        "restored",
        Permanence.PERMANENT,
        "it waited when the archive was made from which the clinic was put back: it may have been sent since",
    )
    MEDIA_INVALID = (
        "media_invalid",
        Permanence.PERMANENT,
        "the media is missing, too large or of a wrong type",
    )
    EXPIRED = "expired", Permanence.PERMANENT, "expires_at passed before it could be sent"
    MEDIA_UNAVAILABLE = "media_unavailable", Permanence.TRANSIENT, "the media could not be fetched, stored or uploaded"
    NOT_ENCRYPTED = "not_encrypted", Permanence.TRANSIENT, "no device of the recipient could be encrypted for"
    RATE_LIMITED = "rate_limited", Permanence.TRANSIENT, "WhatsApp asks to slow down"
    SERVER_ERROR = "server_error", Permanence.TRANSIENT, "WhatsApp's server failed"
    STORE_FAILED = "store_failed", Permanence.TRANSIENT, "the session store could not be read or written"
    NOT_CONNECTED = "not_connected", Permanence.NOT_CONNECTED, "there is no session"
    OUTCOME_UNKNOWN = "outcome_unknown", Permanence.UNKNOWN, "no answer came: it may have been sent"
    INTERNAL = "internal", Permanence.UNKNOWN, "an error that Plantão does not know; see the log"

    @classmethod
    def of(cls, wire: str) -> "ErrorCode":
        """The code with this wire name; raises KeyError if there is none."""
        return {code.value: code for code in cls}[wire]

    @property
    def permanent(self) -> bool:
        """True if trying again cannot help; goes into ``error.permanent`` on the wire."""
        return self.permanence is Permanence.PERMANENT
