"""Words by which a person asks not to be written to, or to be written to again. Pure.

A message counts only if the word is all it says: "Parar" does, "pode parar o remédio" does not. Case, accents, spaces
and punctuation around and within it make no difference.
"""

import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, Self

LONGEST: Final = 100
"""Characters; a longer message is not looked at."""


@dataclass(frozen=True, slots=True)
class OptOut:
    """The words of a clinic, as ``plain`` writes them."""

    out: frozenset[str] = frozenset()
    back: frozenset[str] = frozenset()

    @classmethod
    def of(cls, out: Iterable[str], back: Iterable[str]) -> Self:
        """From words as a person writes them: one in both lists asks not to be written to."""
        return cls(frozenset(map(plain, out)) - {""}, frozenset(map(plain, back)) - {""})

    def said(self, text: str | None) -> bool | None:
        """True: its author wants no more messages; False: wants them again; None: says nothing of that."""
        if not text or len(text) > LONGEST:
            return None
        word = plain(text)
        if word in self.out:
            return True
        return False if word in self.back else None


NO_WORDS: Final = OptOut()


def plain(text: str) -> str:
    """``text`` without case, accents and punctuation, its words one space apart."""
    folded = unicodedata.normalize("NFKD", unicodedata.normalize("NFKD", text).casefold())
    letters = (letter if letter.isalnum() else " " for letter in folded if not unicodedata.combining(letter))
    return " ".join("".join(letters).split())
