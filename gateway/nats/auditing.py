"""What stands in the audit of a request over NATS."""

from collections.abc import Mapping
from typing import Final

from protocol.subjects import Verb

ACTIONS: Final[Mapping[str, str]] = {
    Verb.CONNECT: "channel.connect",
    Verb.DISCONNECT: "channel.disconnect",
    Verb.SUSPEND: "channel.suspend",
    Verb.RESUME: "channel.resume",
    Verb.LOGOUT: "channel.logout",
    Verb.PAIR: "channel.pair",
    Verb.CHECK: "channel.check",
    Verb.MARK_READ: "channel.mark_read",
    Verb.PRESENCE: "channel.presence",
    Verb.CANCEL: "message.cancel",
    Verb.RELEASE: "message.release",
    Verb.REPLAY: "dead.replay",
    Verb.DISCARD: "dead.discard",
}
"""Of each verb of a channel that changes something; the same as over HTTP. A clinic has none."""

_OF_ANOTHER_ACCOUNT: Final = "_R_."


def who_asks(reply: str) -> str:
    """Whose request it is, by where it wants its ``reply``. The server gives those that come from another account,
    which can only be ``platform``, a subject of its own making, and refuses one of that kind from a client."""
    return "nats:platform" if reply.startswith(_OF_ANOTHER_ACCOUNT) else "nats:clinic"
