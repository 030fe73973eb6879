"""What the parts of a clinic's ledger share: the database, the statements, the clock and the bounds."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from gateway.store.database import Database, fetch
from gateway.store.faults import FaultError, limit_reached
from gateway.store.queries import load_queries
from gateway.store.sealing import SealedFile
from protocol.commands import utc_now

MEBIBYTE: Final = 1 << 20

SIXTEENTHS: Final = 16
FOR_COMMANDS: Final = 12
"""Sixteenths of a clinic's file up to which commands are taken on: they can wait in the queue, WhatsApp cannot."""
FOR_INBOUND: Final = 15
"""The same of what comes in. The rest is for what came of all that, so that it can always be recorded."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """How long and how much a clinic's database keeps.

    ``keep``: how long a command is remembered after its end. ``remember``: the same of what came in. ``people``: how
    long people are after they were last heard of or written to.
    ``max_bytes``: of the database file. ``spool_bytes``: of what came in and waits for NATS; one batch may exceed it.
    """

    keep: timedelta = timedelta(days=30)
    remember: timedelta = timedelta(days=14)
    people: timedelta = timedelta(days=365)
    max_bytes: int = 256 * MEBIBYTE
    spool_bytes: int = 64 * MEBIBYTE


class Part:
    """Some methods of ``SqliteLedger``. Each is one transaction; all raise StoreUnavailableError, having changed
    nothing. ``clock``: the time at which a result is recorded."""

    def __init__(
        self, database: Database, *, bounds: Bounds | None = None, clock: Callable[[], datetime] = utc_now
    ) -> None:
        self._database = database
        self._bounds = bounds or Bounds()
        self._clock = clock
        self._queries = load_queries()

    def _check_room(self, connection: SealedFile, share: int) -> None:
        """Raise FaultError if more than ``share`` sixteenths of what the file may hold are taken."""
        [(pages, page_size)] = fetch(connection, self._queries.select_size, {})
        if pages * page_size * SIXTEENTHS > self._bounds.max_bytes * share:
            raise FaultError(limit_reached(self._bounds.max_bytes))
