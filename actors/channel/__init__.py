"""A channel: one WhatsApp number.

Pure, tested without a thread:

================  =====================================================================================
``machine``       the nine states and the literal table of what follows what
``lifecycle``     the session's life: one port at a time, one owner of reconnection (its words are in ``life``)
``outbox``        which command is sent next, and what follows from each answer
``gate``          the circuit breaker around sending: how much may go now
``inbox``         what is published next, and in which order
``views``         how a channel's life looks from outside
================  =====================================================================================

Errands on the loop: ``intake`` (from a body to a command that the ledger owns), ``attempt`` (one send), ``flights``
(which sends are under way). Shells in the actor's thread: ``actor``, made of the parts ``sending``, ``receiving``,
``publishing``, ``pairing`` and ``unlinking``, which share a ``context``. ``requests`` is what a channel can be asked,
``surroundings`` what it needs of the world.
"""
