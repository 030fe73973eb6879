"""What main and the nursery say to each other: packets on a SOCK_SEQPACKET socket pair."""

import struct
from typing import Final

REQUEST: Final = struct.Struct("!Q")
"""Fork a port, please: a sequence number (from 1). With it come two descriptors: the port's socket, and its log. Number
``ALIVE``, without descriptors: say a word, please."""

REPLY: Final = struct.Struct("!Qq")
"""Sequence number and pid of the port (0: the machine gave no process). With number ``ALIVE``, and the nursery's own
pid: it can fork. It says so once by itself, at first, and then whenever it is asked."""

ALIVE: Final = 0

DESCRIPTORS: Final = 2
