"""The part of the desk that is about commands: sending, looking, waiting, and what a person decides of them.

A look reads the clinic's ledger, if that is open; what changes a command goes to its channel's actor, which owns it.
"""

import asyncio
import re
from collections import Counter
from collections.abc import Mapping
from typing import Any, Final

from actors.channel.requests import Cancel, Discard, Release, Replay
from actors.switchboard import Switchboard
from protocol.bus import Bus
from protocol.commands import parse, unsupported
from protocol.errors import InvalidInputError, NotFoundError, UnavailableError
from protocol.ids import check_command_id
from protocol.ledger import Store
from protocol.subjects import Priority
from protocol.views import ChannelStats, ClinicStats, CommandPage, CommandState, CommandView

CHANGE_TIMEOUT_S: Final = 15.0
"""A change of a command ends in a transaction, which may wait behind others, and cancels a schedule in NATS."""
MOST_LISTED: Final = 200
MOST_WAIT_S: Final = 30.0
MOST_WAITING: Final = 64
"""Who may wait for commands of one clinic at once."""
LOOK_AGAIN_S: Final = 2.0
"""Whoever ends a command says so on the board; one that was killed between its transaction and its word does not."""

FINAL: Final = frozenset(
    {CommandState.SENT, CommandState.FAILED, CommandState.EXPIRED, CommandState.HELD, CommandState.DISCARDED}
)
_CURSOR: Final = re.compile(r"[0-9]{1,18}\Z")


class CommandDesk:
    """See ``protocol.operations.Operations``."""

    def __init__(self, switchboard: Switchboard, bus: Bus, store: Store) -> None:
        self._switchboard = switchboard
        self._bus = bus
        self._store = store
        self._waiting: Counter[str] = Counter()

    async def send(self, clinic: str, channel: str, priority: Priority, body: bytes, headers: Mapping[str, str]) -> str:
        """Put a valid command on the channel's queue."""
        command = parse(body)
        lacking = unsupported(command)
        if lacking is not None:
            raise InvalidInputError("body", f"something this version supports; it does not support {lacking}")
        self._switchboard.channel(clinic, channel)
        await self._bus.clinic(clinic).enqueue(channel, priority, body, headers)
        return command.id

    # -- looking --

    async def commands(
        self, clinic: str, channel: str, *, state: CommandState | None, cursor: str | None, limit: int
    ) -> CommandPage:
        """A page of the channel's commands."""
        if not 0 < limit <= MOST_LISTED:
            raise InvalidInputError("limit", f"1 to {MOST_LISTED}")
        if cursor is not None and not _CURSOR.match(cursor):
            raise InvalidInputError("cursor", "what an earlier answer gave as next")
        self._switchboard.channel(clinic, channel)
        before = None if cursor is None else int(cursor)
        page = await self._store.clinic(clinic).commands(channel, state=state, before=before, limit=limit)
        return CommandPage(items=list(page.items), next=None if page.next is None else str(page.next))

    async def command(self, clinic: str, channel: str, id: str, *, wait_s: float = 0.0) -> CommandView:
        """One, as it is or once its run has ended."""
        check_command_id(id)
        self._switchboard.channel(clinic, channel)
        if wait_s <= 0:
            return await self._store.clinic(clinic).command(channel, id)
        if self._waiting[clinic] >= MOST_WAITING:
            raise UnavailableError(f"{MOST_WAITING} wait for commands of clinic {clinic} already; ask without waiting")
        self._waiting[clinic] += 1
        try:
            return await self._wait(clinic, channel, id, min(wait_s, MOST_WAIT_S))
        finally:
            self._waiting[clinic] -= 1
            if not self._waiting[clinic]:
                del self._waiting[clinic]

    async def _wait(self, clinic: str, channel: str, id: str, wait_s: float) -> CommandView:
        loop = asyncio.get_running_loop()
        until = loop.time() + wait_s
        ended = asyncio.Event()

        def wake() -> None:
            loop.call_soon_threadsafe(ended.set)

        stop = self._switchboard.board.on_ended(clinic, channel, id, wake)
        try:
            while True:
                ended.clear()
                found = await self._look(clinic, channel, id)
                left = until - loop.time()
                if left <= 0 or (isinstance(found, CommandView) and found.state in FINAL):
                    break
                await _at_most(min(left, LOOK_AGAIN_S), ended)
        finally:
            stop()
        if isinstance(found, NotFoundError):
            raise found
        return found

    async def _look(self, clinic: str, channel: str, id: str) -> CommandView | NotFoundError:
        try:
            return await self._store.clinic(clinic).command(channel, id)
        except NotFoundError as error:
            return error

    async def stats(self, clinic: str) -> ClinicStats:
        """What the clinic's channels hold; also those that are removed and not yet forgotten."""
        self._switchboard.clinic(clinic)
        counts = await self._store.clinic(clinic).counts()
        shown = {channel.channel for channel in self._switchboard.board.channels(clinic)}
        return ClinicStats(
            clinic=clinic,
            channels=[
                ChannelStats(
                    channel=channel,
                    commands=dict(counts.commands.get(channel, {})),
                    spooled=counts.spooled.get(channel, 0),
                )
                for channel in sorted(shown | counts.commands.keys() | counts.spooled.keys())
            ],
            database_bytes=counts.bytes,
            database_limit=counts.limit,
        )

    # -- deciding --

    async def cancel(self, clinic: str, channel: str, id: str) -> CommandView:
        """End a command that waits or is scheduled."""
        return await self._change(clinic, channel, Cancel(check_command_id(id)))

    async def release(self, clinic: str, channel: str, id: str) -> CommandView:
        """Send a held command in a new run."""
        return await self._change(clinic, channel, Release(check_command_id(id)))

    async def replay(self, clinic: str, channel: str, id: str) -> CommandView:
        """Send a failed command in a new run."""
        return await self._change(clinic, channel, Replay(check_command_id(id)))

    async def discard(self, clinic: str, channel: str, id: str) -> CommandView:
        """Put a failed or held command away."""
        return await self._change(clinic, channel, Discard(check_command_id(id)))

    async def _change(self, clinic: str, channel: str, request: Cancel | Release | Replay | Discard) -> CommandView:
        """Answered once the ledger has the change, so that the look that follows shows it, or what came after it."""
        await self._switchboard.ask(clinic, channel, request, CHANGE_TIMEOUT_S)
        return await self._store.clinic(clinic).command(channel, request.id)


async def _at_most(seconds: float, event: asyncio.Event) -> Any:
    try:
        async with asyncio.timeout(seconds):
            await event.wait()
    except TimeoutError:
        return
