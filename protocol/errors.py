"""The exceptions that cross a package border.

::

    PlantaoError
    ├── InvalidInputError             the caller's words are wrong: nothing was changed
    │   ├── InvalidIdError
    │   ├── InvalidAddressError
    │   └── InvalidBodyError          a body that is not what its type says; names the field
    ├── ForbiddenError                the caller's role does not go so far
    ├── NotFoundError                 no such clinic, channel or QR code; or the caller has no business with it
    ├── AlreadyExistsError
    ├── ConflictError                 not possible in the present state
    ├── UnavailableError              transient: a part is away; try again
    │   ├── BusUnavailableError       NATS is away or answered nothing in time
    │   └── StoreUnavailableError     the clinic's database is locked, full or corrupt
    │       ├── StoreFullError        it works, but holds so much that it takes nothing more on
    │       └── WrongKeyError         what is on the disk was sealed with another master key
    ├── StoreGoneError                a session store is not the one that was asked about: it never will be again
    └── PortError                     a port did not do what it was asked
        ├── PortStartError            it never came up
        ├── PortGoneError             it is gone; what was in flight has an unknown outcome
        └── CallTimeoutError          no answer before the deadline; outcome unknown
"""

from typing import Final

_SHOWN: Final = 64


class PlantaoError(Exception):
    """Base of all errors that Plantão raises on purpose; its text is fit for an operator and holds no secret."""


class InvalidInputError(PlantaoError):
    """``field`` is not what was ``expected``."""

    def __init__(self, field: str, expected: str) -> None:
        super().__init__(f"{field}: expected {expected}")
        self.field = field
        self.expected = expected


class InvalidIdError(InvalidInputError):
    """An identifier that does not match ``[a-z0-9][a-z0-9_-]{0,62}``."""

    def __init__(self, field: str, value: str) -> None:
        super().__init__(
            field, f"1 to 63 of a-z, 0-9, _ and -, beginning with a letter or digit; got {value[:_SHOWN]!r}"
        )


class InvalidAddressError(InvalidInputError):
    """A recipient that is neither an E.164 number nor a WhatsApp JID. Its value is personal: it is not repeated."""

    def __init__(self, value: str, field: str = "to") -> None:
        super().__init__(
            field,
            "E.164 digits (7 to 15) or a JID ending in @s.whatsapp.net, @lid or @g.us; "
            f"got {len(value)} characters that are neither",
        )


class InvalidBodyError(InvalidInputError):
    """A request body that could not be read or does not have the shape of its type."""


class ForbiddenError(PlantaoError):
    """The caller may see the thing, and not do that with it; the text says which role could."""


class NotFoundError(PlantaoError):
    """``what`` (e.g. ``clinic acme``) does not exist."""

    def __init__(self, what: str) -> None:
        super().__init__(f"{what} does not exist")
        self.what = what


class AlreadyExistsError(PlantaoError):
    """``what`` is there already."""

    def __init__(self, what: str) -> None:
        super().__init__(f"{what} exists already")
        self.what = what


class ConflictError(PlantaoError):
    """The request makes no sense in the present state; the text says which state and what to do."""


class UnavailableError(PlantaoError):
    """A part is away for now; the same request may succeed later."""


class BusUnavailableError(UnavailableError):
    """NATS is away, or did not answer in time."""


class StoreUnavailableError(UnavailableError):
    """The clinic's database is locked, full, unreadable or corrupt; the text names the file and the mend."""


class StoreFullError(StoreUnavailableError):
    """The clinic's database works, but is as large as the clinic's may be: what is there goes on, nothing is added."""


class WrongKeyError(StoreUnavailableError):
    """What is on the disk was sealed with another master key than the one given, or the key is gone. It stays so until
    the right one is given; nothing was changed."""


class StoreGoneError(PlantaoError):
    """The session under which something was sent is not in the session store any more, and so neither is what it said
    of that."""


class PortError(PlantaoError):
    """A port did not do what it was asked."""


class PortStartError(PortError):
    """The port process never became ready."""


class PortGoneError(PortError):
    """The port is gone. What was in flight has an unknown outcome, unless it never ``reached`` the port."""

    def __init__(self, reason: str, *, reached: bool = True) -> None:
        super().__init__(f"the port is gone: {reason}")
        self.reason = reason
        self.reached = reached


class CallTimeoutError(PortError):
    """The port did not answer before the deadline; the outcome is unknown and the port is to be killed."""
