"""Everything that was ever written and everything that ever arrived, for those who count in the end.

The feed forgets; this does not: some hundred bytes for each message, until the process ends.
"""

from dataclasses import dataclass, field

from tests.emulator.api import Arrival, Letter, Unreadable


@dataclass(slots=True)
class Archive:
    """``letters`` by id, in the order in which they were written; ``arrivals`` and ``unreadable`` in the order of time.
    Belongs to the event loop's thread."""

    letters: dict[str, Letter] = field(default_factory=dict)
    arrivals: list[Arrival] = field(default_factory=list)
    unreadable: list[Unreadable] = field(default_factory=list)

    def written(self, letter: Letter) -> None:
        """A contact wrote to an account."""
        self.letters[letter.id] = letter

    def receipted(self, message_id: str, at: float) -> None:
        """A client says that it has this message; only the first time counts."""
        letter = self.letters.get(message_id)
        if letter is not None and letter.receipted is None:
            letter.receipted = at

    def retried(self, message_id: str) -> None:
        """A client could not read this message and asked for it again."""
        letter = self.letters.get(message_id)
        if letter is not None:
            letter.retries += 1
