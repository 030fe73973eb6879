"""What a run leaves behind, for the laws to judge: plain data, no connection to anything."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from tests.emulator.api import Arrival, Letter, Unreadable
from tests.storm.plan import Key, Strike

Event = Mapping[str, Any]


@dataclass(slots=True, eq=False)
class Command:
    """A send command; times are unix seconds. ``number`` counts within its lane (channel, chat, priority), in which
    each is published when the one before it is ``stored``, so that their order is beyond doubt."""

    id: str
    key: Key
    chat: str
    priority: str
    number: int
    begun: float
    stored: float | None = None
    tries: int = 0

    @property
    def lane(self) -> tuple[Key, str, str]:
        """Within which order holds."""
        return self.key, self.chat, self.priority


@dataclass(frozen=True, slots=True)
class Stored:
    """An event as its clinic's stream holds it: its sequence number, when the stream took it (unix seconds), the last
    token of its subject, and its body."""

    sequence: int
    at: float
    kind: str
    body: Event

    @property
    def key(self) -> Key:
        """Of which channel."""
        return self.body["clinic"], self.body["channel"]


@dataclass(frozen=True, slots=True)
class Struck:
    """A strike that was done, from ``at`` to ``until`` (unix seconds; of main: until it was ready again)."""

    strike: Strike
    at: float
    until: float


@dataclass(slots=True, kw_only=True)
class Evidence:
    """``accounts``: the channel of each phone. ``uncertain``: ids of commands that the node recorded as uncertain.
    ``log``: the node's, by line."""

    accounts: Mapping[str, Key]
    commands: Sequence[Command] = ()
    letters: Sequence[Letter] = ()
    arrivals: Sequence[Arrival] = ()
    unreadable: Sequence[Unreadable] = ()
    events: Sequence[Stored] = ()
    strikes: Sequence[Struck] = ()
    uncertain: frozenset[str] = frozenset()
    log: Sequence[str] = ()

    def results(self) -> dict[str, list[Stored]]:
        """Final results by command id, those given again (``repeat``) and ``late`` apart."""
        found: dict[str, list[Stored]] = defaultdict(list)
        for event in self.of_kind("result"):
            if not event.body.get("repeat") and event.body["status"] != "late":
                found[event.body["id"]].append(event)
        return found

    def of_kind(self, kind: str) -> list[Stored]:
        """In the order of the streams."""
        return [event for event in self.events if event.kind == kind]

    def copies(self) -> dict[str, list[Arrival]]:
        """Arrivals at contacts, by text, which is a command's id."""
        found: dict[str, list[Arrival]] = defaultdict(list)
        for arrival in self.arrivals:
            found[arrival.text].append(arrival)
        return found

    def named(self) -> dict[str, list[Stored]]:
        """Gap reports by the WhatsApp ids that they name as lost."""
        found: dict[str, list[Stored]] = defaultdict(list)
        for event in self.of_kind("gap"):
            for lost in event.body.get("lost", ()):
                found[lost["wa_id"]].append(event)
        return found


def seconds(text: str) -> float:
    """The unix time that an RFC 3339 text says."""
    return datetime.fromisoformat(text).timestamp()
