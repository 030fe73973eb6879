"""Identifiers of clinics, channels and commands, and the addresses of people on WhatsApp."""

import re
from dataclasses import dataclass
from typing import Annotated, Final, Self

from msgspec import Meta

from protocol.errors import InvalidAddressError, InvalidIdError, InvalidInputError

# In Python "$" also matches before a line feed at the end; "(?!\n)" refuses that one, there and in other dialects.
NAME_PATTERN: Final = r"^[a-z0-9][a-z0-9_-]{0,62}$(?!\n)"
COMMAND_ID_PATTERN: Final = r"^[A-Za-z0-9_:-]{1,128}$(?!\n)"

ADDRESS_PATTERN: Final = (
    r"^(\+?[1-9][0-9]{6,14}|[0-9]{1,20}(-[0-9]{1,20}(?=@g\.us))?@(s\.whatsapp\.net|lid|g\.us))$(?!\n)"
)
"""What ``Address.parse`` takes, for descriptions: there are better words for what it does not."""

ClinicId = Annotated[str, Meta(pattern=NAME_PATTERN, description="clinic identifier")]
ChannelId = Annotated[str, Meta(pattern=NAME_PATTERN, description="channel identifier")]
CommandId = Annotated[str, Meta(pattern=COMMAND_ID_PATTERN, description="idempotency key")]

DescribedName = Annotated[str, Meta(extra_json_schema={"pattern": NAME_PATTERN})]
"""A name that ``check_name`` checks, with words of its own."""
DescribedAddress = Annotated[str, Meta(extra_json_schema={"pattern": ADDRESS_PATTERN})]

_NAME = re.compile(NAME_PATTERN)
_COMMAND_ID = re.compile(COMMAND_ID_PATTERN)
_PHONE = re.compile(r"[1-9][0-9]{6,14}\Z")
_JID = re.compile(r"([0-9]{1,20}(?:-[0-9]{1,20}(?=@g\.us))?)@(s\.whatsapp\.net|lid|g\.us)\Z")


def check_name(what: str, value: str) -> str:
    """``value`` if it is a valid clinic or channel identifier; ``what`` names the field in the error.

    Raises:
        InvalidIdError: it is not ``[a-z0-9][a-z0-9_-]{0,62}``.
    """
    if not is_name(value):
        raise InvalidIdError(what, value)
    return value


def is_name(value: str) -> bool:
    """Whether it is a valid clinic or channel identifier."""
    return _NAME.match(value) is not None


def check_command_id(value: str, field: str = "id") -> str:
    """``value`` if it can be the id of a command; ``field`` is named in the error.

    Raises:
        InvalidInputError: it cannot.
    """
    if not _COMMAND_ID.match(value):
        raise InvalidInputError(field, "1 to 128 of A-Z, a-z, 0-9, _, : and -")
    return value


@dataclass(frozen=True, slots=True)
class Address:
    """Whom a message goes to: a person by phone number or LID, or a group.

    ``user`` is digits (a group's may hold one dash), ``server`` one of ``s.whatsapp.net``, ``lid``, ``g.us``.
    """

    user: str
    server: str

    @classmethod
    def parse(cls, text: str, field: str = "to") -> Self:
        """An E.164 number (a leading ``+`` is allowed) or a bare WhatsApp JID; ``field`` is named in the error.

        Raises:
            InvalidAddressError: it is neither.
        """
        digits = text.removeprefix("+")
        if _PHONE.match(digits):
            return cls(digits, "s.whatsapp.net")
        if found := _JID.match(text):
            return cls(found[1], found[2])
        raise InvalidAddressError(text, field)

    def __str__(self) -> str:
        return f"{self.user}@{self.server}"


def mask(text: str) -> str:
    """``text`` with all but its last two digits hidden, fit for a log: a phone number is personal data."""
    return re.sub(r"[0-9](?=(?:[^0-9]*[0-9]){2})", "*", text)
