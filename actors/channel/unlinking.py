"""The part of a channel that unlinks its device from the WhatsApp account.

One that is connected asks WhatsApp to. One in error, or suspended by an operator (as one that is banned
should be), forgets its session here: the phone, if there still is an account, lists the device until somebody removes
it there.
"""

from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any, Final

from actors.channel.context import Context
from actors.channel.life import Life, PortPhase, SuspendedBy
from protocol.channel import ChannelState
from protocol.errors import ConflictError
from protocol.interfaces import Failure, Port
from protocol.port import Done, Failed, LogOut, PortAnswer

LOGOUT_DEADLINE_S: Final = 20.0


@dataclass(frozen=True, slots=True)
class Forgot:
    """The store holds no session any more; its newest trace is ``row``."""

    row: int


@dataclass(frozen=True, slots=True)
class LogoutAnswered:
    """What WhatsApp said, or what became of the session store, for who asked."""

    outcome: PortAnswer | Forgot | Failure
    reply: Callable[[Any], None]


def log_out(context: Context, life: Life, port: Port | None, reply: Callable[[Any], None]) -> None:
    """Ask WhatsApp through ``port``, if the channel is connected, or forget the session; ``LogoutAnswered`` follows.

    Raises:
        ConflictError: it is neither connected, suspended by an operator nor in error; or in error only for as long as
            nothing can be stored; or its port has not ended yet.
    """
    name = f"{context.clinic}/{context.channel}"
    if _at_rest(life):
        if life.phase is not PortPhase.ABSENT:
            raise ConflictError(f"the port of channel {name} has not ended yet: try again in a few seconds")
        work: Coroutine[Any, Any, PortAnswer | Forgot] = _forget(context)
    elif port is not None:
        work = port.call(LogOut(), deadline=LOGOUT_DEADLINE_S)
    else:
        raise ConflictError(
            f"channel {name} is {life.state}: only one that is connected, suspended or in error can log out"
        )
    context.errand(work, lambda outcome: LogoutAnswered(outcome, reply), timeout=LOGOUT_DEADLINE_S * 2)


def _at_rest(life: Life) -> bool:
    if life.state is ChannelState.ERROR:
        return not life.halted
    return life.suspended_by is SuspendedBy.OPERATOR


async def _forget(context: Context) -> Forgot:
    """On the loop."""
    await context.remains.unlink()
    return Forgot(await context.remains.last_row())


def refusal(outcome: PortAnswer | Forgot | Failure, channel: str) -> ConflictError | None:
    """Why ``channel`` is not logged out; None if it is."""
    match outcome:
        case Done() | Forgot():
            return None
        case Failed(message=why):
            return ConflictError(f"WhatsApp did not log channel {channel} out: {why}")
        case Failure(error=error):
            return ConflictError(f"channel {channel} is not logged out: {error}")
        case _:
            return ConflictError(f"the port of channel {channel} answered something else")
