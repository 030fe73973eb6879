"""Generic OTP-style supervision on pykka threads. Knows nothing of clinics, WhatsApp or NATS.

==============  ======================================================================================
module          what it holds
==============  ======================================================================================
``reasons``     exit reasons: ``Normal``, ``Shutdown``, ``Crash``
``spec``        the child spec: id, start, restart, shutdown, and the extension ``backoff``
``core``        the decisions of a one_for_one supervisor: pure, ``step(state, event) -> (state, effects)``
``actor``       the actor base: exits reach the parent, timers, calls, messages
``shell``       the supervisor actor, which performs what ``core`` decided
``inbox``         an actor's inbox with its timers inside
``names``       who is running under which name (Erlang's ``register`` and ``whereis``)
``backoff``     exponential backoff with cap, full jitter and reset after stable time: pure
``breaker``     the circuit breaker: pure
``process``     an OS process with the life of a child: ready, heard from, ended, reaped with its group
``heartbeat``   when silence has lasted too long: pure
``pidfd``       a handle on an OS process that can never come to mean another
==============  ======================================================================================
"""
