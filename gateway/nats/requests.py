"""What may be asked over rpc: the body of each verb, and the operation that it is.

A request without a body is one without fields. ``v`` may be left out.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Annotated, Any, Final, Literal, TypeVar

import msgspec
from msgspec import Meta, Struct

from protocol.channel import ChannelSnapshot
from protocol.codec import decode
from protocol.ids import CommandId
from protocol.operations import LONGEST_WA_ID, MOST_PHONES, MOST_WA_IDS, Operations
from protocol.port import Presence
from protocol.subjects import ClinicVerb, Verb

B = TypeVar("B", bound="Body")

Phone = Annotated[str, Meta(pattern=r"\A[1-9][0-9]{6,14}\Z", description="digits")]
Chat = Annotated[str, Meta(min_length=1, max_length=128, description="digits or a WhatsApp JID")]
WaId = Annotated[str, Meta(min_length=1, max_length=LONGEST_WA_ID)]


class Body(Struct, frozen=True, kw_only=True):
    """The body of a request that takes nothing, and what all others have."""

    v: Literal[1] = 1


class PairBody(Body, frozen=True, kw_only=True):
    """Of ``pair``: by a code typed on ``phone``, or without one by QR."""

    phone: Phone | None = None


class CheckBody(Body, frozen=True, kw_only=True):
    """Of ``check``."""

    phones: Annotated[list[Phone], Meta(min_length=1, max_length=MOST_PHONES)]


class MarkReadBody(Body, frozen=True, kw_only=True):
    """Of ``mark_read``: messages of ``from`` (a JID; None: of the chat's person)."""

    chat: Chat
    ids: Annotated[list[WaId], Meta(min_length=1, max_length=MOST_WA_IDS)]
    from_: Chat | None = msgspec.field(default=None, name="from")


class PresenceBody(Body, frozen=True, kw_only=True):
    """Of ``presence``."""

    presence: Presence
    chat: Chat | None = None


class CommandBody(Body, frozen=True, kw_only=True):
    """Of ``command``, ``cancel``, ``release``, ``replay`` and ``discard``."""

    id: CommandId


class Channels(Struct, frozen=True, kw_only=True):
    """The answer to ``channels``."""

    items: list[ChannelSnapshot]


@dataclass(frozen=True, slots=True)
class Target:
    """Whom a request is for; ``channel`` is empty in one to the clinic."""

    clinic: str
    channel: str = ""


Ask = Callable[[Operations, Target, bytes], Awaitable[Struct | None]]


def _asking(kind: type[B], ask: Callable[[Operations, Target, B], Awaitable[Struct | None]]) -> Ask:
    """``ask`` with the body read first; what is returned raises InvalidBodyError at once, naming the field."""
    return lambda operations, target, body: ask(operations, target, decode(body or b"{}", kind))


async def _channels(operations: Operations, target: Target, _: Body) -> Channels:
    return Channels(items=list(await operations.channels(target.clinic)))


OF_CHANNEL: Final[dict[Verb, Ask]] = {
    Verb.STATUS: _asking(Body, lambda ops, to, _: ops.channel(to.clinic, to.channel)),
    Verb.CONNECT: _asking(Body, lambda ops, to, _: ops.connect(to.clinic, to.channel)),
    Verb.DISCONNECT: _asking(Body, lambda ops, to, _: ops.disconnect(to.clinic, to.channel)),
    Verb.SUSPEND: _asking(Body, lambda ops, to, _: ops.suspend(to.clinic, to.channel)),
    Verb.RESUME: _asking(Body, lambda ops, to, _: ops.resume(to.clinic, to.channel)),
    Verb.LOGOUT: _asking(Body, lambda ops, to, _: ops.logout(to.clinic, to.channel)),
    Verb.PAIR: _asking(PairBody, lambda ops, to, body: ops.pair(to.clinic, to.channel, body.phone)),
    Verb.QR: _asking(Body, lambda ops, to, _: ops.qr(to.clinic, to.channel)),
    Verb.CHECK: _asking(CheckBody, lambda ops, to, body: ops.check(to.clinic, to.channel, body.phones)),
    Verb.MARK_READ: _asking(
        MarkReadBody, lambda ops, to, body: ops.mark_read(to.clinic, to.channel, body.chat, body.ids, body.from_)
    ),
    Verb.PRESENCE: _asking(
        PresenceBody, lambda ops, to, body: ops.presence(to.clinic, to.channel, body.presence, body.chat)
    ),
    Verb.COMMAND: _asking(CommandBody, lambda ops, to, body: ops.command(to.clinic, to.channel, body.id)),
    Verb.CANCEL: _asking(CommandBody, lambda ops, to, body: ops.cancel(to.clinic, to.channel, body.id)),
    Verb.RELEASE: _asking(CommandBody, lambda ops, to, body: ops.release(to.clinic, to.channel, body.id)),
    Verb.REPLAY: _asking(CommandBody, lambda ops, to, body: ops.replay(to.clinic, to.channel, body.id)),
    Verb.DISCARD: _asking(CommandBody, lambda ops, to, body: ops.discard(to.clinic, to.channel, body.id)),
}
"""Every verb of a channel."""

OF_CLINIC: Final[dict[ClinicVerb, Ask]] = {
    ClinicVerb.CHANNELS: _asking(Body, _channels),
    ClinicVerb.STATS: _asking(Body, lambda ops, to, _: ops.stats(to.clinic)),
}
"""Every verb of a clinic."""


def answer_of(outcome: Struct | None) -> dict[str, Any]:
    """The reply to a request that was done."""
    return {"v": 1} if outcome is None else {"v": 1, **msgspec.to_builtins(outcome, builtin_types=(bytes,))}
