"""Phone numbers and the two addresses WhatsApp knows each by: the number (PN) and the hidden identity (LID)."""

from typing import NamedTuple

from tests.emulator.binary import JID, LID_SERVER, USER_SERVER

_LID_PREFIX = "77"


class Address(NamedTuple):
    """One device of a phone number; device 0 is the phone itself."""

    phone: str
    device: int = 0


def pn(phone: str, device: int = 0) -> JID:
    return JID(phone, USER_SERVER, device)


def lid(phone: str, device: int = 0) -> JID:
    """The emulator gives every number the LID that is the number with a prefix."""
    return JID(_LID_PREFIX + phone, LID_SERVER, device)


def address_of(jid: JID | None) -> Address | None:
    """Whose address it is; None for groups, servers and LIDs nobody was given."""
    if jid is None or not jid.user:
        return None
    if jid.server == USER_SERVER:
        return Address(jid.user, jid.device)
    if jid.server == LID_SERVER and jid.user.startswith(_LID_PREFIX):
        return Address(jid.user.removeprefix(_LID_PREFIX), jid.device)
    return None
