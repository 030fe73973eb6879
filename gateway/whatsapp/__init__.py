"""WhatsApp: the port (one OS process per channel, which holds its neonize socket), the nursery, and their parent side.

::

    main process                      nursery process               port processes
    opener.Nursery (PortOpener) ───── nursery.main ────── forks ──▶ port.run
    port_process.PortProcess (Port) ◀──────────── frames ─────────▶ session.Session ── neonize

``frames`` is what the two sides say to each other; ``library`` the one door to neonize, which the main process never
goes through; ``translate``, ``content`` and ``errors`` hold what is known of neonize's events, messages and error
texts; ``compose`` and ``attachment`` build outgoing messages. A port writes down in its ``journal`` what came in and
what came of its sends, and its ``outflow`` tells main; what it leaves behind when it is gone, main finds through
``remains`` (the journal) and ``traces`` (whatsmeow's own rows in the session store); ``reading`` keeps a disk that
hangs from everybody else. In a port ``work`` has the threads that call into neonize, ``encryption`` reads of whom
whatsmeow could not encrypt for, ``qr`` knows how long a code is good. Main's side: ``nursery_process`` (``control`` is
what it is told), ``send_line`` and ``calls`` (what a port has to send and to answer), ``exits`` (how a process ended,
in words). Both sides: ``lock`` on the session store, ``jids``, ``strangers`` (what they say of themselves, made fit),
``conduct`` (what a port may do besides: it may have been taken over).

What can go wrong inside neonize is dealt with in this package and nowhere else: whatever happens, main sees
``PortExited`` with a reason, and opens another port.
"""
