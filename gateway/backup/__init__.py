"""Archives: a clinic, or the node with all clinics, in one sealed file; written while they run, and put back.

::

    a sealed stream (``gateway.vault.stream``)     its key wrapped by the master key and, if wanted, by a passphrase
      └─ records, each a JSON header and pieces    container, records
           └─ of each clinic: registry, keys, streams, database, sessions

======================  ==================================================================================
module                  what it holds
======================  ==================================================================================
``archives``            ``NodeArchives``, which implements ``protocol.backup.Archives``
``clinic_copy``         what is taken of a clinic that runs, and in which order
``database_copy``       its database, copied while it is used; whether one can be put back
``verifying``           an archive read to its end, to see that it is one
``unpacking``           what is put where of it, when it comes back
``staging``             a clinic on its way back, until it is one of the clinics
``archive_file``        the file: sealed as it is written, opened as it is read
``container``           how records stand in it; blocking, in bounded memory
``records``             which there are, and in which order they may come; pure
``shelf``               where scheduled backups lie, and which of them stay
======================  ==================================================================================

**Nothing lost, nothing double.** The parts of a clinic cannot be cut at the same instant; the order in which they are
copied decides what a seam between two of them can do:

* *The work queue and the schedules before the database.* A command goes from the queue to the ledger, and is taken out
  of the queue only then. Whatever had gone from the queue's copy was in the ledger by the time that was copied; what
  stands in both is one command, by its id. The other way round, one that moved in between would be in neither.
* *Events, dead letters and media after the database.* What comes in, and every result, is in the ledger before it is
  published, and is marked there once it is. What the database's copy says was published is in the events' copy (or was
  too old to be kept); what it says was not is looked up there before it is published again, so that what was published
  in between is not published twice. Media is stored before the message that names it is published.
* *Sessions* are never clean when they come back, whatever they were: WhatsApp has seen more since. Their ratchets are
  dropped (see ``gateway.vault``), so their age does not matter to the rest.

**What happened after the archive was made** is in nobody's memory. A command that waited then may have been sent since,
and to send it again would be the second reminder that this product exists to prevent. So all that was queued before a
clinic is put back is held for a person, unless whoever restores it says that nothing was sent since (``resume``): see
``actors.custody.restoring``. Commands that were published for the first time after the archive was made are not known
at all; a service that repeats their ids has them sent. Events from after it are gone from the clinic's stream (the
stream of ``platform`` has them).

**Verified before anything is touched.** An archive is read to its end, chunk by chunk authenticated, record by record
held against the order in which they may come, and every length against its limit, before the first file is staged;
sessions are opened with the keys in it, and the database is checked. The streams' configuration is never the
archive's: they are made as this version makes them, in the clinic's own account.

Decisions:

* No tar and no pickle: a record names what it is in identifiers that are checked as they are read. Nothing in an
  archive is a path.
* Nothing is compressed here: sessions are sealed compressed, JetStream's snapshots are compressed, and what is large in
  the database is encrypted. So no archive can unpack to more than it weighs.
* The database is copied to a file beside the archive and then into it: a copy has to be of one moment, and may be
  larger than memory. It is as sealed as the database itself.
* A key in a header is wrapped by the master key as it was. An archive that outlives that key needs a passphrase, or the
  old master key.
"""
