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
ASK_LIFE_S: Final = 45.0
"""Who asked longer ago has given up (see ``actors.desk``), and must not have a code made that voids a newer one."""

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
    """What came of asking WhatsApp for a code, for all who wait for it."""

    phone: str
    outcome: PortAnswer | Failure
    replies: tuple[Reply, ...]


@dataclass(frozen=True, slots=True)
class _Asking:
    """``since``: monotonic seconds."""

    phone: str | None
    reply: Reply
    since: float


class Pairing:
    """Belongs to one channel's actor."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._asking: list[_Asking] = []

    def ask(self, phone: str | None, reply: Reply) -> None:
        """Somebody wants to pair; answered by ``look``.

        Raises:
            ConflictError: too many ask already.
        """
        asking = self._present()
        if len(asking) >= MOST_ASKING:
            raise ConflictError(f"{MOST_ASKING} pairing requests wait for this channel already")
        self._asking = [*asking, _Asking(phone, reply, self._context.now().mono)]

    def look(self, state: ChannelState, reason: str, qr: QrCode | None, port: Port | None) -> None:
        """The channel may have changed: answer who can be answered."""
        if not self._asking:
            return
        if state is ChannelState.QR_REQUIRED and qr is not None and port is not None:
            asking, self._asking = self._present(), []
            phones: dict[str, list[Reply]] = {}
            for one in asking:
                if one.phone is None:
                    one.reply(qr)
                else:
                    phones.setdefault(one.phone, []).append(one.reply)
            for phone, replies in phones.items():
                self._request(phone, port, tuple(replies))
        elif state in _HOPELESS:
            self.refuse(f"the channel is {state}" + (f" ({reason})" if reason else ""))

    def refuse(self, why: str) -> None:
        """Nobody will get a code."""
        asking, self._asking = self._asking, []
        for one in asking:
            one.reply(ConflictError(why))

    def _present(self) -> list[_Asking]:
        """Who has not given up."""
        now = self._context.now().mono
        return [one for one in self._asking if now - one.since < ASK_LIFE_S]

    def _request(self, phone: str, port: Port, replies: tuple[Reply, ...]) -> None:
        def answered(outcome: PortAnswer | Failure) -> CodeAnswered:
            return CodeAnswered(phone, outcome, replies)

        work = port.call(RequestPairingCode(phone=phone), deadline=CODE_DEADLINE_S)
        self._context.errand(work, answered, timeout=CODE_DEADLINE_S * 2)

    def on_answered(self, message: CodeAnswered) -> None:
        """WhatsApp gave a code, or did not."""
        answer: PairingCode | CodeRefusedError
        match message.outcome:
            case PairingCodeIssued(code=code):
                expires_at = self._context.now().after(CODE_LIFE_S)
                answer = PairingCode(code=code, phone=message.phone, expires_at=expires_at)
            case Failed(message=why):
                answer = CodeRefusedError(f"WhatsApp gave no pairing code: {why}")
            case Failure(error=error):
                answer = CodeRefusedError(f"WhatsApp gave no pairing code: {error}")
            case _:
                answer = CodeRefusedError("the port answered something else")
        for reply in message.replies:
            reply(answer)
