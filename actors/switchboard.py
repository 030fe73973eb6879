"""The switchboard: how what is asked reaches the actors. On the loop; looks at the board, asks with a timeout."""

import asyncio
from collections.abc import Callable
from typing import Any, Final, TypeVar

from actors.board import Board
from actors.places import channel_name
from protocol.bus import Wanted
from protocol.channel import ChannelSnapshot, ClinicSnapshot
from protocol.errors import ConflictError, NotFoundError, PlantaoError, UnavailableError
from supervisor.actor import NoAnswerError, ask
from supervisor.api import Refused, RestartChild, Why
from supervisor.names import Names

T = TypeVar("T")
ASK_TIMEOUT_S: Final = 5.0
APPEAR_TIMEOUT_S: Final = 30.0


class Switchboard:
    """One for the node; keeps nothing of its own."""

    def __init__(self, board: Board, names: Names) -> None:
        self.board = board
        self._names = names

    def clinic(self, clinic: str) -> ClinicSnapshot:
        """As it is on the board. Raises NotFoundError, UnavailableError (it is not known yet whether there is one)."""
        snapshot = self.board.clinic(clinic)
        if snapshot is None:
            raise _missing(f"clinic {clinic}", wanted=clinic in self.wanted().clinics)
        return snapshot

    def channel(self, clinic: str, channel: str) -> ChannelSnapshot:
        """As it is on the board. Raises NotFoundError, UnavailableError (as ``clinic``, or it has not begun yet)."""
        snapshot = self.board.channel(clinic, channel)
        if snapshot is None:
            raise _missing(f"channel {clinic}/{channel}", wanted=(clinic, channel) in self.wanted().channels)
        return snapshot

    def wanted(self) -> Wanted:
        """What the registry wants. Raises UnavailableError: it has not been read yet."""
        wanted = self.board.wanted()
        if wanted is None:
            raise UnavailableError("the node is starting: it has not read the registry yet; try again")
        return wanted

    def runs(self, clinic: str, channel: str) -> bool:
        """Whether the channel has an actor just now: one in quarantine has none, nor has one between two lives."""
        return self._names.whereis(channel_name(clinic, channel)) is not None

    async def ask(self, clinic: str, channel: str, request: Any, timeout: float = ASK_TIMEOUT_S) -> Any:
        """The channel's answer to ``request``.

        Raises:
            NotFoundError: there is no such channel.
            UnavailableError: it is between two lives, or does not answer within ``timeout`` seconds.
            PlantaoError: what it answered with.
        """
        self.channel(clinic, channel)
        ref = self._names.whereis(channel_name(clinic, channel))
        if ref is None:
            raise UnavailableError(f"channel {clinic}/{channel} is starting; try again")
        try:
            return await ask(ref, request, timeout=timeout)
        except NoAnswerError as error:
            raise UnavailableError(f"channel {clinic}/{channel}: {error}") from error

    async def release(self, supervisor: str, child: str, what: str) -> None:
        """Have the supervisor of this name start ``child`` again, which is parked; ``what`` names it in errors.

        Raises:
            ConflictError: it fails at its start.
            UnavailableError: the supervisor is away, or does not answer.
        """
        ref = self._names.whereis(supervisor)
        if ref is None:
            raise UnavailableError(f"{what} is starting; try again")
        try:
            answer = await ask(ref, RestartChild(child), timeout=ASK_TIMEOUT_S)
        except NoAnswerError as error:
            raise UnavailableError(f"{what}: {error}") from error
        match answer:
            case Refused(why=Why.START_FAILED, detail=reason):
                raise ConflictError(f"{what} fails at its start: {reason}")
            case Refused():
                raise UnavailableError(f"{what} is starting; try again")

    def wanted_since(self, revision: int) -> Wanted | None:
        """What the registry wants, once it is known with all changes up to ``revision``."""
        wanted = self.board.wanted()
        return None if wanted is None or wanted.revision < revision else wanted

    async def until_ended(self, clinic: str) -> None:
        """Wait until nothing of a clinic that was taken out of the registry runs or is open. Raises as ``until``."""

        def ended() -> bool | None:
            wanted = self.board.wanted()
            gone = wanted is not None and clinic not in wanted.clinics and self.board.clinic(clinic) is None
            return True if gone else None

        await self.until(ended, f"clinic {clinic} is being ended")

    async def until(self, look: Callable[[], T | None], waiting: str) -> T:
        """Wait until ``look`` finds something on the board.

        Raises:
            UnavailableError: it has not after ``APPEAR_TIMEOUT_S``; ``waiting`` says what is under way.
        """
        loop = asyncio.get_running_loop()
        changed = asyncio.Event()

        def wake() -> None:
            loop.call_soon_threadsafe(changed.set)

        stop = self.board.listen(wake)
        try:
            async with asyncio.timeout(APPEAR_TIMEOUT_S):
                while (found := look()) is None:
                    await changed.wait()
                    changed.clear()
                return found
        except TimeoutError as error:
            raise UnavailableError(f"{waiting}, but not yet done after {APPEAR_TIMEOUT_S:g} s") from error
        finally:
            stop()


def _missing(what: str, *, wanted: bool) -> PlantaoError:
    return UnavailableError(f"{what} is starting; try again") if wanted else NotFoundError(what)
