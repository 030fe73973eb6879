"""What the parts of a clinic's ledger share: the database, the statements, the clock and the bounds."""

import sqlite3
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from gateway.store.database import Database, fetch
from gateway.store.faults import FaultError, limit_reached
from gateway.store.queries import load_queries
from protocol.commands import utc_now

MEBIBYTE: Final = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """How long and how much a clinic's database keeps.

    ``keep``: how long an id is remembered after the command's end. ``remember``: the same of what came in.
    ``max_bytes``: of the database file. ``spool_bytes``: of what came in and waits for NATS; one batch may exceed it.
    """

    keep: timedelta = timedelta(days=30)
    remember: timedelta = timedelta(days=14)
    max_bytes: int = 256 * MEBIBYTE
    spool_bytes: int = 64 * MEBIBYTE

    @property
    def open_bytes(self) -> int:
        """Up to which more is taken on. The rest is for what came of that, so that it can always be recorded."""
        return self.max_bytes - self.max_bytes // 16


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

    def _check_room(self, connection: sqlite3.Connection) -> None:
        """Raise FaultError if the file is so large that nothing more may be taken on."""
        [(pages, page_size)] = fetch(connection, self._queries.select_size, {})
        if pages * page_size > self._bounds.open_bytes:
            raise FaultError(limit_reached(self._bounds.max_bytes))
