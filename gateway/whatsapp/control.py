"""What main and the nursery say to each other: packets on a SOCK_SEQPACKET socket pair."""

import struct
from typing import Final

REQUEST: Final = struct.Struct("!Q")
"""Fork a port, please: a sequence number (from 1). With it come two descriptors: the port's socket, and its log."""

REPLY: Final = struct.Struct("!Qq")
"""Sequence number and pid of the port (0: the machine gave no process). With number 0: the nursery is ready."""

DESCRIPTORS: Final = 2
