"""A channel: one WhatsApp number.

Pure, tested without a thread:

================  =====================================================================================
``machine``       the nine states and the literal table of what follows what
``lifecycle``     the session's life: one port at a time, one owner of reconnection (its words are in ``life``)
``condemning``    why only a person can help a channel, and for how long that holds
``outbox``        which command is sent next, and what follows from each answer (``lines``: who goes next; ``parcel``:
                  a command on its way; ``expiry`` and ``unwanted``: which end unsent, and when)
``gate``          the circuit breaker around sending: how much may go now
``pacing``        how fast a number may send: bucket, caps, warm-up, quiet hours, WhatsApp's own restriction
``spool``         which claims of what came in are in memory, and which have to be read back (``inbox``: what is
                  published next, and in which order; ``inbound``: what the ledger and NATS are told of it)
``gaps``          what is told of a time without a session
``optout``        words by which a person asks not to be written to
``views``         how a channel's life looks from outside
================  =====================================================================================

Errands on the loop: ``intake`` (from a body to a command that the ledger owns), ``attempt`` (from commands to requests
for the port), ``flights`` (which sends are under way), ``telling`` and ``media`` (what came in, to NATS), ``fitting``
(what is too large for NATS). Shells in the actor's thread: ``actor``, made of the parts ``session`` (which has the
port), ``sending``, ``receiving``, ``publishing``, ``reporting`` (of gaps; ``tracing`` looks for what is missing),
``keeping`` (of the session store in the vault; ``restoring``, and when to seal: ``sealing``), ``leftover`` (what
earlier lives left), ``identity`` (which number it is), ``pairing``, ``asking``, ``unlinking`` and ``leaving``,
which share a ``context``. ``retry`` is how they try again; ``requests`` what a channel can be asked, ``surroundings``
what it needs of the world; ``way``: what telemetry is told of commands.

Receiving is made of ``claiming`` (from the ports' records to what the ledger owns; then the port has new credit) and
``spooling`` (from there to NATS). Sending is made of ``recovering`` (what an earlier life left), ``taking`` (from the
queue), ``schedules`` (at their time), ``settling`` (what follows from outcomes), ``doubt`` (what may have been sent),
``bookkeeping`` (one transaction at a time), ``lateness`` and ``orders`` (what people do with single commands).
"""
