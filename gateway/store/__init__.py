"""The clinics' databases: one SQLite file each, reached through aiosqlite.

==================  ==================================================================
module              what it holds
==================  ==================================================================
``store``           ``SqliteStore``: the databases of all clinics, a service of the node
``ledger``          ``SqliteLedger``: a clinic's commands and their outcomes
``database``        one file: its connection, its one writer, its transactions
``schema``          the numbered migrations of ``migrations/``
``queries``         the named statements of ``queries.sql``
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
* Commands and results are stored as msgpack. **Today the file holds message texts and phone numbers in clear**,
  protected by its permissions alone (directory 0700, file 0600).
* Two commands have the same content if they decode to the same command: in JSON or msgpack, in any order of fields.
"""

from gateway.store.store import SqliteStore

__all__ = ["SqliteStore"]
