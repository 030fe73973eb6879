"""The part of receiving that publishes what was claimed: media first, receipts matched to commands, in batches.

Media has its time, which does not pass while there is a port and it only waits for a place or its turn. What waits so
when the port goes, or the channel is to end, is given up at once: others' media may stall for long.

What NATS has is said to the ledger (``stored``), gathered, one call at a time. Until then the ledger keeps it, and the
channel that begins anew finds it there.
"""

from asyncio import CancelledError
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Final, Protocol

from actors.channel import media
from actors.channel.context import Context
from actors.channel.inbound import Teller, event_media
from actors.channel.inbox import Batch, Item
from actors.channel.retry import Failures, Retry
from actors.channel.spool import PageWanted, Spool
from actors.channel.telling import (
    PUBLISH_TIMEOUT_S,
    ReceivingPolicy,
    Tried,
    fetch_and_publish,
    publish,
    senders_of,
    wanted,
)
from protocol.errors import BusUnavailableError, PortGoneError
from protocol.inbound import Spooled
from protocol.interfaces import Failure, Port
from protocol.ledger import Sender
from protocol.port_events import MessageReceived, ReceiptReceived

STORE_TIMEOUT_S: Final = 30.0
TURN_TIMEOUT_S: Final = 3600.0
"""How long media may wait for its clinic's turn."""


@dataclass(frozen=True, slots=True)
class Published:
    """A batch is stored by NATS, or not yet. ``fetched``: its media was to be fetched."""

    batch: Batch
    outcome: Tried | Failure
    fetched: bool = False


@dataclass(frozen=True, slots=True)
class PublishDue:
    """Try a batch again."""

    batch: Batch


@dataclass(frozen=True, slots=True)
class MediaDue:
    """No port came in time to fetch the media of this batch."""

    batch: Batch


@dataclass(frozen=True, slots=True)
class MediaBegun:
    """It is the turn of this batch's media."""

    batch: Batch


@dataclass(frozen=True, slots=True)
class PageRead:
    """A page of the spool."""

    wanted: PageWanted
    outcome: Sequence[Spooled] | Failure


@dataclass(frozen=True, slots=True)
class PageDue:
    """Try to read again."""


@dataclass(frozen=True, slots=True)
class Stored:
    """The ledger knows that NATS has these, or not yet."""

    keys: Sequence[str]
    failure: Failure | None


@dataclass(frozen=True, slots=True)
class StoreDue:
    """Try to tell the ledger again."""


@dataclass(frozen=True, slots=True)
class Noted:
    """Receipts that wait for NATS were noted."""

    receipts: Sequence[ReceiptReceived]
    outcome: Mapping[str, Sender] | Failure


class Receipted(Protocol):
    """Hears of each receipt once the ledger has noted it; possibly several times."""

    def __call__(self, wa_id: str, kind: str, sender: Sender | None) -> None: ...


class Spooling:
    """Belongs to one channel's actor."""

    def __init__(self, context: Context, policy: ReceivingPolicy, receipted: Receipted) -> None:
        self._context = context
        self._policy = policy
        self._receipted = receipted
        self._teller = Teller(context.clinic, context.channel)
        self._spool = Spool(policy.in_memory)
        self._port: Port | None = None
        self._publish_failures = Failures(context, "inbound not published yet")
        self._retry_page = Retry(context, "inbound not read back yet", "page", PageDue())
        self._retry_store = Retry(context, "inbound not marked as published yet", "stored", StoreDue())
        self._out = 0
        self._media_out = 0
        self._parked: deque[Batch] = deque()
        self._deadlines: dict[int, float] = {}
        self._waits_since: dict[int, float] = {}
        self._cancels: dict[int, Callable[[], None]] = {}
        self._given_up: set[int] = set()
        self._keys: list[str] = []
        self._storing = False
        self._closing = False

    @property
    def handlers(self) -> dict[type, Callable[[Any], None]]:
        """Who deals with which of the messages that this part sends to its actor."""
        return {
            Published: self.on_published,
            PublishDue: self.on_publish_due,
            MediaDue: self.on_media_due,
            MediaBegun: self.on_media_begun,
            PageRead: self.on_page,
            PageDue: lambda _: self.pump(),
            Stored: self.on_stored,
            StoreDue: lambda _: self.on_store_due(),
            Noted: self.on_noted,
        }

    @property
    def idle(self) -> bool:
        """Nothing waits in memory and nothing is out; at the end, media that no port will fetch may wait."""
        if self._keys or self._storing:
            return False
        return self._out == len(self._parked) if self._closing else len(self._spool) == 0

    @property
    def stuck(self) -> bool:
        """The last attempt failed: NATS is away, or the ledger."""
        return self._publish_failures.failing or self._retry_store.failing

    @property
    def waiting(self) -> int:
        """About how many claims NATS does not have."""
        return self._spool.waiting

    def configure(self, policy: ReceivingPolicy) -> None:
        """Go by ``policy`` from now on."""
        self._policy = policy

    def close(self) -> None:
        """Read nothing back any more: the channel is to end, and whoever comes next finds it."""
        self._closing = True
        self._wait_no_more()

    def use(self, port: Port | None) -> None:
        """Fetch media through ``port`` from now on; None: not connected."""
        self._wait_no_more()
        self._port = port
        for batch in self._parked:
            self._wait(batch)
        self._unpark()
        if port is None:
            for batch in self._parked:
                self._await_port(batch)

    def claimed(self, items: Sequence[Item], repeats: int) -> None:
        """These were claimed. A repeat may be the claim of a life that ended, or timed out, in the middle of it."""
        self._spool.claimed(items)
        if repeats:
            self._spool.missed()
        if self._publish_failures.failing:
            self._note([item.what for item in items if isinstance(item.what, ReceiptReceived)])
        self.pump()

    def pump(self) -> None:
        """Publish what can be published, and read back what there is room for."""
        for batch in self._spool.take():
            self._out += 1
            self._begin(batch)
        if not self._closing and (page := self._spool.page_wanted()) is not None:
            work = self._context.ledger.spooled(self._context.channel, page.after, page.limit)
            self._context.errand(work, lambda outcome: PageRead(page, outcome), timeout=STORE_TIMEOUT_S)

    def on_page(self, message: PageRead) -> None:
        """The database was read."""
        if isinstance(message.outcome, Failure):
            self._spool.page_failed()
            self._retry_page.failed(message.outcome.error)
            return
        self._retry_page.succeeded()
        items = [Item(found.seq, found.key, found.what, found.at) for found in message.outcome]
        self._spool.page(message.wanted, items)
        self.pump()

    # -- publishing --

    def _begin(self, batch: Batch) -> None:
        what = batch.items[0].what
        if not batch.has_media or not wanted(self._policy, what):
            self._publish(batch)
            return
        assert isinstance(what, MessageReceived)
        assert what.media is not None
        if what.media.size > self._policy.media_limit:
            self._publish(batch, f"larger than {self._policy.media_limit} bytes")
            return
        now = self._context.now().mono
        if now < self._deadlines.setdefault(batch.items[0].seq, now + self._policy.media_timeout_s):
            self._park(batch)
        else:
            self._publish(batch, f"not fetched and stored within {self._policy.media_timeout_s:g} s")

    def _publish(self, batch: Batch, media_error: str | None = None) -> None:
        what = batch.items[0].what
        found = None
        if media_error is not None and isinstance(what, MessageReceived) and what.media is not None:
            found = event_media(what.media, None, media_error)
        work = publish(self._context, self._policy, self._teller, batch.items, found)
        self._context.errand(work, lambda outcome: Published(batch, outcome), timeout=PUBLISH_TIMEOUT_S)

    def on_published(self, message: Published) -> None:
        """A batch came back."""
        batch, outcome = message.batch, message.outcome
        seq = batch.items[0].seq
        if message.fetched:
            self._waits_since.pop(seq, None)
            self._cancels.pop(seq, None)
            self._media_out -= 1
            self._unpark()
        if isinstance(outcome, Tried):
            self._tell_of(batch, outcome.senders)
        error = outcome.error
        given_up = message.fetched and seq in self._given_up
        self._given_up.discard(seq)
        match error:
            case None:
                self._publish_failures.succeeded()
                self._done(batch)
            case CancelledError() if given_up:
                self._park(_tried(batch))
            case PortGoneError() if self._context.now().mono < self._deadlines[seq]:
                self._park(batch)
            case PortGoneError():
                self._publish(batch, str(error))
            case _:
                if isinstance(error, BusUnavailableError):
                    # No time to fetch it in passes while NATS is away: it would take the message neither.
                    self._deadlines.pop(seq, None)
                delay = self._publish_failures.count(error)
                self._context.timer(f"publish-{seq}", delay, PublishDue(_tried(batch)))

    def _done(self, batch: Batch) -> None:
        self._out -= 1
        self._deadlines.pop(batch.items[0].seq, None)
        self._spool.done(batch)
        self._keys += [item.key for item in batch.items]
        self._store()
        self.pump()

    def _tell_of(self, batch: Batch, senders: Mapping[str, Sender] | None) -> None:
        if senders is None:
            return
        for item in batch.items:
            if isinstance(item.what, ReceiptReceived):
                self._tell_of_one(item.what, senders)

    def _tell_of_one(self, receipt: ReceiptReceived, senders: Mapping[str, Sender]) -> None:
        for wa_id in receipt.wa_ids:
            self._receipted(wa_id, receipt.kind, senders.get(wa_id))

    def on_publish_due(self, message: PublishDue) -> None:
        """The pause after a failure is over."""
        self._begin(message.batch)

    # -- media --

    def _park(self, batch: Batch) -> None:
        """Have the media of this batch fetched as soon as there is a port, and a place."""
        self._parked.append(batch)
        self._wait(batch)
        self._unpark()
        if self._port is None:
            self._await_port(batch)

    def _await_port(self, batch: Batch) -> None:
        seq = batch.items[0].seq
        left = max(0.0, self._deadlines[seq] - self._context.now().mono)
        self._context.timer(f"media-{seq}", left, MediaDue(batch))

    def _unpark(self) -> None:
        while self._port is not None and self._parked and self._media_out < media.AT_ONCE:
            batch = self._parked.popleft()
            self._media_out += 1
            begun = partial(self._context.tell, MediaBegun(batch))
            work = fetch_and_publish(self._context, self._policy, self._teller, batch.items, self._port, begun)
            timeout = TURN_TIMEOUT_S + 2 * PUBLISH_TIMEOUT_S + self._policy.media_timeout_s
            self._cancels[batch.items[0].seq] = self._context.errand(work, _published(batch), timeout=timeout)

    def on_media_begun(self, message: MediaBegun) -> None:
        """Its time passes."""
        seq = message.batch.items[0].seq
        self._cancels.pop(seq, None)
        self._waited(seq)

    def _wait(self, batch: Batch) -> None:
        if self._port is not None:
            self._waits_since[batch.items[0].seq] = self._context.now().mono

    def _waited(self, seq: int) -> None:
        since = self._waits_since.pop(seq, None)
        if since is not None:
            self._deadlines[seq] += self._context.now().mono - since

    def _wait_no_more(self) -> None:
        for seq in list(self._waits_since):
            self._waited(seq)
        for cancel in self._cancels.values():
            cancel()
        self._given_up |= self._cancels.keys()
        self._cancels.clear()

    def on_media_due(self, message: MediaDue) -> None:
        """No port came in time."""
        if self._port is None and message.batch in self._parked:
            self._parked.remove(message.batch)
            self._publish(message.batch, f"no session to fetch it with within {self._policy.media_timeout_s:g} s")

    # -- the ledger --

    def _store(self) -> None:
        if self._storing or not self._keys:
            return
        self._storing = True
        keys, self._keys = self._keys, []
        work = self._context.ledger.stored(self._context.channel, keys)
        self._context.errand(work, lambda outcome: Stored(keys, Failure.of(outcome)), timeout=STORE_TIMEOUT_S)

    def on_stored(self, message: Stored) -> None:
        """The ledger has answered."""
        if message.failure is None:
            self._retry_store.succeeded()
            self._storing = False
            self._store()
            return
        self._keys = [*message.keys, *self._keys]
        self._retry_store.failed(message.failure.error)

    def on_store_due(self) -> None:
        """The pause after a failure is over."""
        self._storing = False
        self._store()

    def _note(self, receipts: Sequence[ReceiptReceived]) -> None:
        """While NATS is away: whoever waits for a receipt to know whether a message was sent need not wait for NATS."""
        if not receipts:
            return
        work = senders_of(self._context, receipts)
        self._context.errand(work, lambda outcome: Noted(receipts, outcome), timeout=STORE_TIMEOUT_S)

    def on_noted(self, message: Noted) -> None:
        """The ledger has answered; if it failed, it is asked again when they are published."""
        if not isinstance(message.outcome, Failure):
            for receipt in message.receipts:
                self._tell_of_one(receipt, message.outcome)


def _tried(batch: Batch) -> Batch:
    return Batch(tuple(replace(item, tried=True) for item in batch.items))


def _published(batch: Batch) -> Callable[[Tried | Failure], Published]:
    return lambda outcome: Published(batch, outcome, fetched=True)
