"""A channel: one WhatsApp number.

``actor`` is a thin shell in a thread of its own. It is made of parts, which share a ``context``; each hands what is
hard to something pure, tested without a thread, and what takes time to an errand on the loop.

The session, with one owner of reconnection:

==================  ===================================================================================
``machine``         pure: the nine states and the literal table of what follows what
``lifecycle``       pure: the session's life, one port at a time (its words are in ``life``)
``condemning``      pure: why only a person can help a channel, and for how long that holds
``session``         has the port: opens, closes and times as ``lifecycle`` decides
``pairing``         answers who asked to pair; ``unlinking``: logs out
``identity``        knows which number it is
``keeping``         has the session store kept in the vault: ``sealing`` (pure) says when, ``restoring`` gets it back
``leftover``        what earlier lives left in the port's journal and the session store; deletes old traces
``leaving``         how a channel ends
==================  ===================================================================================

The way of a command, from the queue to its result:

==================  ===================================================================================
``sending``         the whole of it, made of the next
``taking``          fetches commands; ``intake`` (errand): from a body to a command that the ledger owns
``schedules``       those that are for later, at their time
``recovering``      those that an earlier life left in the ledger
``outbox``          pure: which goes next, and what follows from each answer (``lines``: who goes next; ``parcel``: a
                    command on its way; ``expiry`` and ``unwanted``: which end unsent, and when)
``pacing``          pure: how fast a number may send: bucket, caps, warm-up, quiet hours, WhatsApp's own restriction
``gate``            pure: the circuit breaker around sending
``attempt``         errand: from commands to requests for the port; ``flights``: which are under way
``settling``        what follows from outcomes; ``doubt``: what may have been sent, and how it is found out
``bookkeeping``     one transaction at a time for all that gathered
``publishing``      results, dead letters, states and codes, to NATS
``lateness``        a second result for what is not delivered in time
``orders``          what people do with single commands
==================  ===================================================================================

The way of what comes in, from the port to NATS:

==================  ===================================================================================
``receiving``       the whole of it, made of the next
``claiming``        from the ports' records to what the ledger owns; then the port has new credit
``spooling``        from there to NATS: ``spool`` (pure) says which claims are in memory, ``inbox`` (pure) what is
                    published next
``telling``         errand: one attempt at that; ``media``: into the Object Store
``inbound``         pure: what the ledger and NATS are told of it
``optout``          pure: words by which a person asks not to be written to
``reporting``       of gaps, of which ``gaps`` (pure) knows what to tell; ``tracing`` looks for what is missing
==================  ===================================================================================

All of them: ``requests`` (what a channel can be asked; ``asking`` passes some on to WhatsApp), ``views`` (how it looks
from outside), ``surroundings`` (what it needs of the world), ``retry`` (how its parts try again), ``fitting`` (what is
too large for NATS), ``way`` (what telemetry is told of commands).
"""
