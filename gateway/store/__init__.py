"""The clinics' databases: one SQLite file each, reached through aiosqlite.

==================  ==================================================================
module              what it holds
==================  ==================================================================
``store``           ``SqliteStore``: the databases of all clinics, a service of the node
``ledger``          ``SqliteLedger``: a clinic's ledger, put together from the next five; counts, sweeping
``commands``        commands: taken, woken, begun again, put away, shown
``outcomes``        attempts and results, receipts, deadlines
``inbound``         what came in, until NATS has it; people
``consents``        what people agreed to: a channel's register
``records``         what there is of people: handed over, erased
``part``            what these share; ``Bounds``: how long and how much is kept
``database``        one file: its connection, its one writer, its transactions
``sealing``         what is personal is sealed, and looked up by keyed hashes
``resealing``       all of a file sealed anew under another key
``schema``          the numbered migrations of ``migrations/``
``migrating``       a file brought to the newest version; what was in clear is wiped
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
* Commands are stored as they were received, results as msgpack, all sealed with the clinic's data key, whose id stands
  in the file (``sealed_with``): bodies, ids, recipients, ``meta``, headers, results, failures, people, the spool. In
  clear are times, states, counters, kinds, codes, channels' names, and WhatsApp's message ids, which are random.
* Everything personal has an end. A body goes when its command is sent, what came in when NATS has it; a command with
  its results and failures ``keep`` after it ended, also one that was held, failed or discarded; the key of what came in
  ``remember`` after it came; receipts that nobody asked for after a day; people ``people`` after they were last heard
  of or written to, and with them their entries of the register. That somebody opted out is kept, with their JID, until
  the channel or the clinic is forgotten. A command that waits for its time or its channel is kept until it ends.
* One sealed value for all that a command says of people (``rows.Private``): one row, one operation.
* Two commands have the same content if they decode to the same command: in JSON or msgpack, in any order of fields.
"""

from gateway.store.part import Bounds
from gateway.store.store import SqliteStore

__all__ = ["Bounds", "SqliteStore"]
