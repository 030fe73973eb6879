"""What people do with single commands: cancel, release, replay, discard.

Each is answered with the command as the ledger has it afterwards, or with the error that says why not.
"""

from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass
from typing import Any, Final

from actors.channel.context import Context
from actors.channel.intake import later_of
from actors.channel.outbox import Outbox
from actors.channel.parcel import Ended, Parcel
from actors.channel.schedules import Schedules
from protocol.codes import ErrorCode
from protocol.errors import ConflictError, PlantaoError
from protocol.interfaces import Failure
from protocol.ledger import Accepted, Scheduled
from protocol.views import CommandState, CommandView

ORDER_TIMEOUT_S: Final = 300.0
"""Far beyond what the store allows itself: what it gave out must not be lost to a time-out."""

Reply = Callable[[CommandView | PlantaoError], Any]


@dataclass(frozen=True, slots=True)
class Begun:
    """A new run, and the answer to whoever asked for it."""

    run: Accepted | Scheduled
    answer: CommandView | PlantaoError


@dataclass(frozen=True, slots=True)
class Found:
    """A command that is scheduled, to be cancelled."""

    accepted: Accepted


@dataclass(frozen=True, slots=True)
class Done:
    """What came of an order."""

    reply: Reply
    outcome: Begun | Found | CommandView | Failure


class Orders:
    """Belongs to one channel's actor. ``send`` takes what is to be sent again; ``end`` what is at its end, and what to
    call, on the loop, once that is recorded."""

    def __init__(
        self,
        context: Context,
        outbox: Outbox,
        schedules: Schedules,
        *,
        send: Callable[[Sequence[Accepted]], None],
        end: Callable[[Ended, Callable[[], None]], None],
    ) -> None:
        self._context = context
        self._outbox = outbox
        self._schedules = schedules
        self._send = send
        self._end = end

    @property
    def handlers(self) -> dict[type, Callable[[Any], None]]:
        """Who deals with which of the messages that this part sends to its actor."""
        return {Done: self._on_done}

    def cancel(self, id: str, reply: Reply) -> None:
        """End a command that waits or is scheduled."""
        parcel = self._outbox.find(id)
        if parcel is None:
            self._errand(self._scheduled(id), reply)
            return
        end = self._outbox.cancel(parcel, self._context.now())
        if end is None:
            reply(ConflictError(f"command {id} cannot be cancelled any more: WhatsApp may have it"))
        else:
            self._finish(end, reply)

    async def _scheduled(self, id: str) -> Found:
        ledger, channel = self._context.ledger, self._context.channel
        if (accepted := await ledger.asleep(channel, id)) is not None:
            return Found(accepted)
        view = await ledger.command(channel, id)
        raise ConflictError(f"command {id} is {view.state}: only one that waits or is scheduled can be cancelled")

    def _found(self, accepted: Accepted, reply: Reply) -> None:
        if self._outbox.find(accepted.command.id) is not None:  # its time has come meanwhile
            self.cancel(accepted.command.id, reply)
            return

        def ended(answer: CommandView | PlantaoError) -> None:
            self._schedules.forget(accepted.command.id, accepted.run)
            reply(answer)

        self._schedules.take_back(accepted.command.id, accepted.run)
        code = ErrorCode.CANCELLED
        self._finish(Ended(Parcel.of(accepted, 0), "failed", code=code, message=code.meaning), ended)

    def _finish(self, end: Ended, reply: Reply) -> None:
        def recorded() -> None:
            self._errand(self._context.ledger.command(self._context.channel, end.parcel.id), reply)

        self._end(end, recorded)

    def again(self, id: str, state: CommandState, reply: Reply) -> None:
        """Begin a new run of a command whose last one ended as ``state``."""
        self._errand(self._begin(id, state), reply)

    async def _begin(self, id: str, state: CommandState) -> Begun:
        ledger, channel = self._context.ledger, self._context.channel
        run = await ledger.again(channel, id, state, self._context.now().wall)
        try:
            return Begun(run, await ledger.command(channel, id))
        except PlantaoError as error:
            return Begun(run, error)  # it is to be sent all the same

    def discard(self, id: str, reply: Reply) -> None:
        """Put a failed or held command away."""
        self._errand(self._discard(id), reply)

    async def _discard(self, id: str) -> CommandView:
        await self._context.ledger.discard(self._context.channel, id)
        return await self._context.ledger.command(self._context.channel, id)

    def _errand(self, work: Coroutine[Any, Any, Begun | Found | CommandView], reply: Reply) -> None:
        self._context.errand(work, lambda outcome: Done(reply, outcome), timeout=ORDER_TIMEOUT_S)

    def _on_done(self, message: Done) -> None:
        """Raises what is not known to have left the ledger as it was: the channel begins anew."""
        match message.outcome:
            case Failure(error=PlantaoError() as error):
                message.reply(error)
            case Failure(error=error):
                raise error
            case Found(accepted=accepted):
                self._found(accepted, message.reply)
            case Begun(run=Scheduled() as scheduled, answer=answer):
                self._schedules.add([later_of(scheduled)])
                message.reply(answer)
            case Begun(run=Accepted() as accepted, answer=answer):
                self._send([accepted])
                message.reply(answer)
            case CommandView() as view:
                message.reply(view)
