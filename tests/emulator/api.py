"""The vocabulary of the control API: what its requests and answers are made of, for both ends."""

from typing import Annotated, Literal

from msgspec import Meta, Struct, field

Digits = Annotated[str, Meta(pattern=r"^[0-9]{6,15}\Z")]
"""A phone number with country code."""


class Request(Struct, kw_only=True, forbid_unknown_fields=True):
    """Anything a caller sends."""


class Scan(Request):
    """A human scans the QR code (its text) with the phone of that number."""

    qr: str
    phone: Digits


class PairCode(Request):
    """A human types the pairing code on that phone."""

    code: str
    phone: Digits


class File(Request):
    """Media of any kind; ``data`` is base64 in JSON. ``voice``: audio as a voice note."""

    kind: Literal["image", "audio", "video", "document"]
    data: bytes
    mime: str
    caption: str = ""
    filename: str = ""
    voice: bool = False


class Send(Request):
    """A contact writes to an account: exactly one of text, image (base64 in JSON), file, reaction, edit (another text)
    and revoke.

    ``about`` is the id of the message that is answered (with text, image or file) or reacted to; of the contact's own
    message, if it is edited or revoked.
    """

    to: Digits
    text: str | None = None
    image: bytes | None = None
    caption: str = ""
    mime: str = "image/png"
    file: File | None = None
    reaction: str | None = None
    edit: str | None = None
    revoke: Literal[True] | None = None
    about: str = ""
    addressing: Literal["lid", "pn"] = "lid"


class Burst(Request):
    """Contacts (``from``) take turns in writing ``count`` texts to an account. ``{n}`` in ``text`` is the number of
    each, from ``first`` on."""

    contacts: list[Digits] = field(name="from")
    to: Digits
    text: str
    count: Annotated[int, Meta(ge=1, le=100_000)]
    first: int = 0
    addressing: Literal["lid", "pn"] = "lid"


class Auto(Request):
    """What a contact does by itself with each message.

    ``reply`` may contain ``{text}``; it is written ``after`` so many seconds.
    """

    reply: str | None = None
    after: Annotated[float, Meta(ge=0, le=3600)] = 0.0
    delivered: bool = True
    read: bool = False


class Read(Request):
    """A contact confirms by hand that it got, or read, a message of the account ``to``."""

    id: str
    to: Digits


class ContactSettings(Request):
    """Whether a number is on WhatsApp."""

    exists: bool


class InboxItem(Struct, kw_only=True, rename={"sender": "from"}):
    """One message as a contact sees it.  ``at`` is unix seconds; ``sender`` is ``from`` in JSON."""

    id: str
    sender: str
    type: str
    at: float
    text: str = ""
    caption: str = ""
    mime: str = ""
    sha256: str = ""
    size: int = 0
    filename: str = ""
    voice: bool = False
    seconds: int = 0
    about: str = ""
    about_text: str = ""


class Inbox(Struct):
    items: list[InboxItem]


class Letter(Struct, array_like=True):
    """What a contact (``sender``) wrote to the account ``to``; times are unix seconds. ``receipted``: when a client
    first said that it has it; ``retries``: how often one asked for it again."""

    id: str
    sender: str
    to: str
    text: str
    at: float
    receipted: float | None = None
    retries: int = 0


class Letters(Struct):
    """Everything that contacts wrote, in order."""

    items: list[Letter]


class Arrival(Struct, array_like=True):
    """One delivery of a message of an account (``sender``) into the inbox of the contact ``to``."""

    to: str
    id: str
    sender: str
    text: str
    at: float


class Arrivals(Struct):
    """What arrived at anybody's; ``next`` is what to ask ``since`` the next time."""

    items: list[Arrival]
    next: int


class Unreadable(Struct, array_like=True):
    """A message of the account ``sender`` that the contact ``to`` could not read; ``reason`` is ``key_reuse`` (see
    ``Stats``) or ``undecryptable``, which may come again and be read."""

    to: str
    id: str
    sender: str
    reason: Literal["key_reuse", "undecryptable"]
    at: float


class UnreadableList(Struct):
    """In the order of time."""

    items: list[Unreadable]


class SessionInfo(Struct):
    """A linked device; ``since`` is the unix time of its last login or, if not connected, of its end."""

    phone: str
    device: int
    connected: bool
    since: float
    offline_queue: int
    logins: int


class FaultInfo(Struct):
    """A fault that is set, for all if ``phone`` is empty, and how often it struck, all phones together."""

    id: str
    kind: str
    phone: str
    strikes: int


class FaultList(Struct):
    faults: list[FaultInfo]


class SessionList(Struct):
    sessions: list[SessionInfo]


Datum = str | int | float | bool


class Event(Struct):
    """An entry of the event feed; ``seq`` counts from 1, ``at`` is unix seconds."""

    seq: int
    at: float
    kind: str
    phone: str
    data: dict[str, Datum]


class Events(Struct):
    """``next`` is what to ask after the next time."""

    events: list[Event]
    next: int


class Stats(Struct):
    """``events`` counts the feed's entries by kind since the start; ``key_reuse`` must stay empty."""

    uptime: float
    connected: int
    media_files: int
    events: dict[str, int]
    key_reuse: list[str]


class Ready(Struct):
    """The line the emulator prints when it is ready."""

    control: str
    proxy: str
    ca: str
    port_command: list[str]
    env: dict[str, str]
