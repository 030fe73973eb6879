"""The part of a channel that unlinks its device from the WhatsApp account."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from actors.channel.context import Context
from protocol.errors import ConflictError
from protocol.interfaces import Failure, Port
from protocol.port import Done, Failed, LogOut, PortAnswer

LOGOUT_DEADLINE_S: Final = 20.0


@dataclass(frozen=True, slots=True)
class LogoutAnswered:
    """What WhatsApp said, for who asked."""

    outcome: PortAnswer | Failure
    reply: Callable[[Any], None]


def log_out(context: Context, port: Port | None, reply: Callable[[Any], None]) -> None:
    """Ask WhatsApp through ``port``, if the channel is connected; ``LogoutAnswered`` follows.

    Raises:
        ConflictError: it is not.
    """
    if port is None:
        name = f"{context.clinic}/{context.channel}"
        raise ConflictError(f"channel {name} is not connected: only a connected one can log out")
    work = port.call(LogOut(), deadline=LOGOUT_DEADLINE_S)
    context.errand(work, lambda outcome: LogoutAnswered(outcome, reply), timeout=LOGOUT_DEADLINE_S * 2)


def refusal(outcome: PortAnswer | Failure, channel: str) -> ConflictError | None:
    """Why ``channel`` is not logged out; None if it is."""
    match outcome:
        case Done():
            return None
        case Failed(message=why):
            return ConflictError(f"WhatsApp did not log channel {channel} out: {why}")
        case Failure(error=error):
            return ConflictError(f"WhatsApp did not log channel {channel} out: {error}")
        case _:
            return ConflictError(f"the port of channel {channel} answered something else")
