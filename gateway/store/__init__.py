"""The clinics' databases: one SQLite file each, reached through aiosqlite.

==================  ==================================================================
module              what it holds
==================  ==================================================================
``store``           ``SqliteStore``: the databases of all clinics, a service of the node
``ledger``          ``SqliteLedger``: a clinic's ledger, put together from the next three; counts, sweeping
``commands``        commands: taken, woken, begun again, put away, shown
``outcomes``        attempts and results, receipts, deadlines
``inbound``         what came in, until NATS has it; people
``part``            what these share; ``Bounds``: how long and how much is kept
``database``        one file: its connection, its one writer, its transactions
``schema``          the numbered migrations of ``migrations/``
``copies``          the copy that is taken before a migration, and the way back
``queries``         the named statements of ``sql/``
``rows``            commands, results and times as they stand in a row
``files``           where the files are, and who may read them
``faults``          what an error of SQLite or the disk means, and how it is mended
==================  ==================================================================

Decisions:

* WAL with ``synchronous=NORMAL``: a commit is with the kernel when the call returns, so it survives SIGKILL; a loss of
  power may take the last commits back (never half of one).
* One writer per clinic: a lock around every call, first come, first served. A batch is one transaction.
* A transaction runs to its end even if its caller is cancelled. So a cancelled call may have taken effect.
* Times are whole microseconds since 1970 UTC: they compare and index as numbers and lose nothing of a datetime.
* Commands are stored as they were received, results as msgpack. A body goes when its command is sent, what came in
  goes when NATS has it: the file holds words no longer than it needs them. **Today it holds them and phone numbers in
  clear**, protected by its permissions alone (directory 0700, file 0600).
* Two commands have the same content if they decode to the same command: in JSON or msgpack, in any order of fields.
"""

from gateway.store.part import Bounds
from gateway.store.store import SqliteStore

__all__ = ["Bounds", "SqliteStore"]
