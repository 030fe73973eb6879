"""The part of a channel that asks WhatsApp something for somebody: numbers, read marks, presence.

``ask_port`` starts the errand; its end comes to the channel's actor as ``PortAsked``, whose handler is ``answered``.
Neither keeps anything: who asks too often is refused at the desk.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from actors.channel.context import Context
from actors.channel.requests import CheckNumbers, MarkRead, ShowPresence
from protocol import port as p
from protocol.codes import ErrorCode
from protocol.errors import ConflictError, PlantaoError, UnavailableError
from protocol.interfaces import Failure, Port
from protocol.views import NumberCheck, NumberChecks

ASK_DEADLINE_S: Final = 20.0
"""A port that takes longer is killed: these are questions that WhatsApp answers within a second."""

PortQuestion = CheckNumbers | MarkRead | ShowPresence
Reply = Callable[[Any], None]


@dataclass(frozen=True, slots=True)
class PortAsked:
    """To the channel's actor: what came of ``request``, for who asked. ``channel``: how it is called in an answer."""

    channel: str
    request: PortQuestion
    outcome: p.PortAnswer | Failure
    reply: Reply


def ask_port(context: Context, port: Port | None, request: PortQuestion, reply: Reply) -> None:
    """Have the connected ``port`` do ``request``; ``PortAsked`` follows within ``ASK_DEADLINE_S``.

    Raises:
        ConflictError: there is none.
    """
    channel = f"{context.clinic}/{context.channel}"
    if port is None:
        raise _not_connected(channel)
    work = port.call(_words(request), deadline=ASK_DEADLINE_S)
    context.errand(work, lambda outcome: PortAsked(channel, request, outcome, reply), timeout=ASK_DEADLINE_S * 2)


def answered(message: PortAsked) -> None:
    """Tell who asked: ``NumberChecks``, or None if there is nothing to say; else why it was not done, as an error."""
    message.reply(_answer(message))


def _words(request: PortQuestion) -> p.CheckNumbers | p.MarkRead | p.ShowPresence:
    match request:
        case CheckNumbers(phones):
            return p.CheckNumbers(phones=list(phones))
        case MarkRead(chat, sender, wa_ids):
            return p.MarkRead(chat=chat, sender=sender, wa_ids=list(wa_ids))
        case ShowPresence(presence, chat):
            return p.ShowPresence(presence=presence, chat=chat)


def _answer(message: PortAsked) -> NumberChecks | PlantaoError | None:
    match message.outcome:
        case p.NumbersChecked(items=items):
            return NumberChecks(
                items=[NumberCheck(phone=one.phone, on_whatsapp=one.jid is not None, jid=one.jid) for one in items]
            )
        case p.Done():
            return None
        case p.Failed(code=code, message=why):
            return _refused(message.channel, code, why)
        case Failure(error=error):
            return UnavailableError(f"channel {message.channel} did not do it: {str(error) or type(error).__name__}")
        case _:
            return UnavailableError(f"the port of channel {message.channel} answered something else")


def _refused(channel: str, code: str, why: str) -> PlantaoError:
    if code == ErrorCode.NOT_CONNECTED.value:
        return _not_connected(channel)
    if ErrorCode.of(code).permanent:
        return ConflictError(f"WhatsApp refused it to channel {channel}: {why}")
    return UnavailableError(f"channel {channel} did not do it: {why}")


def _not_connected(channel: str) -> ConflictError:
    return ConflictError(f"channel {channel} is not connected: connect it, and ask again")
