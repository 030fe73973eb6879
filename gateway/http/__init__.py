"""The admin endpoint: what operators and services ask the node over HTTP (aiohttp); beyond loopback with TLS only.

==============  ======================================================================
module          what it holds
==============  ======================================================================
``server``      ``AdminServer``, the ``Service`` that listens
``places``      bounds on connections: who makes way when there are as many as there may be
``app``         the application: all its routes in one table
``routes``      what a route is: path, handler, permission, audit action
``methods``     which methods there are where
``surround``    what surrounds every route: headers, problems, deadlines, and these two:
``origins``     the door: under which names it is served, and which web pages may use it
``guard``       the guard: which key asks, how often, and whether the route is for it
``session``     ``/api/v1/session``: signing in on the page
``static``      ``/`` and ``/page/…``: the page itself, whose files are in ``page/``
``auditing``    what changes something is in the audit, before it is done and after
``rules``       what of the rules may change while it is served
``correlating`` what a request is called: in its answer, in the log, with the command that it sends
``draining``    nothing is taken on while the node drains before its end
``tls``         certificate and key
``openapi``     ``/api/v1/openapi.json``, written from the table
``node``        ``/health``, ``/ready``, ``/metrics``
``tree``        ``/api/v1/tree``
``keys``        ``/api/v1/keys``
``clinics``     ``/api/v1/clinics``
``events``      ``/api/v1/events``: what changes, as it does. ``telling``: what is said to whom; ``watching`` keeps
                streams going, ``streams`` bounds them
``channels``    channels, their verbs and settings, QR codes, sending, what they ask WhatsApp
``commands``    what became of commands, dead letters, and what a person decides of them
``consents``    a channel's register of who agreed to what
``custody``     what is erased, or handed over, of a clinic or a person, as jobs
``rotate``      keys exchanged, as jobs
``backups``     ``/api/v1/backup`` and ``/api/v1/restore``: archives, as jobs
``nats_keys``   who may log in to NATS, for a clinic or for all
``jobs``        ``/api/v1/jobs``
``audit``       ``/api/v1/audit``
``paging``      lists in pages
``reload``      the node's settings, read again
``backends``    what answers: all that handlers ask
``requests``    bodies, path names and answers: the edge between bytes and types
``problems``    every error as RFC 9457 problem details, in one table
``health``      what the node must be able to say of itself
``catalogue``   every metric that there is
``metrics``     Prometheus text, computed for each scrape: ``states`` of clinics and channels, the ``traffic`` through
                them, ``supervision``: the tree
==============  ======================================================================

Routes; ``/health``, ``/ready`` and the page are open, all others want ``Authorization: Bearer <key>`` or ``X-API-Key:
<key>``, or the cookie of who has signed in. A wrong key is refused everywhere. What each takes is in the table: to look
is for every role, to act for operators, to add and remove for administrators. A key for some clinics finds no others;
what concerns all clinics (``/metrics``, to add a clinic) takes a key for all, and lists show each key its own part::

    GET     /health   /ready   /metrics
    GET     /   /page/{file}
    POST    /api/v1/session                 ``{"key"}``: a cookie that stands for it; GET who that is, DELETE signs out
    GET     /api/v1/openapi.json            all of this for programs
    GET     /api/v1/tree?depth=&clinic=     every actor and port with its state, restarts, inbox and last exit;
                                            asks none of them
    GET     /api/v1/keys?clinic=&role=      POST ``{"name", "role", "clinics"?, "expires_at"?, "per_hour"?}`` makes one
    GET     /api/v1/keys/{id}               DELETE revokes it
    GET     /api/v1/jobs?clinic=&kind=&state=   newest first
    GET     /api/v1/jobs/{id}               /file is what it made; DELETE of that says that it is fetched
    GET     /api/v1/audit?clinic=&before=   newest first
    GET     /api/v1/audit/verify?since=     whether all of it is as it was written, and a continuation of what was
    GET     /api/v1/channels?clinic=&state=     of all clinics
    GET     /api/v1/events?clinic=&channel= Server-Sent Events: all there is, and then what changes of it
    GET     /api/v1/clinics?state=          POST adds one
    GET     …/clinics/{c}                   DELETE; its keys are revoked; PATCH ``{"name"?, "timezone"?}``: holds at
                                            once
    GET     …/clinics/{c}/stats
    POST    …/clinics/{c}/release           out of quarantine
    GET     …/clinics/{c}/channels?state=   POST adds one
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
    GET     …/clinics/{c}/nats              logins to NATS; POST issues one; of services of all clinics: /api/v1/nats
    POST    …/nats/{name}/rotate            another password; DELETE …/nats/{name} revokes it
    GET     …/channels/{ch}/consents?contact=&cursor=&limit=
    POST    …/channels/{ch}/consents        ``{"contact", "status": granted|withdrawn|opted_out|opted_in, "source"?,
                                            "note"?}``; after ``withdrawn`` and ``opted_out`` nothing is sent to them
    POST    /api/v1/backup                  ``{"clinic"?, "passphrase"?}``: 202, the job whose /file is the archive
    POST    /api/v1/restore?clinic=&replace=&resume=    the body is the archive, ``Plantao-Passphrase`` in base64: 202,
                                            the job
    POST    /api/v1/export                  ``{"clinic", "contact"?}``: 202, the job; of all, or of one person
    POST    /api/v1/erase                   ``{"clinic", "contact"}``, or ``{"clinic", "all": true}``: 202, the job
    POST    /api/v1/reload                  the settings, read again: ``{"changed": […], "restart": […]}``
    POST    /api/v1/rotate                  ``{"what": "master"}`` or ``{"what": "clinic", "clinic": …}``: 202, the job

What is listed comes in pages: ``limit`` says how much at most, ``next`` of the answer is ``cursor`` of the page after
it, or null. A POST that adds what its body names (a clinic, a channel) may be repeated, and is answered the same; if
there is another one of that name, it is a conflict. ``HEAD`` is wherever ``GET`` is, ``OPTIONS`` says what there is.

``Plantao-Correlation-Id`` names a request: in its answer (which has one in any case), in what the node logs of it, and,
with ``traceparent``, in all that a command causes which it sends.

Until the registry has been read ``/ready`` says 503, and so does, with ``Retry-After``, all that asks for clinics or
channels. So does, while the node drains before its end, ``/ready`` and all that would change anything.

Everything is asked of ``protocol.operations.Operations``; nothing here knows an actor.
"""
