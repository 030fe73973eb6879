"""The part of a channel that answers who asked to pair: with the QR code, or with a code to type on a phone."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from actors.channel.context import Context
from protocol.channel import ChannelState, PairingCode, QrCode
from protocol.errors import ConflictError, PlantaoError
from protocol.interfaces import Failure, Port
from protocol.port import Failed, PairingCodeIssued, PortAnswer, RequestPairingCode

CODE_DEADLINE_S: Final = 30.0
CODE_LIFE_S: Final = 160.0
"""A typed code lives as long as WhatsApp's six QR codes: 60 s and five times 20 s (measured)."""
MOST_ASKING: Final = 16

_HOPELESS: Final = frozenset(
    {
        ChannelState.CONNECTED,
        ChannelState.DISCONNECTED,
        ChannelState.LOGGED_OUT,
        ChannelState.SUSPENDED,
        ChannelState.ERROR,
    }
)

Reply = Callable[[Any], None]


class CodeRefusedError(PlantaoError):
    """WhatsApp gave no pairing code; the text says why."""


@dataclass(frozen=True, slots=True)
class CodeAnswered:
    """What came of asking WhatsApp for a code."""

    phone: str
    outcome: PortAnswer | Failure
    reply: Reply


class Pairing:
    """Belongs to one channel's actor."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._asking: list[tuple[str | None, Reply]] = []

    def ask(self, phone: str | None, reply: Reply) -> None:
        """Somebody wants to pair; answered by ``look``.

        Raises:
            ConflictError: too many ask already.
        """
        if len(self._asking) >= MOST_ASKING:
            raise ConflictError(f"{MOST_ASKING} pairing requests wait for this channel already")
        self._asking.append((phone, reply))

    def look(self, state: ChannelState, reason: str, qr: QrCode | None, port: Port | None) -> None:
        """The channel may have changed: answer who can be answered."""
        if not self._asking:
            return
        if state is ChannelState.QR_REQUIRED and qr is not None and port is not None:
            asking, self._asking = self._asking, []
            for phone, reply in asking:
                if phone is None:
                    reply(qr)
                else:
                    self._request(phone, port, reply)
        elif state in _HOPELESS:
            self.refuse(f"the channel is {state}" + (f" ({reason})" if reason else ""))

    def refuse(self, why: str) -> None:
        """Nobody will get a code."""
        asking, self._asking = self._asking, []
        for _, reply in asking:
            reply(ConflictError(why))

    def _request(self, phone: str, port: Port, reply: Reply) -> None:
        def answered(outcome: PortAnswer | Failure) -> CodeAnswered:
            return CodeAnswered(phone, outcome, reply)

        work = port.call(RequestPairingCode(phone=phone), deadline=CODE_DEADLINE_S)
        self._context.errand(work, answered, timeout=CODE_DEADLINE_S * 2)

    def on_answered(self, message: CodeAnswered) -> None:
        """WhatsApp gave a code, or did not."""
        match message.outcome:
            case PairingCodeIssued(code=code):
                expires_at = self._context.now().after(CODE_LIFE_S)
                message.reply(PairingCode(code=code, phone=message.phone, expires_at=expires_at))
            case Failed(message=why):
                message.reply(CodeRefusedError(f"WhatsApp gave no pairing code: {why}"))
            case Failure(error=error):
                message.reply(CodeRefusedError(f"WhatsApp gave no pairing code: {error}"))
            case _:
                message.reply(CodeRefusedError("the port answered something else"))
