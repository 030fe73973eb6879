"""What may be asked over rpc: the body of each verb, and the operation that it is.

A request without a body is one without fields. ``v`` may be left out.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Annotated, Any, Final, Generic, Literal, TypeVar

import msgspec
from msgspec import Meta, Struct

from protocol.channel import ChannelSnapshot, PairingCode, QrCode
from protocol.codec import decode
from protocol.ids import CommandId
from protocol.operations import LONGEST_WA_ID, MOST_PHONES, MOST_WA_IDS, Operations
from protocol.port import Presence
from protocol.subjects import ClinicVerb, Verb
from protocol.views import ClinicStats, CommandView, NumberChecks

B = TypeVar("B", bound="Body")

Phone = Annotated[str, Meta(pattern=r"^[1-9][0-9]{6,14}$(?!\n)", description="digits")]
Chat = Annotated[str, Meta(min_length=1, max_length=128, description="digits or a WhatsApp JID")]
WaId = Annotated[str, Meta(min_length=1, max_length=LONGEST_WA_ID)]


RefusalCode = Literal[
    "invalid_request", "not_found", "conflict", "busy", "unavailable", "timeout", "failed", "internal"
]


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


@dataclass(frozen=True, slots=True)
class Ask(Generic[B]):
    """A verb: what its body is, what it is answered with (one of ``answers``; nothing but ``v`` if there are none), and
    the operation that it is."""

    body: type[B]
    answers: tuple[type[Struct], ...]
    work: Callable[[Operations, Target, B], Awaitable[Struct | None]]

    def __call__(self, operations: Operations, target: Target, body: bytes) -> Awaitable[Struct | None]:
        """Ask for it. Raises InvalidBodyError at once, naming the field."""
        return self.work(operations, target, decode(body or b"{}", self.body))


async def _channels(operations: Operations, target: Target, _: Body) -> Channels:
    return Channels(items=list(await operations.channels(target.clinic)))


OF_CHANNEL: Final[dict[Verb, Ask[Any]]] = {
    Verb.STATUS: Ask(Body, (ChannelSnapshot,), lambda ops, to, _: ops.channel(to.clinic, to.channel)),
    Verb.CONNECT: Ask(Body, (ChannelSnapshot,), lambda ops, to, _: ops.connect(to.clinic, to.channel)),
    Verb.DISCONNECT: Ask(Body, (ChannelSnapshot,), lambda ops, to, _: ops.disconnect(to.clinic, to.channel)),
    Verb.SUSPEND: Ask(Body, (ChannelSnapshot,), lambda ops, to, _: ops.suspend(to.clinic, to.channel)),
    Verb.RESUME: Ask(Body, (ChannelSnapshot,), lambda ops, to, _: ops.resume(to.clinic, to.channel)),
    Verb.LOGOUT: Ask(Body, (ChannelSnapshot,), lambda ops, to, _: ops.logout(to.clinic, to.channel)),
    Verb.PAIR: Ask(PairBody, (PairingCode, QrCode), lambda ops, to, body: ops.pair(to.clinic, to.channel, body.phone)),
    Verb.QR: Ask(Body, (QrCode,), lambda ops, to, _: ops.qr(to.clinic, to.channel)),
    Verb.CHECK: Ask(CheckBody, (NumberChecks,), lambda ops, to, body: ops.check(to.clinic, to.channel, body.phones)),
    Verb.MARK_READ: Ask(
        MarkReadBody, (), lambda ops, to, body: ops.mark_read(to.clinic, to.channel, body.chat, body.ids, body.from_)
    ),
    Verb.PRESENCE: Ask(
        PresenceBody, (), lambda ops, to, body: ops.presence(to.clinic, to.channel, body.presence, body.chat)
    ),
    Verb.COMMAND: Ask(CommandBody, (CommandView,), lambda ops, to, body: ops.command(to.clinic, to.channel, body.id)),
    Verb.CANCEL: Ask(CommandBody, (CommandView,), lambda ops, to, body: ops.cancel(to.clinic, to.channel, body.id)),
    Verb.RELEASE: Ask(CommandBody, (CommandView,), lambda ops, to, body: ops.release(to.clinic, to.channel, body.id)),
    Verb.REPLAY: Ask(CommandBody, (CommandView,), lambda ops, to, body: ops.replay(to.clinic, to.channel, body.id)),
    Verb.DISCARD: Ask(CommandBody, (CommandView,), lambda ops, to, body: ops.discard(to.clinic, to.channel, body.id)),
}
"""Every verb of a channel."""

OF_CLINIC: Final[dict[ClinicVerb, Ask[Any]]] = {
    ClinicVerb.CHANNELS: Ask(Body, (Channels,), _channels),
    ClinicVerb.STATS: Ask(Body, (ClinicStats,), lambda ops, to, _: ops.stats(to.clinic)),
}
"""Every verb of a clinic."""


class RefusalReason(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Why a request was not done; ``field`` names what is wrong with it."""

    code: RefusalCode
    message: str
    field: str | None = None


class RefusalBody(Body, frozen=True, kw_only=True):
    """The reply to a request that was not done."""

    error: RefusalReason


def answer_of(outcome: Struct | None) -> dict[str, Any]:
    """The reply to a request that was done."""
    return {"v": 1} if outcome is None else {"v": 1, **msgspec.to_builtins(outcome, builtin_types=(bytes,))}
