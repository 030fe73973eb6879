"""The calls to a port that are under way, as main sees them: each is answered, late, or cut off by the port's end."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from gateway.whatsapp.frames import Call
from protocol.codes import ErrorCode
from protocol.errors import CallTimeoutError, PortGoneError
from protocol.port import Failed, FetchMedia, PortAnswer, PortRequest


@dataclass(eq=False, slots=True)
class _Pending:
    request: PortRequest
    deadline: float
    answer: asyncio.Future[PortAnswer]


class Calls:
    """``write`` sends a call to the port; ``give_up`` is told, in words, that the port has missed a deadline for which
    it is to be killed."""

    def __init__(self, write: Callable[[Call], None], give_up: Callable[[str], None]) -> None:
        self._write: Final = write
        self._give_up: Final = give_up
        self._pending: dict[int, _Pending] = {}
        self._last = 0

    async def make(self, request: PortRequest, *, deadline: float) -> PortAnswer:
        """The port's answer; it has ``deadline`` seconds.

        Raises:
            CallTimeoutError: it gave none; it is given up.
            PortGoneError: it ended before.
        """
        loop = asyncio.get_running_loop()
        self._last += 1
        number = self._last
        pending = _Pending(request, deadline, loop.create_future())
        timer = loop.call_later(deadline, self._miss, pending)
        self._pending[number] = pending
        self._write(Call(id=number, request=request))
        try:
            return await pending.answer
        finally:
            self._pending.pop(number, None)
            timer.cancel()

    def answered(self, number: int, answer: PortAnswer) -> bool:
        """Whether somebody waits for it: else it is dropped."""
        pending = self._pending.get(number)
        if pending is None or pending.answer.done():
            return False
        pending.answer.set_result(answer)
        return True

    def end(self, reason: str) -> None:
        """The port is gone: nothing is answered any more."""
        for pending in self._pending.values():
            if not pending.answer.done():
                pending.answer.set_exception(PortGoneError(f"the port is gone: {reason}"))

    def _miss(self, pending: _Pending) -> None:
        if pending.answer.done():
            return
        if isinstance(pending.request, FetchMedia):
            message = f"the media server did not answer within {pending.deadline:g} s"
            pending.answer.set_result(Failed(code=ErrorCode.MEDIA_UNAVAILABLE.value, message=message))
            return
        text = f"missed the deadline of {type(pending.request).__name__} ({pending.deadline:g} s)"
        pending.answer.set_exception(CallTimeoutError(f"the port {text}"))
        self._give_up(text)
