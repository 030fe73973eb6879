"""Everything the emulator can be told to do wrong, as data.

A fault is a struct; :data:`STRIKES` says at which moments it strikes.  The code at such a moment asks
``faults.strike(moment, phone)`` and acts on the fault it gets.  To add one: a struct, a line in the table, and a
``case`` where it strikes.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Annotated, Literal

from msgspec import Meta, Struct

from tests.emulator.api import Datum, Digits
from tests.emulator.feed import Feed, Happening

Seconds = Annotated[float, Meta(ge=0, le=3600)]
Code = Annotated[int, Meta(ge=100, le=999)]


class Fault(Struct, kw_only=True, forbid_unknown_fields=True, tag_field="kind"):
    """``phone`` limits it to one account.  ``count``: it strikes each phone that often (absent: until deleted);
    at moments where the phone is not known yet (dial, upgrade, handshake, register) all count as one."""

    phone: Digits | None = None
    count: Annotated[int, Meta(ge=1)] | None = None

    def concerns(self, subject: str) -> bool:
        """Whether it strikes what this moment is about (a query's namespace, for instance)."""
        return True


class Drop(Fault, tag="drop"):
    """The connection ends as soon as it is logged in (at once, if it is): closed, or reset."""

    how: Literal["fin", "rst"] = "fin"


class DropInFlight(Fault, tag="drop_in_flight"):
    """The connection ends when a message arrives, and the message is lost."""

    how: Literal["fin", "rst"] = "rst"


class Refuse(Fault, tag="refuse"):
    """The proxy answers with an HTTP code, or, without one, closes."""

    code: Code | None = None


class RefuseTcp(Fault, tag="refuse_tcp"):
    """Nobody listens at the proxy's address while this is set."""


class RefuseUpgrade(Fault, tag="refuse_upgrade"):
    """The WebSocket upgrade is answered with an HTTP code."""

    code: Code = 503


class Delay(Fault, tag="delay"):
    """Every frame towards the client is late by that much."""

    seconds: Seconds


class Slow(Fault, tag="slow"):
    """A slow network towards the client: ``latency`` for each frame, and so many bytes a ``second`` (null: any number).
    Strikes are not counted."""

    latency: Seconds = 0.0
    second: Annotated[float, Meta(ge=100)] | None = None


class Mute(Fault, tag="mute"):
    """Nothing is sent any more, not even answers to keep-alives; connections stay open."""


class StreamError(Fault, tag="stream_error"):
    """A stream error to whoever is logged in, then (after a moment) the end of the connection."""

    code: str = ""
    conflict: Literal["replaced", "device_removed"] | None = None
    close: bool = True


class Failure(Fault, tag="failure"):
    """The login is refused; ``code`` and ``expire`` (seconds) tell more for a temporary ban (402)."""

    reason: Code
    code: int | None = None
    expire: int | None = None
    message: str = ""


class LoginUnanswered(Fault, tag="login_unanswered"):
    """No success, no failure; everything else (keep-alive too) is answered."""


class NoAck(Fault, tag="no_ack"):
    """A message is delivered, but not acknowledged to its sender."""


class LateAck(Fault, tag="late_ack"):
    """A message is delivered, and acknowledged later."""

    seconds: Seconds


class AckError(Fault, tag="ack_error"):
    """A message is refused with this code and not delivered."""

    code: Code


class BundleRefused(Fault, tag="bundle_refused"):
    """Nobody's keys are given out: the query for key bundles ends in this error."""

    code: Code = 429


class IqError(Fault, tag="iq_error"):
    """Queries of this namespace end in this error."""

    xmlns: str
    code: Code = 500

    def concerns(self, subject: str) -> bool:
        return subject == self.xmlns


class HandshakeLie(Fault, tag="handshake_lie"):
    """The Noise handshake is not what it should be: a certificate of another root or with a bad signature,
    garbage, no answer, or the end of the connection."""

    lie: Literal["wrong_root", "bad_certificate", "garbage", "silent", "close"]


class PairingLie(Fault, tag="pairing_lie"):
    """The phone's word for its new companion does not hold."""

    lie: Literal["bad_signature", "bad_hmac"]


class PairingRestart(Fault, tag="pairing_restart"):
    """After pairing: is the 515 sent, and how many seconds later does the connection end (null: never)?"""

    send_515: bool = True
    close_after: Seconds | None = 0.5


class QrCodes(Fault, tag="qr_codes"):
    """How many QR codes a pairing client gets (6 normally): with 0 its time is over at once."""

    codes: Annotated[int, Meta(ge=0, le=6)]


class NoDecrypt(Fault, tag="no_decrypt"):
    """Messages are acknowledged and then forgotten, unread: for measuring the way to here."""


class Moment(Enum):
    """Where faults strike."""

    LISTEN = auto()
    DIAL = auto()
    UPGRADE = auto()
    HANDSHAKE = auto()
    REGISTER = auto()
    QR = auto()
    PAIRING = auto()
    PAIRED = auto()
    LOGIN = auto()
    ONLINE = auto()
    FRAME = auto()
    STANZA = auto()
    IQ = auto()
    BUNDLE = auto()
    MESSAGE = auto()
    DECRYPT = auto()


STRIKES: Mapping[type[Fault], tuple[Moment, ...]] = {
    Drop: (Moment.ONLINE,),
    DropInFlight: (Moment.MESSAGE,),
    Refuse: (Moment.DIAL,),
    RefuseTcp: (Moment.LISTEN,),
    RefuseUpgrade: (Moment.UPGRADE,),
    Delay: (Moment.FRAME,),
    Slow: (Moment.FRAME,),
    Mute: (Moment.STANZA,),
    StreamError: (Moment.ONLINE,),
    Failure: (Moment.LOGIN, Moment.REGISTER),
    LoginUnanswered: (Moment.LOGIN, Moment.REGISTER),
    NoAck: (Moment.MESSAGE,),
    LateAck: (Moment.MESSAGE,),
    AckError: (Moment.MESSAGE,),
    BundleRefused: (Moment.BUNDLE,),
    IqError: (Moment.IQ,),
    HandshakeLie: (Moment.HANDSHAKE,),
    PairingLie: (Moment.PAIRING,),
    PairingRestart: (Moment.PAIRED,),
    QrCodes: (Moment.QR,),
    NoDecrypt: (Moment.DECRYPT,),
}

AnyFault = (
    Drop | DropInFlight | Refuse | RefuseTcp | RefuseUpgrade | Delay | Slow | Mute | StreamError | Failure
    | LoginUnanswered | NoAck | LateAck | AckError | BundleRefused | IqError | HandshakeLie | PairingLie
    | PairingRestart | QrCodes | NoDecrypt
)  # fmt: skip
"""What the control API accepts; the field ``kind`` tells which."""


@dataclass(slots=True)
class Armed:
    """A fault that was set, and how often it struck each phone."""

    id: str
    fault: Fault
    strikes: Counter[str] = field(default_factory=Counter)

    @property
    def kind(self) -> str:
        return str(self.fault.__struct_config__.tag)

    def covers(self, phone: str, subject: str) -> bool:
        fault = self.fault
        if fault.phone is not None and fault.phone != phone:
            return False
        if not fault.concerns(subject):
            return False
        return fault.count is None or self.strikes[phone] < fault.count


class Faults:
    """The faults that are set.  Belongs to the event loop's thread."""

    def __init__(self, feed: Feed) -> None:
        self._feed = feed
        self._armed: dict[str, Armed] = {}
        self._by_moment: dict[Moment, list[Armed]] = {}
        self._number = 0

    def arm(self, fault: Fault) -> Armed:
        self._number += 1
        armed = Armed(str(self._number), fault)
        self._armed[armed.id] = armed
        self._index()
        return armed

    def disarm(self, fault_id: str | None = None) -> list[str]:
        """Take one fault away, or all; the ids of those taken away (empty if there was none)."""
        gone = [i for i in self._armed if fault_id is None or i == fault_id]
        for each in gone:
            del self._armed[each]
        self._index()
        return gone

    def armed(self) -> list[Armed]:
        return list(self._armed.values())

    def strike(self, moment: Moment, phone: str = "", subject: str = "") -> Fault | None:
        """The first fault that strikes here, counted and put in the feed; None if all goes well."""
        armed = self._first(moment, phone, subject)
        if armed is None:
            return None
        armed.strikes[phone] += 1
        data: dict[str, Datum] = {"id": armed.id, "fault": armed.kind}
        self._feed.add(Happening.FAULT, phone, **data)
        return armed.fault

    def holds(self, moment: Moment, phone: str = "") -> Fault | None:
        """The fault that would strike here, without counting it."""
        armed = self._first(moment, phone, "")
        return armed.fault if armed else None

    def _first(self, moment: Moment, phone: str, subject: str) -> Armed | None:
        for armed in self._by_moment.get(moment, ()):
            if armed.covers(phone, subject):
                return armed
        return None

    def _index(self) -> None:
        self._by_moment = {}
        for armed in self._armed.values():
            for moment in STRIKES[type(armed.fault)]:
                self._by_moment.setdefault(moment, []).append(armed)
