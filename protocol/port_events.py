"""What a port says unasked: how its session fares, and what comes in.

An event carries no incarnation of its own; whoever opened the port knows which one it listens to.
"""

from typing import Annotated, Final, Literal

from msgspec import Meta, Struct

from protocol.port import Failed, MediaKind, Moment, Name, PortMessage, Quote, Sent, Words

LONGEST_TEXT: Final = 1 << 18
"""Characters of the text or caption of an inbound message; WhatsApp's own clients write 65,536 at most."""
LONGEST_REFERENCE: Final = 1 << 18
"""Bytes."""
MOST_IDS: Final = 5000
"""In one receipt."""
LONGEST_S: Final = 1e9
"""Seconds: 31 years."""

Text = Annotated[str, Meta(max_length=LONGEST_TEXT)]
Seconds = Annotated[float, Meta(ge=0, le=LONGEST_S)]


class QrShown(PortMessage, frozen=True, kw_only=True):
    """A pairing code to scan; it replaces the one before. ``valid_s``: how long WhatsApp takes it, in seconds."""

    code: Words
    valid_s: Seconds


class PairingSucceeded(PortMessage, frozen=True, kw_only=True):
    """The phone accepted us and the session is stored; a ``Connected`` should follow within seconds."""

    jid: str
    lid: str


class PairingFailed(PortMessage, frozen=True, kw_only=True):
    """Pairing ended without success: ``timeout`` (all codes shown), ``client_outdated``, ``refused`` (the phone's proof
    was wrong) or ``unexpected``. The port is of no more use."""

    status: Literal["timeout", "client_outdated", "refused", "unexpected"]


class Connected(PortMessage, frozen=True, kw_only=True):
    """Logged in. ``jid`` is our own device's JID, ``phone`` its digits."""

    jid: str
    lid: str | None
    phone: str
    profile_name: Name | None


class Disconnected(PortMessage, frozen=True, kw_only=True):
    """The socket is lost; whatsmeow is already dialling again."""


class KeepAliveMissed(PortMessage, frozen=True, kw_only=True):
    """``count`` keep-alives in a row went unanswered."""

    count: int


class KeepAliveRestored(PortMessage, frozen=True, kw_only=True):
    """Keep-alives are answered again."""


class LoggedOut(PortMessage, frozen=True, kw_only=True):
    """WhatsApp ended the session (device removed, account gone): a new pairing is needed."""

    reason: Words


class Replaced(PortMessage, frozen=True, kw_only=True):
    """Another process connected with the same session. whatsmeow does not reconnect."""


class Banned(PortMessage, frozen=True, kw_only=True):
    """The account is banned for ``expires_in_s`` seconds (0: not said), for reason ``code``."""

    code: int
    expires_in_s: Seconds


class Outdated(PortMessage, frozen=True, kw_only=True):
    """WhatsApp refuses this client version: Plantão must be upgraded."""


class ConnectRefused(PortMessage, frozen=True, kw_only=True):
    """WhatsApp refused the login for another ``reason``; whatsmeow does not reconnect."""

    reason: Words


class StoreUnusable(PortMessage, frozen=True, kw_only=True):
    """The session store cannot be opened, read or written; ``reason`` names the file. The port is of no more use."""

    reason: Words


class StreamFailed(PortMessage, frozen=True, kw_only=True):
    """A stream error ``code`` that whatsmeow does not understand; the socket will close."""

    code: Words


class BacklogAnnounced(PortMessage, frozen=True, kw_only=True):
    """So much waits on WhatsApp's server."""

    messages: int
    receipts: int


class BacklogDelivered(PortMessage, frozen=True, kw_only=True):
    """What waited has been delivered."""

    count: int


class MediaReference(Struct, frozen=True, kw_only=True):
    """Media of an inbound message; ``reference`` is opaque and goes into ``FetchMedia``. ``sha256`` is hexadecimal."""

    kind: MediaKind
    mime: Name
    size: int
    sha256: Name
    filename: Name | None
    caption: Text | None
    reference: Annotated[bytes, Meta(max_length=LONGEST_REFERENCE)]


class MessageReceived(PortMessage, frozen=True, kw_only=True):
    """An inbound message, decrypted. ``chat`` and ``sender`` are bare JIDs; ``backlog``: it waited while we were away.

    ``type`` is as in the send command, or ``unknown`` for a kind that has no name here yet (its text is None).
    ``target``: the message that a reaction, edit or revocation is about.
    """

    wa_id: Name
    chat: Name
    sender: Name
    sender_phone: Name | None
    sender_lid: Name | None
    push_name: Name | None
    is_group: bool
    from_me: bool
    backlog: bool
    at: Moment
    type: Name
    text: Text | None = None
    media: MediaReference | None = None
    quote: Quote | None = None
    target: Name | None = None
    edited: bool = False
    revoked: bool = False
    forwarded: bool = False


class ReceiptReceived(PortMessage, frozen=True, kw_only=True):
    """``sender`` has received, read or played the messages ``wa_ids`` of ``chat``."""

    wa_ids: Annotated[list[Name], Meta(max_length=MOST_IDS)]
    chat: Name
    sender: Name
    kind: Literal["delivered", "read", "played"]
    at: Moment


class Undecryptable(PortMessage, frozen=True, kw_only=True):
    """An inbound message that could not be decrypted; whatsmeow has asked its sender to send it again."""

    wa_id: Name
    chat: Name
    sender: Name
    at: Moment


class AlreadyDecrypted(PortMessage, frozen=True, kw_only=True):
    """WhatsApp delivered a message again that whatsmeow had decrypted before, and takes it for received from now on:
    it throws it away. If no ``MessageReceived`` of it was ever recorded, because a port died in between, it is lost."""

    wa_id: Name
    chat: Name
    sender: Name


class SendAnswered(PortMessage, frozen=True, kw_only=True):
    """What came of the send ``key``: written into the journal before anybody is told."""

    key: str
    answer: Sent | Failed


class Record(PortMessage, frozen=True, kw_only=True):
    """Something that the port wrote into its journal, under ``number``, before it said it.

    As an event it holds what came in, and flows under credit (see ``interfaces.Port.grant``); the outcomes of sends
    reach those who sent (see ``interfaces.SendOutcome``), or are found in the journal of a port that is gone.
    """

    number: Annotated[int, Meta(ge=0, le=2**63 - 1)]
    what: MessageReceived | ReceiptReceived | Undecryptable | AlreadyDecrypted | SendAnswered


class PortExited(PortMessage, frozen=True, kw_only=True):
    """The port is gone; always the last event. ``reason`` says how (exit status, missed deadline, lost heartbeat,
    what ``connect()`` raised); ``expected``: we had asked for it. ``last_row``: of the session store's traces (see
    ``interfaces.Trace``), as the port left it; None if the store could not be read."""

    reason: str
    expected: bool
    last_row: int | None = None


PortEvent = (
    QrShown
    | PairingSucceeded
    | PairingFailed
    | Connected
    | Disconnected
    | KeepAliveMissed
    | KeepAliveRestored
    | LoggedOut
    | Replaced
    | Banned
    | Outdated
    | ConnectRefused
    | StoreUnusable
    | StreamFailed
    | BacklogAnnounced
    | BacklogDelivered
    | Record
    | PortExited
)
