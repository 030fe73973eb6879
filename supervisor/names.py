"""Who is running under which name, as Erlang's ``register`` and ``whereis``."""

import threading
from dataclasses import dataclass
from typing import Any

from pykka import ActorRef


class Names:
    """Names of running actors. Every method is callable from any thread and returns at once."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._refs: dict[str, ActorRef[Any]] = {}

    def register(self, name: str, ref: ActorRef[Any]) -> None:
        """``name`` is ``ref`` from now on; a later incarnation replaces an earlier one."""
        with self._lock:
            self._refs[name] = ref

    def unregister(self, name: str, ref: ActorRef[Any]) -> None:
        """``ref`` has ended; harmless if ``name`` is another's by now."""
        with self._lock:
            if self._refs.get(name) == ref:
                del self._refs[name]

    def whereis(self, name: str) -> ActorRef[Any] | None:
        """The actor running under ``name``."""
        with self._lock:
            return self._refs.get(name)

    def name(self, text: str) -> "Name":
        """A name that an actor can be given."""
        return Name(self, text)

    def all(self) -> list[str]:
        """All names, sorted."""
        with self._lock:
            return sorted(self._refs)


@dataclass(frozen=True, slots=True)
class Name:
    """A name for an actor, which takes it before its first message and gives it back at its end."""

    names: Names
    text: str

    def take(self, ref: ActorRef[Any]) -> None:
        """``ref`` has this name from now on."""
        self.names.register(self.text, ref)

    def give_back(self, ref: ActorRef[Any]) -> None:
        """``ref`` has it no more."""
        self.names.unregister(self.text, ref)
