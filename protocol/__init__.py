"""The vocabulary: what Plantão says and hears, and nothing that does anything.

==================  ==================================================================
module              what it holds
==================  ==================================================================
``ids``             identifiers of clinics, channels and commands; WhatsApp addresses
``codes``           the closed list of error codes, each with its permanence
``errors``          the exceptions that cross a package border
``codec``           JSON and msgpack bodies, told apart by the first byte; ``choices``: which values a field may have
``commands``        the send command, validated field by field
``events``          the events on NATS: message, receipt, result, state, qr, gap, dead letter
``subjects``        the NATS subjects of a clinic and a channel
``channel``         states and snapshots of clinics and channels, registry records
``port``            what a port (the OS process around one neonize socket) is asked and answers; ``port_events``: what
                    it says unasked
``bus``             NATS as actors see it: accounts of clinics, and the registry
``ledger``          a clinic's database as actors see it; ``inbound``: the part of it that owns what came in
``condemnation``    what of a channel's error outlives its node
``vault``           where session stores are kept while the machine is off
``access``          roles, what each is good for, and whoever asks
``audit``           who did what to which clinic and channel
``jobs``            what takes longer than a request may
``custody``         clinics' data backed up, put back, handed over and erased; ``backup``, ``exporting``, ``erasing``,
                    ``rotation``: how actors see each of that
``records``         what a clinic's database holds of people; ``people``: under which names one appears
``media``           media that a command names by its address
``reloading``       settings read again
``operations``      what operators and services may ask of a node
``views``           commands as operators and services see them
``live``            what has changed, for who looks on
``meters``          what has been counted of channels
``telemetry``       a command's way, for who follows single ones
``interfaces``      ``typing.Protocol`` classes through which actors reach the gateways
==================  ==================================================================

Nothing here imports another package of Plantão.
"""
