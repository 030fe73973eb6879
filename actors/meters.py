"""Counting: what channels do, in plain numbers that outlive their actors.

Each number has one writer: the loop, where the ledger has just said that it is so, or (``reconnects``,
``oldest_waiting_at``) the channel's actor. So nothing is locked but the list of channels, and a command costs a few
additions. Readers, in any thread, may see one number a moment before another that goes with it.
"""

import threading
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Final, get_args

from actors.board import Board
from protocol.codes import ErrorCode
from protocol.events import ResultEvent, ResultStatus
from protocol.ledger import RECEIPTS, Receipt, Sender
from protocol.meters import ChannelMeter, ClinicTimes, ClinicTotals, Distribution

BOUNDS_S: Final = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 1800.0, 7200.0, 43200.0)
"""From a command that comes alone to one that waited over a night."""


class Spread:
    """How long something took, each time."""

    __slots__ = ("_counts", "_sum")

    def __init__(self) -> None:
        self._counts = [0] * (len(BOUNDS_S) + 1)
        self._sum = 0.0

    def took(self, seconds: float) -> None:
        """Once more. Clocks of others may run ahead of ours: less than nothing is nothing."""
        seconds = max(0.0, seconds)
        self._counts[bisect_left(BOUNDS_S, seconds)] += 1
        self._sum += seconds

    def read(self) -> Distribution:
        """As it is now."""
        return Distribution(bounds=BOUNDS_S, counts=tuple(self._counts), sum=self._sum)


class ClinicSpreads:
    """The times of one clinic; see ``ClinicTimes``."""

    __slots__ = ("delivery", "queue", "send")

    def __init__(self) -> None:
        self.queue = Spread()
        self.send = Spread()
        self.delivery = Spread()


class ChannelCount:
    """The numbers of one channel; see ``ChannelMeter``. ``times``: those of its clinic."""

    __slots__ = (
        "accepted", "dead", "ended", "failed", "inbound", "last_inbound_at", "lost", "oldest_waiting_at", "receipts",
        "reconnects", "times", "undecryptable",
    )  # fmt: skip

    def __init__(self, times: ClinicSpreads | None = None) -> None:
        self.times = times or ClinicSpreads()
        self.accepted = self.dead = self.inbound = self.lost = self.undecryptable = self.reconnects = 0
        self.ended: dict[str, int] = dict.fromkeys(get_args(ResultStatus), 0)
        self.failed: dict[str, int] = {}
        self.receipts: dict[str, int] = dict.fromkeys(RECEIPTS, 0)
        self.last_inbound_at: datetime | None = None
        self.oldest_waiting_at: datetime | None = None

    def ends(self, result: ResultEvent) -> None:
        """A run has ended so."""
        self.ended[result.status] += 1
        if result.status == "failed":
            code = ErrorCode.INTERNAL.value if result.error is None else result.error.code
            self.fails(code)

    def fails(self, code: str) -> None:
        """A run failed for this reason, and is a dead letter unless a person wanted it to fail."""
        self.failed[code] = self.failed.get(code, 0) + 1
        self.dead += code != ErrorCode.CANCELLED.value

    def receipted(self, receipts: Sequence[Receipt], senders: Mapping[str, Sender]) -> Sequence[tuple[Receipt, Sender]]:
        """These came for what ``senders`` sent, by WhatsApp id; for each message the first of its kind counts. Those
        by which it is known that a message was delivered."""
        seen, delivered = set[tuple[str, str]](), list[tuple[Receipt, Sender]]()
        for receipt in receipts:
            sender = senders.get(receipt.wa_id)
            if sender is None:
                continue
            for kind in RECEIPTS[: RECEIPTS.index(receipt.kind) + 1]:
                if kind in sender.noted or (receipt.wa_id, kind) in seen:
                    continue
                seen.add((receipt.wa_id, kind))
                self.receipts[kind] += 1
                if kind == "delivered":
                    delivered.append((receipt, sender))
        for receipt, sender in delivered:
            if sender.sent_at is not None:
                self.times.delivery.took((receipt.at - sender.sent_at).total_seconds())
        return delivered

    def comes_in(self, messages: int, at: datetime) -> None:
        """So many messages came in, at the latest ``at``."""
        if messages:
            self.inbound += messages
            self.last_inbound_at = at

    def read(self, clinic: str, channel: str) -> ChannelMeter:
        """As it is now."""
        return ChannelMeter(
            clinic=clinic,
            channel=channel,
            accepted=self.accepted,
            ended=dict(self.ended),
            failed=dict(self.failed),
            dead=self.dead,
            receipts=dict(self.receipts),
            inbound=self.inbound,
            lost=self.lost,
            undecryptable=self.undecryptable,
            reconnects=self.reconnects,
            last_inbound_at=self.last_inbound_at,
            oldest_waiting_at=self.oldest_waiting_at,
        )


class NodeMeters:
    """Implements ``protocol.meters.Meters``: of what is on the board. Every method in any thread."""

    def __init__(self, board: Board) -> None:
        self._board = board
        self._lock = threading.Lock()
        self._channels: dict[tuple[str, str], ChannelCount] = {}
        self._clinics: dict[str, ClinicSpreads] = {}

    def of(self, clinic: str, channel: str) -> ChannelCount:
        """Where this channel counts: the same for each of its actors."""
        with self._lock:
            times = self._clinics.setdefault(clinic, ClinicSpreads())
            return self._channels.setdefault((clinic, channel), ChannelCount(times))

    def forget(self, clinic: str, channel: str) -> None:
        """The channel is no more; one that is added under its name begins with nothing."""
        with self._lock:
            self._channels.pop((clinic, channel), None)

    def forget_clinic(self, clinic: str) -> None:
        """The clinic is no more, nor are its channels."""
        with self._lock:
            self._clinics.pop(clinic, None)
            self._channels = {key: count for key, count in self._channels.items() if key[0] != clinic}

    def channels(self) -> Sequence[ChannelMeter]:
        """See ``Meters``."""
        shown = [(each.clinic, each.channel) for each in self._board.channels()]
        with self._lock:
            counts = [(key, self._channels.get(key) or ChannelCount()) for key in shown]
        return [count.read(*key) for key, count in counts]

    def totals(self) -> Mapping[str, ClinicTotals]:
        """See ``Meters``."""
        with self._lock:
            counts = list(self._channels.items())
        sums: dict[str, list[int]] = {}
        for (clinic, _), count in counts:
            of = sums.get(clinic)
            if of is None:
                of = sums[clinic] = [0] * 7
            of[0] += count.accepted
            of[1] += count.ended["sent"]
            of[2] += count.receipts["delivered"]
            of[3] += count.receipts["read"]
            of[4] += count.ended["failed"]
            of[5] += count.dead
            of[6] += count.inbound
        return {
            clinic: ClinicTotals(
                accepted=of[0], sent=of[1], delivered=of[2], read=of[3], failed=of[4], dead=of[5], received=of[6]
            )
            for clinic, of in sums.items()
        }

    def times(self) -> Sequence[ClinicTimes]:
        """See ``Meters``."""
        shown = [each.id for each in self._board.clinics()]
        with self._lock:
            spreads = [(clinic, self._clinics.get(clinic) or ClinicSpreads()) for clinic in shown]
        return [
            ClinicTimes(clinic=clinic, queue=times.queue.read(), send=times.send.read(), delivery=times.delivery.read())
            for clinic, times in spreads
        ]
