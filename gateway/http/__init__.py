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
``routes``      what a route is: path, handler, permission, audit action
``rotate``      keys exchanged, as jobs
``requests``    bodies, path names and answers: the edge between bytes and types
``problems``    every error as RFC 9457 problem details, in one table
``auth``        the admin key
``health``      what the node must be able to say of itself
``metrics``     Prometheus text, computed for each scrape
``supervision`` the part of it that is about the supervision tree
==============  ======================================================================

Routes; ``/health`` and ``/ready`` are open, all others want ``Authorization: Bearer <key>``
or ``X-API-Key: <key>``. A wrong key is refused everywhere::

    GET     /health   /ready   /metrics
    GET     /api/v1/tree?depth=&clinic=     every actor and port with its state, restarts, inbox and last exit;
                                            asks none of them
    GET     /api/v1/channels                of all clinics
    GET     /api/v1/clinics                 POST adds one
    GET     …/clinics/{c}                   DELETE
    GET     …/clinics/{c}/stats
    POST    …/clinics/{c}/release           out of quarantine
    GET     …/clinics/{c}/channels          POST adds one
    GET     …/channels/{ch}                 DELETE; PATCH ``{"config": {…}, "name": …}``: the channel's own settings,
                                            which hold at once
    POST    …/channels/{ch}/{connect|disconnect|suspend|resume|logout|pair|send|check|mark_read|presence}
    GET     …/channels/{ch}/{qr|qr.png}
    GET     …/channels/{ch}/messages?state=&cursor=&limit=
    GET     …/messages/{id}?wait=           seconds, until its run has ended
    POST    …/messages/{id}/{cancel|release}
    GET     …/channels/{ch}/dead
    POST    …/dead/{id}/replay
    DELETE  …/dead/{id}
    POST    /api/v1/rotate                  ``{"what": "master"}`` or ``{"what": "clinic", "clinic": …}``: 202, the job

Until the registry has been read ``/ready`` says 503, and so does, with ``Retry-After``, all that asks for clinics or
channels.

Everything is asked of ``protocol.operations.Operations``; nothing here knows an actor.
"""
