"""What came in from WhatsApp and is not yet on NATS, pure: what is published next, and in which order.

Laws: events of one chat are published in the order in which they came; media is fetched before its message is
published, and only its own chat waits for that.
"""

from collections import deque
from dataclasses import dataclass

from protocol.interfaces import Port
from protocol.port import Inbound, MessageReceived


@dataclass(frozen=True, slots=True)
class Heard:
    """An event and the port that heard it, which is to be given new credit for it and has its media."""

    event: Inbound
    port: Port


@dataclass(frozen=True, slots=True)
class Batch:
    """What to publish together, in this order. In a batch with media there is one message alone."""

    heard: tuple[Heard, ...]

    @property
    def has_media(self) -> bool:
        """Whether its one message has media to fetch first."""
        return _has_media(self.heard[0].event)


class Inbox:
    """Not thread-safe: it belongs to one channel's actor. Bounded by the credit that the port is given."""

    def __init__(self) -> None:
        self._waiting: deque[Heard] = deque()
        self._plain_out = False
        self._media_chats: set[str] = set()

    def __len__(self) -> int:
        return len(self._waiting)

    def add(self, heard: Heard) -> None:
        """One more."""
        self._waiting.append(heard)

    def take(self) -> list[Batch]:
        """What can be published now; each batch must come back through ``done``.

        One plain batch is out at a time, so order holds between batches; each message with media is out by itself.
        """
        blocked = set(self._media_chats)
        plain: list[Heard] = []
        batches: list[Batch] = []
        kept: deque[Heard] = deque()
        for heard in self._waiting:
            event = heard.event
            behind_plain = self._plain_out or any(p.event.chat == event.chat for p in plain)
            if event.chat in blocked or (self._plain_out and not _has_media(event)):
                blocked.add(event.chat)
                kept.append(heard)
            elif _has_media(event):
                blocked.add(event.chat)
                if behind_plain:
                    kept.append(heard)
                else:
                    self._media_chats.add(event.chat)
                    batches.append(Batch((heard,)))
            else:
                plain.append(heard)
        self._waiting = kept
        if plain:
            self._plain_out = True
            batches.append(Batch(tuple(plain)))
        return batches

    def done(self, batch: Batch) -> None:
        """``batch`` is published."""
        if batch.has_media:
            self._media_chats.discard(batch.heard[0].event.chat)
        else:
            self._plain_out = False


def _has_media(event: Inbound) -> bool:
    return isinstance(event, MessageReceived) and event.media is not None
