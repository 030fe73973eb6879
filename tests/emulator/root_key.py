"""Puts the emulator's root key in the place of WhatsApp's, in the memory of the process that runs the client.

The key is an ordinary Go variable: exactly one copy lies in the writable mapping of neonize's library.  This
module imports nothing heavy, because it runs in a freshly forked port.
"""

import ctypes
from pathlib import Path

WHATSAPP_ROOT_KEY = bytes.fromhex("142375574d0a587166aae71ebe516437c4a28b73e3695c6ce1f7f9545da8ee6b")


class RootKeyError(RuntimeError):
    """WhatsApp's root key was not found exactly once."""


def put_root_key(key: bytes) -> None:
    """Replace the root key with ``key`` (32 bytes).

    Call it after the library is loaded and before the client connects.  RootKeyError unless exactly one copy was
    replaced; ValueError if ``key`` has another length.
    """
    if len(key) != len(WHATSAPP_ROOT_KEY):
        raise ValueError(f"a root key has {len(WHATSAPP_ROOT_KEY)} bytes, not {len(key)}")
    places = [place for start, end in _writable_library_memory() for place in _occurrences(start, end)]
    if len(places) != 1:
        raise RootKeyError(f"found WhatsApp's root key {len(places)} times in the library's memory, expected once")
    ctypes.memmove(places[0], key, len(key))


def _writable_library_memory() -> list[tuple[int, int]]:
    ranges = []
    for line in Path("/proc/self/maps").read_text().splitlines():
        fields = line.split(maxsplit=5)
        if len(fields) == 6 and "w" in fields[1] and Path(fields[5]).name.startswith("neonize-"):
            start, _, end = fields[0].partition("-")
            ranges.append((int(start, 16), int(end, 16)))
    return ranges


def _occurrences(start: int, end: int) -> list[int]:
    memory = ctypes.string_at(start, end - start)
    places = []
    at = memory.find(WHATSAPP_ROOT_KEY)
    while at >= 0:
        places.append(start + at)
        at = memory.find(WHATSAPP_ROOT_KEY, at + 1)
    return places
