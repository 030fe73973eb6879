"""One person erased from one clinic. On the loop's thread.

The person is opted out first, in every channel: what waits for them is not sent any more, and whoever erases them does
not write to them again by accident. Then comes what is under way, so that nothing is told of them later; then the
database; then the session stores, for each of which its channel is brought to rest for a moment; then NATS. A kill in
between leaves some of it, and a channel that comes back as it is wanted: to be asked for again.
"""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Final

from actors.channel.machine import WANTS_PORT
from actors.channel.requests import Connect, Disconnect
from actors.switchboard import Switchboard
from protocol.access import Caller
from protocol.bus import Bus
from protocol.erasing import Sessions, Streams
from protocol.errors import ConflictError, NotFoundError, UnavailableError
from protocol.jobs import JobKind, Jobs, JobView, Progress
from protocol.ledger import Ledger, Store
from protocol.operations import Operations
from protocol.people import is_about, parse_person, with_variants
from protocol.records import CommandRecord, ConsentKind, ConsentSource, InboundRecord
from protocol.views import CommandState

SETTLE_S: Final = 120.0
"""How long what is under way to them may take: a send has 80 seconds."""
_LOOK_S: Final = 0.5
_UNDER_WAY: Final = frozenset({CommandState.WAITING, CommandState.IN_FLIGHT})
NOTE: Final = "erased"
OUT_OF_REACH: Final = (
    "backups and exports made before (scheduled backups go when newer ones take their place); "
    "what services that read the events have kept; "
    "media that services put into the Object Store to be sent (it expires); "
    "what WhatsApp and the phones keep"
)


class ErasingPeople:
    """Erases them, as jobs."""

    def __init__(
        self,
        switchboard: Switchboard,
        operations: Operations,
        jobs: Jobs,
        bus: Bus,
        store: Store,
        sessions: Sessions,
        streams: Streams,
    ) -> None:
        self._switchboard = switchboard
        self._operations = operations
        self._jobs = jobs
        self._bus = bus
        self._store = store
        self._sessions = sessions
        self._streams = streams

    async def erase(self, clinic: str, contact: str, *, by: Caller) -> JobView:
        """See ``protocol.custody``. Raises InvalidInputError too: ``contact`` is no person's number or JID."""
        jids = parse_person(contact)
        self._switchboard.clinic(clinic)
        return await self._jobs.start(JobKind.ERASE, clinic, partial(self._work, clinic, contact, jids), by=by)

    async def _work(
        self, clinic: str, contact: str, given: frozenset[str], progress: Progress, _file: Path
    ) -> Mapping[str, int | str]:
        jids = with_variants(await self._sessions.forms_of(clinic, given))
        ledger = self._store.clinic(clinic)
        channels = [shot.channel for shot in self._switchboard.board.channels(clinic)]
        progress("opting out")
        for channel in channels:
            await self._operations.record_consent(
                clinic, channel, contact, ConsentKind.OPTED_OUT, ConsentSource.OPERATOR, NOTE
            )
        progress("waiting for what is under way")
        await self._settle(clinic, ledger, channels, jids)
        progress("database")
        erased = await ledger.erase_person(jids)
        rows = 0
        for number, channel in enumerate(channels):
            progress("session stores", number, len(channels))
            async with self._at_rest(clinic, channel):
                rows += await self._sessions.erase(clinic, channel, jids)
        late = await ledger.erase_person(jids)
        return {
            "commands": erased.commands + late.commands,
            "inbound": erased.inbound + late.inbound,
            "session_rows": rows,
            **await self._streams.erase_person(clinic, jids, progress),
            "kept": "that they are not to be written to (opted_out), until they or an operator say otherwise",
            "out_of_reach": OUT_OF_REACH,
        }

    async def _settle(self, clinic: str, ledger: Ledger, channels: list[str], jids: frozenset[str]) -> None:
        """Nothing is scheduled for them, being sent to them, or about to be told of them.

        Raises:
            ConflictError: something still is after ``SETTLE_S``.
        """
        until = asyncio.get_running_loop().time() + SETTLE_S
        while under_way := await self._under_way(clinic, ledger, channels, jids):
            if asyncio.get_running_loop().time() > until:
                raise ConflictError(
                    f"clinic {clinic}: {under_way} messages from or to this person are under way: have its channels "
                    "connected, and erase again"
                )
            await asyncio.sleep(_LOOK_S)

    async def _under_way(self, clinic: str, ledger: Ledger, channels: list[str], jids: frozenset[str]) -> int:
        """How much; what can be ended is, also what may have been sent when a port died."""
        count = 0
        async for record in ledger.export(jids):
            match record:
                case CommandRecord(channel=channel, view=view) if view.state is CommandState.SCHEDULED:
                    await self._bus.clinic(clinic).unschedule(channel, [view.id])
                case CommandRecord(channel=channel, view=view) if view.state in _UNDER_WAY:
                    with suppress(ConflictError, NotFoundError, UnavailableError):  # WhatsApp has it; or it has ended
                        await self._operations.cancel(clinic, channel, view.id)
                    count += 1
                case InboundRecord():
                    count += 1
        for channel in channels:
            untold = await ledger.unpublished(channel)
            count += sum(is_about({"to": one.result.to}, jids) for one in untold)
        return count

    @asynccontextmanager
    async def _at_rest(self, clinic: str, channel: str) -> AsyncIterator[None]:
        """The channel has no port meanwhile. How it is wanted is not touched: so it comes back whoever is killed."""
        shot = self._switchboard.channel(clinic, channel)
        if shot.state not in WANTS_PORT or not self._switchboard.runs(clinic, channel):
            yield
            return
        await self._switchboard.ask(clinic, channel, Disconnect())
        try:
            yield
        finally:
            await self._switchboard.ask(clinic, channel, Connect())
