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
    Verb.CANCEL: "message.cancel",
    Verb.RELEASE: "message.release",
    Verb.REPLAY: "dead.replay",
    Verb.DISCARD: "dead.discard",
}
"""Of each verb of a channel that changes something; the same as over HTTP. A clinic has none.

``mark_read`` and ``presence`` are not among them: they come with each message of a conversation, and like sending over
NATS they are traffic.
"""
CHANGES_PER_MINUTE: Final = 300
"""Requests of one clinic that stand in the audit; more are refused. Else one clinic could fill the disk on which all
others have theirs: so many are 125 MB a day."""

_OF_ANOTHER_ACCOUNT: Final = "_R_."


def who_asks(reply: str) -> str:
    """Whose request it is, by where it wants its ``reply``. The server gives those that come from another account,
    which can only be ``platform``, a subject of its own making, and refuses one of that kind from a client."""
    return "nats:platform" if reply.startswith(_OF_ANOTHER_ACCOUNT) else "nats:clinic"
