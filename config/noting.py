"""Snapshots that could not be opened, for the audit. On the loop's thread."""

import asyncio

import structlog

from gateway.vault import PassedOver
from protocol.access import NODE
from protocol.audit import Audit
from protocol.errors import PlantaoError

ACTION = "vault.passed_over"

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
        clinic, channel, detail = snapshot.clinic, snapshot.channel, {"version": str(snapshot.version)}
        try:
            await self._audit.noted(NODE.id, ACTION, clinic, channel, detail=detail)
        except PlantaoError as error:
            log.error("not in the audit", action=ACTION, clinic=clinic, channel=channel, **detail, error=str(error))
