"""The running clinics: what the registry wants, kept running.

==============  =======================================================================================
module          what it holds
==============  =======================================================================================
``registrar``   follows the registry; starts and stops clinics
``clinic``      a clinic's supervisor, and the reconciler that starts and stops its channels
``channel/``    one WhatsApp number: state machine, outbox, inbox (see its docstring)
``desk``        what operators and services may ask, carried to the actors (``Operations``)
``board``       the last snapshot of everything, so that a look never waits for an actor
``service``     the actor of a part that runs on the loop or as an OS process
``loop``        the one asyncio loop, and the actor that owns it
==============  =======================================================================================

Actors run on threads of their own and never wait: what takes time is a coroutine on the loop, started with
``Loop.spawn``, whose outcome comes back as a message. They know the gateways by ``protocol.interfaces`` alone.
"""
