"""``plantao doctor``: what is wrong with a node's settings and surroundings, each with the mend.

================  ==================================================================
module            what it holds
================  ==================================================================
``finding``       what is said of one thing
``examining``     all that is looked at, in order: start here
``configuration`` settings as they are written
``places``        the data and runtime directories, and the disk
``databases``     how large they are
``sockets``       where it listens
``keys``          the master key, and who may read it and other secrets
``certificates``  TLS: until when
``broker``        which NATS server it is, and whether it answers
``clock``         whether this machine knows what time it is
``machine``       descriptors, threads, processors, memory
``backups``       whether there are any
``running``       the node, if one runs
================  ==================================================================

Nothing is changed, and nothing is left: not even a directory. In each module what is looked at (a file, ``/proc``, a
socket) is kept apart from what is made of it, which is pure.
"""
