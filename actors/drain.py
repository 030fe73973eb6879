"""The drain: before a node ends, its channels take no more commands and begin no more sends, and what is with WhatsApp
may come to its end while everything else still works: answers are recorded and published, messages come in.

One for the node. A channel looks here after each of its messages, so one that is busy needs no word of its own.
"""

import threading
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass

from actors.places import channel_name
from supervisor.actor import tell
from supervisor.inbox import InboxFullError
from supervisor.names import Names

Key = tuple[str, str]


@dataclass(frozen=True, slots=True)
class DrainBegan:
    """To a channel: look at the drain."""


class Drain:
    """Every method is callable from any thread and returns at once."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._begun = False
        self._busy: set[Key] = set()
        self._told: Callable[[], None] | None = None

    @property
    def begun(self) -> bool:
        """Whether the node is ending. It never goes back."""
        return self._begun

    def begin(self, channels: Iterable[Key], names: Names, told: Callable[[], None]) -> None:
        """Have all channels wind up; ``told`` is called once, in any thread, when none of these (clinic and id) has
        anything under way. Those that begin from now on begin nothing."""
        refs = {key: ref for key in channels if (ref := names.whereis(channel_name(*key))) is not None}
        with self._lock:
            self._busy, self._told, self._begun = set(refs), told, True
        for key, ref in refs.items():
            with suppress(InboxFullError):  # it has much to do, and looks here when it has done the next of it
                if not tell(ref, DrainBegan()):
                    self.through(*key)
        self._look()

    def through(self, clinic: str, channel: str) -> None:
        """The channel has nothing under way, or has ended."""
        with self._lock:
            self._busy.discard((clinic, channel))
        self._look()

    def _look(self) -> None:
        with self._lock:
            if self._busy or self._told is None:
                return
            told, self._told = self._told, None
        told()
