"""Snapshots that could not be opened, for the audit. On the loop's thread."""

import asyncio
from typing import Final

import structlog

from gateway.vault import PassedOver
from protocol.access import NODE
from protocol.audit import Audit
from protocol.errors import PlantaoError

ACTION = "vault.passed_over"
MOST_VERSION: Final = 999_999
"""Of a snapshot, as the audit has it: a longer number could be a telephone's. The log has all of it."""

log = structlog.get_logger(__name__)


class PassedOverNotes:
    """Called with each. Nobody waits for the audit; what cannot be written there is in the log."""

    def __init__(self, audit: Audit) -> None:
        self._audit = audit
        self._notes: set[asyncio.Task[None]] = set()

    def __call__(self, snapshot: PassedOver) -> None:
        """Begin to write it down."""
        note = asyncio.get_running_loop().create_task(self._note(snapshot), name=ACTION)
        self._notes.add(note)
        note.add_done_callback(self._notes.discard)

    async def _note(self, snapshot: PassedOver) -> None:
        clinic, channel, version = snapshot.clinic, snapshot.channel, min(snapshot.version, MOST_VERSION)
        try:
            await self._audit.noted(NODE.id, ACTION, clinic, channel, detail={"version": str(version)})
        except PlantaoError as error:
            log.error(
                "not in the audit",
                action=ACTION,
                clinic=clinic,
                channel=channel,
                version=snapshot.version,
                error=str(error),
            )
