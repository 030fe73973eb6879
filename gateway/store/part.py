"""What the parts of a clinic's ledger share: the database, the statements, the clock and the bounds."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from gateway.store.database import Database
from gateway.store.queries import load_queries
from protocol.commands import utc_now

MEBIBYTE: Final = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """How long and how much a clinic's database keeps.

    ``keep``: how long an id is remembered after the command's end. ``remember``: the same of what came in.
    ``max_bytes``: of the database file. ``spool_bytes``: of what came in and waits for NATS.
    """

    keep: timedelta = timedelta(days=30)
    remember: timedelta = timedelta(days=14)
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
