"""The event feed: what happened in the emulator, in order, for tests to wait on."""

from collections import Counter, deque
from collections.abc import Callable, Collection
from enum import StrEnum

from tests.emulator.api import Datum, Event

_KEPT = 50_000


class Happening(StrEnum):
    """The kinds of events."""

    DIAL = "dial"
    REGISTER = "register"
    PAIRED = "paired"
    PAIRING_REFUSED = "pairing_refused"
    LOGIN = "login"
    ONLINE = "online"
    OFFLINE = "offline"
    LOGOUT = "logout"
    STANZA = "stanza"
    MESSAGE = "message"
    REDELIVERY = "redelivery"
    UNDECRYPTABLE = "undecryptable"
    KEY_REUSED = "key_reused"
    RECEIPT = "receipt"
    SENT = "sent"
    MEDIA = "media"
    FAULT = "fault"


Listener = Callable[[Event], None]


class Feed:
    """Append only; keeps the last 50 000 events and counts all of them.  Belongs to the event loop's thread."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._events: deque[Event] = deque(maxlen=_KEPT)
        self._listeners: list[Listener] = []
        self.last = 0
        self.counts: Counter[str] = Counter()

    def add(self, kind: Happening, phone: str = "", **data: Datum) -> None:
        self.last += 1
        event = Event(self.last, self._clock(), kind.value, phone, data)
        self._events.append(event)
        self.counts[event.kind] += 1
        for listener in tuple(self._listeners):
            listener(event)

    def after(self, seq: int, kinds: Collection[str] = (), phone: str = "") -> list[Event]:
        """The kept events later than ``seq``, of these kinds (all if empty) and this phone (all if empty)."""
        fresh: deque[Event] = deque()
        for event in reversed(self._events):
            if event.seq <= seq:
                break
            if matches(event, kinds, phone):
                fresh.appendleft(event)
        return list(fresh)

    def listen(self, listener: Listener) -> Callable[[], None]:
        """Call ``listener`` with every event from now on, until the returned function is called."""
        self._listeners.append(listener)
        return lambda: self._listeners.remove(listener)


def matches(event: Event, kinds: Collection[str], phone: str) -> bool:
    return (not kinds or event.kind in kinds) and (not phone or event.phone == phone)
