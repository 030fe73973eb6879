"""WhatsApp: the port (one OS process per channel, which holds its neonize socket), the nursery, and their parent side.

::

    main process                      nursery process               port processes
    opener.Nursery (PortOpener) ───── nursery.main ────── forks ──▶ port.run
    port_process.PortProcess (Port) ◀──────────── frames ─────────▶ session.Session ── neonize

In the main process:

====================  ==================================================================================
``opener``            opens ports; ``nursery_process``: the nursery as main sees it, ``control``: what it is told
``port_process``      a port as main sees it; ``send_line`` and ``calls``: what it has to send and to answer
``conduct``           what a port may do besides: it may have been taken over
``remains``           what a port that is gone has left: its journal, and whatsmeow's own rows (``traces``)
``reading``           reads of a disk that may hang, apart from everybody else's
====================  ==================================================================================

In a port (the nursery has imported it all before it forks):

====================  ==================================================================================
``port``              the process, from its fork to its end
``session``           one neonize client; ``work``: the threads that call into it
``library``           the one door to neonize, which the main process never goes through
``translate``         neonize's events as ours; ``content``: its messages, ``errors``: its error texts
``compose``           outgoing messages; ``attachment``: their media
``strangers``         what strangers and WhatsApp say of themselves, made fit to be carried on
``encryption``        for whom whatsmeow could not encrypt
``qr``                how long a code is good
``journal``           what came in and what came of sends, written down before ``outflow`` tells main
====================  ==================================================================================

On both sides: ``frames`` (what main and a port say to each other), ``lock`` (on the session store), ``exits`` (how a
process ended, in words), ``jids``.

What can go wrong inside neonize is dealt with in this package and nowhere else: whatever happens, main
sees ``PortExited`` with a reason, and opens another port.
"""
