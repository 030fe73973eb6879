"""The audit: ``<data>/audit.db``, a chain of entries that only grows, and ``<data>/audit.head``, where it ends.

=============  =========================================================================================================
module         what it holds
=============  =========================================================================================================
``chain``      what an entry is sealed with, and how a chain is walked; pure
``head``       the file that says where the chain ends
``words``      what may stand in an entry
``file``       the SQLite file: appending in one transaction, reading, and its faults
``keeper``     ``NodeAudit``, which implements ``protocol.audit.Audit``: many appends share a commit
``service``    the audit as a part of the supervision tree
``verifying``  whether all is there as it was written; of a running node or without one
``around``     what is done, with its entries before and after
``refusals``   authentications that were refused, counted: an entry a minute for each address
=============  =========================================================================================================

Each entry has an HMAC-SHA256 over the one before it and its own fields, under a key derived from the node's key: who
can write the file and has not the key can change nothing, add nothing in between and forge nothing without being found
out. The head is sealed with the same key, so a cut-off end is found out too.

The head is written after the entries are on the disk, at most ``keeper.HEAD_PACE_S`` apart: after a kill the chain may
go on beyond the head, which is no tampering since whoever has not the key could not have made it so. The other way
round, what was appended in that time before somebody took the machine away may be cut off unseen.

What is found broken at a start stays found: the node goes on after the end that the head names, or says in an entry of
its own (``audit.broken``) what was wrong.

Not found out: both files put back as they were once, or both deleted (a chain begins at 1 again, and says when). For
that the end must be known elsewhere: it stands in the log at each start and stop and in every answer to ``verify``, and
``plantao audit verify --since SEQ:HASH`` finds out whether it is still a part of the chain. Nor is it found out if who
has the key, or the running node's memory, writes what is not true.

The audit is never deleted by itself. An entry takes some 150 bytes on the disk; a request that changes something makes
two, so a million of them, messages sent over HTTP included (those that are put on NATS are not in it), are 300 MB.
Refused authentications make at most ``refusals.MOST_ADDRESSES`` entries a minute, which is 20 MB a day under an attack
from a hundred addresses. Nothing else bounds it than how often those with a key may ask, and the disk. If it cannot
grow, what changes something is refused (503), and looking goes on.
"""
