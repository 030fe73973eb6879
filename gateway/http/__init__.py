"""The admin endpoint: what an operator asks the node over HTTP (aiohttp), loopback only.

==============  ======================================================================
module          what it holds
==============  ======================================================================
``server``      ``AdminServer``, the ``Service`` that listens; bounds on connections
``app``         the application: routes, and what surrounds each of them
``node``        ``/health``, ``/ready``, ``/metrics``
``tree``        ``/api/v1/tree``
``clinics``     ``/api/v1/clinics``
``channels``    channels, their verbs and settings, QR codes, sending, what they ask WhatsApp
``commands``    what became of commands, dead letters, and what a person decides of them
``requests``    bodies, path names and answers: the edge between bytes and types
``problems``    every error as RFC 9457 problem details, in one table
``auth``        the admin key
``health``      what the node must be able to say of itself
``metrics``     Prometheus text, computed for each scrape
``supervision`` the part of it that is about the supervision tree
==============  ======================================================================

Everything is asked of ``protocol.operations.Operations``; nothing here knows an actor.
"""
