"""What strangers, and WhatsApp, say of themselves, made fit to be carried on. Pure.

It is bounded, and without what would change how the rest of a line is shown. Texts and captions keep their lines and
marks; they are only bounded.
"""

import unicodedata
from typing import Final

from protocol.port import LONGEST_NAME
from protocol.port_events import LONGEST_S, LONGEST_TEXT

_CONTROLS: Final = frozenset({"Cc", "Cs", "Zl", "Zp"})
_TURNING: Final = frozenset("\u200e\u200f\u061c\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
"""They turn the direction of text, by which ``exe.pdf`` can be shown for ``fdp.exe``."""
_SEPARATORS: Final = str.maketrans("/\\", "__")


def name(text: str) -> str:
    """A name, an id, an address or a media type, on one line and of at most ``LONGEST_NAME`` characters. A control
    character becomes a space, so that what it stood between stays apart."""
    short = text[:LONGEST_NAME]
    if short.isascii() and short.isprintable():
        return short
    kept = (each for each in short if each not in _TURNING)
    return "".join(" " if unicodedata.category(each) in _CONTROLS else each for each in kept)


def maybe_name(text: str) -> str | None:
    """The same; None if it is empty."""
    return name(text).strip() or None


def file_name(text: str) -> str | None:
    """The name of a file that leads to no other folder; None if nothing is left of it."""
    found = name(text).translate(_SEPARATORS).strip()
    return found if found.strip(". ") else None


def words(text: str | None) -> str | None:
    """A text or caption of at most ``LONGEST_TEXT`` characters."""
    return None if text is None else text[:LONGEST_TEXT]


def seconds(value: float) -> float:
    """A duration, within what a port may say."""
    return min(max(0.0, float(value)), LONGEST_S)
