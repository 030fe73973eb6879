"""What came in from WhatsApp, is the ledger's, and is not yet on NATS, pure: what is published next, in which order.

Laws: events of one chat are published in the order in which they were claimed; media is fetched before its message is
published, and only its own chat waits for that.
"""

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from protocol.inbound import Inbound
from protocol.port_events import MessageReceived


@dataclass(frozen=True, slots=True)
class Item:
    """Something claimed ``at`` under ``key``; ``seq`` is its place in the order of claims. ``tried``: it may have been
    published already, by an earlier life or an attempt that failed."""

    seq: int
    key: str
    what: Inbound
    at: datetime
    tried: bool = False

    @property
    def has_media(self) -> bool:
        """Whether there is media to fetch first."""
        return isinstance(self.what, MessageReceived) and self.what.media is not None


@dataclass(frozen=True, slots=True)
class Batch:
    """What to publish together, in this order. In a batch with media there is one message alone."""

    items: tuple[Item, ...]

    @property
    def has_media(self) -> bool:
        """Whether its one message has media to fetch first."""
        return self.items[0].has_media


class Inbox:
    """Not thread-safe: it belongs to one channel's actor. Its bound is its owner's."""

    def __init__(self) -> None:
        self._waiting: deque[Item] = deque()
        self._plain_out = False
        self._media_chats: set[str] = set()
        self._media_waiting = 0

    def __len__(self) -> int:
        return len(self._waiting)

    def add(self, items: Iterable[Item]) -> None:
        """These too, after all others."""
        for item in items:
            self._waiting.append(item)
            self._media_waiting += item.has_media

    def take(self) -> list[Batch]:
        """What can be published now; each batch must come back through ``done``.

        One plain batch is out at a time, so order holds between batches; each message with media is out by itself.
        """
        if not self._waiting or (self._plain_out and not self._media_waiting):
            return []
        if not self._media_waiting and not self._media_chats:
            return [self._all()]
        return self._sort_out()

    def _all(self) -> Batch:
        batch = Batch(tuple(self._waiting))
        self._waiting.clear()
        self._plain_out = True
        return batch

    def _sort_out(self) -> list[Batch]:
        blocked = set(self._media_chats)
        plain: list[Item] = []
        plain_chats: set[str] = set()
        batches: list[Batch] = []
        kept: deque[Item] = deque()
        for item in self._waiting:
            chat = item.what.chat
            if chat in blocked or (self._plain_out and not item.has_media):
                blocked.add(chat)
                kept.append(item)
            elif not item.has_media:
                plain.append(item)
                plain_chats.add(chat)
            elif self._plain_out or chat in plain_chats:
                blocked.add(chat)
                kept.append(item)
            else:
                blocked.add(chat)
                self._media_chats.add(chat)
                self._media_waiting -= 1
                batches.append(Batch((item,)))
        self._waiting = kept
        if plain:
            self._plain_out = True
            batches.append(Batch(tuple(plain)))
        return batches

    def done(self, batch: Batch) -> None:
        """``batch`` is published."""
        if batch.has_media:
            self._media_chats.discard(batch.items[0].what.chat)
        else:
            self._plain_out = False
