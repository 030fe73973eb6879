"""The running clinics: what the registry wants, kept running.

==============  =======================================================================================
module          what it holds
==============  =======================================================================================
``registrar``   follows the registry; starts and stops clinics
``reconciler``  of each clinic: starts and stops its channels, and has them live by their records
                (``clinic_parts``: with what)
``account``     of each clinic: its connection to NATS and its database
``channel/``    one WhatsApp number: state machine, outbox, inbox (see its docstring)
``desk``        what operators and services may ask (``Operations``), in parts: ``clinic_desk``, ``channel_desk``,
                ``command_desk``, ``consent_desk``; ``switchboard`` is how all of them reach the actors
``board``       the last snapshot of everything, so that a look never waits for an actor; who waits for a command's end.
                ``changelog``: what of it changed when; ``clinic_view``: how a clinic is shown, by its channels
``meters``      what is counted of each channel, whatever becomes of its actor
``remnants``    what channels that are no more have left behind
``custody/``    what exchanges, copies, hands over and erases a clinic's data, as jobs
``turns``       turns at what the node has few of, fair between clinics
``drain``       before the node ends: whether anything is under way still
``places``      under which name each actor is found
``service``     the actor of a part that runs on the loop or as an OS process
``loop``        the one asyncio loop, and the actor that owns it
==============  =======================================================================================

Actors run on threads of their own and never wait: what takes time is a coroutine on the loop, started with
``Loop.spawn``, whose outcome comes back as a message. They know the gateways by ``protocol.interfaces`` alone.
"""
