"""What a port is asked, and what it answers.

A port is the OS process that holds one channel's neonize socket (Erlang's word for an outside program that looks like
a process). Requests, answers and events (``port_events``) are tagged Structs: the same types travel through the framed
socket pair and into the actors.

What a port says has limits, which whoever reads it checks: a port may have been taken over by who writes to it. The
port keeps to them, whatever WhatsApp and strangers say.
"""

from datetime import datetime
from typing import Annotated, Final, Literal

from msgspec import Meta, Struct

LONGEST_WORDS: Final = 2000
"""Characters of what a port says for people."""
LONGEST_NAME: Final = 256
"""Characters of a stranger's name, file name, media type or id."""

Words = Annotated[str, Meta(max_length=LONGEST_WORDS)]
Name = Annotated[str, Meta(max_length=LONGEST_NAME)]
Moment = Annotated[datetime, Meta(tz=True)]


class PortSpec(Struct, frozen=True, kw_only=True):
    """How to open a port. ``store`` is the path of its SQLite session store, on memory-backed storage.

    ``device_name`` is what the phone lists under linked devices; ``proxy`` an ``http://`` or ``socks5://`` URL.
    """

    clinic: str
    channel: str
    incarnation: int
    store: str
    device_name: str
    proxy: str | None = None


class PortMessage(Struct, frozen=True, kw_only=True, tag=True, tag_field="tag"):
    """Base of everything that crosses the socket pair; the class name is the tag."""


# -- requests --


class Quote(Struct, frozen=True, kw_only=True):
    """The message that is replied to: its WhatsApp id and the JID of its author."""

    wa_id: Name
    author: Name


class SendMessage(PortMessage, frozen=True, kw_only=True):
    """What every send says. ``key`` names it in the port's journal and in its outcome; ``secret`` (32 bytes) is the
    message's own: whatsmeow writes it into the session store, with the WhatsApp id, before anything is sent."""

    key: str
    secret: bytes
    to: str


class SendText(SendMessage, frozen=True, kw_only=True):
    """Send ``text`` to the JID ``to``."""

    text: str
    quote: Quote | None = None


MediaKind = Literal["image", "audio", "video", "document", "sticker"]


class SendMedia(SendMessage, frozen=True, kw_only=True):
    """Upload ``data`` and send it to ``to`` as ``kind``; ``voice``: audio as a voice note."""

    kind: MediaKind
    data: bytes
    mime: str
    caption: str | None = None
    filename: str | None = None
    voice: bool = False
    quote: Quote | None = None


class SendReaction(SendMessage, frozen=True, kw_only=True):
    """React with ``emoji`` (empty: take the reaction back) to ``target``, a message in the chat ``to`` that we sent
    if ``from_me``."""

    target: str
    from_me: bool
    emoji: str


class RequestPairingCode(PortMessage, frozen=True, kw_only=True):
    """Ask WhatsApp for a code to type on the phone ``phone`` (digits). Only while a QR code is shown."""

    phone: str


class FetchMedia(PortMessage, frozen=True, kw_only=True):
    """Download the media that ``reference`` (from a ``MediaReference``) names."""

    reference: bytes


class Probe(PortMessage, frozen=True, kw_only=True):
    """Ask WhatsApp's server something harmless and wait: the one proof that a session is alive."""


class LogOut(PortMessage, frozen=True, kw_only=True):
    """Unlink this device from the account. No event follows; the session store is empty afterwards."""


class CheckNumbers(PortMessage, frozen=True, kw_only=True):
    """Ask WhatsApp which of these numbers (digits) it knows."""

    phones: list[str]


class MarkRead(PortMessage, frozen=True, kw_only=True):
    """Tell ``chat`` that we have read the messages ``wa_ids`` of ``sender`` (JIDs)."""

    chat: str
    sender: str
    wa_ids: list[str]


Presence = Literal["available", "unavailable", "typing", "paused"]


class ShowPresence(PortMessage, frozen=True, kw_only=True):
    """Show us as available or not to all, or as typing (or no longer) in ``chat``."""

    presence: Presence
    chat: str | None = None


SendRequest = SendText | SendMedia | SendReaction
PortRequest = RequestPairingCode | FetchMedia | Probe | LogOut | CheckNumbers | MarkRead | ShowPresence


# -- answers --


class Sent(PortMessage, frozen=True, kw_only=True):
    """WhatsApp's server acknowledged the message *and* it was encrypted for the recipient's main device."""

    wa_id: Name
    at: Moment


class PairingCodeIssued(PortMessage, frozen=True, kw_only=True):
    """The code, as ``XXXX-XXXX``."""

    code: Words


class MediaFetched(PortMessage, frozen=True, kw_only=True):
    """The decrypted and verified bytes."""

    data: bytes


class Done(PortMessage, frozen=True, kw_only=True):
    """It was done, and there is nothing more to say."""


class Failed(PortMessage, frozen=True, kw_only=True):
    """It was not done. ``code`` is the wire name of a ``protocol.codes.ErrorCode``; ``message`` is fit for an operator:
    no text of a message, no full phone number."""

    code: Words
    message: Words


class NumberFound(Struct, frozen=True, kw_only=True):
    """What WhatsApp says of a number; ``jid`` None: it does not know it."""

    phone: str
    jid: str | None


class NumbersChecked(PortMessage, frozen=True, kw_only=True):
    """One for each number that was asked for."""

    items: list[NumberFound]


PortAnswer = PairingCodeIssued | MediaFetched | Done | NumbersChecked | Failed
