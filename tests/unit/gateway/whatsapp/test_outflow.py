"""The way of events to main: order, credit, and what is too much."""

import errno
import os
import queue
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

import pytest

from gateway.whatsapp.frames import Happened, Outcome
from gateway.whatsapp.journal import Journal, folder_of, segments
from gateway.whatsapp.outflow import Outflow
from protocol.port import Sent
from protocol.port_events import (
    BacklogDelivered,
    Disconnected,
    PortEvent,
    ReceiptReceived,
    Record,
    SendAnswered,
    Undecryptable,
)

WAIT = 5.0
MANY = 1000


class Main:
    """What main is sent, one event after another; ``ears`` False: it takes nothing."""

    def __init__(self) -> None:
        self.heard: queue.Queue[PortEvent | Outcome] = queue.Queue()
        self.writes: list[int] = []
        self.ears = True

    def __call__(self, frames: Sequence[Happened | Outcome]) -> bool:
        self.writes.append(len(frames))
        for frame in frames:
            self.heard.put(frame.event if isinstance(frame, Happened) else frame)
        return self.ears

    def next(self) -> PortEvent | Outcome:
        return self.heard.get(timeout=WAIT)

    def hears_nothing(self) -> bool:
        try:
            self.heard.get(timeout=0.05)
        except queue.Empty:
            return True
        return False


AT = datetime(2026, 1, 1, tzinfo=UTC)
SENT = Sent(wa_id="3A", at=AT)


def inbound(wa_id: str) -> Undecryptable:
    return Undecryptable(wa_id=wa_id, chat="7755@lid", sender="7755@lid", at=AT)


def receipt(wa_id: str) -> ReceiptReceived:
    return ReceiptReceived(wa_ids=[wa_id], chat="7755@lid", sender="7755@lid", kind="delivered", at=AT)


class Port:
    def __init__(self, store: str, credit: int, **limits: int) -> None:
        self.main = Main()
        self.journal = Journal(store)
        self.ends: queue.Queue[str] = queue.Queue()
        self.out = Outflow(self.journal, credit, self.main, self.ends.put, **limits)


MakePort = Callable[..., Port]


@pytest.fixture
def store(tmp_path: Path) -> str:
    return str(tmp_path / "session.db")


@pytest.fixture
def port(store: str) -> Iterator[MakePort]:
    made: list[Port] = []

    def make(credit: int = MANY, **limits: int) -> Port:
        made.append(Port(store, credit, **limits))
        return made[-1]

    yield make
    for each in made:
        each.main.ears = False
        each.out.put(Disconnected())
        each.out.flush(WAIT)


def written(store: str) -> list[Record]:
    return [record for segment in segments(folder_of(store)) for record in segment.records()]


def test_what_comes_in_is_written_down_and_said_in_order(port: MakePort, store: str) -> None:
    here = port()
    here.out.put(inbound("1"))
    here.out.put(Disconnected())
    here.out.put(inbound("2"))
    said = [here.main.next() for _ in range(3)]
    assert [said[0], said[2]] == written(store)
    assert said[1] == Disconnected()
    assert here.out.wait_empty(WAIT)


def test_it_takes_what_comes_in_without_credit_and_nothing_overtakes(port: MakePort, store: str) -> None:
    here = port(credit=2)
    for each in range(4):
        here.out.put(inbound(str(each)))
    here.out.put(BacklogDelivered(count=4))
    first = [here.main.next(), here.main.next()]
    assert here.main.hears_nothing()
    assert not here.out.wait_empty(0.01)
    assert len(written(store)) == 4
    here.out.grant(1)
    third = here.main.next()
    assert here.main.hears_nothing()
    here.out.grant(1)
    assert [*first, third, here.main.next()] == written(store)
    assert here.main.next() == BacklogDelivered(count=4)


def test_an_outcome_is_written_down_and_waits_for_nobody_s_credit(port: MakePort, store: str) -> None:
    here = port(credit=0)
    here.out.put(inbound("1"))
    assert here.main.hears_nothing()
    here.out.answer("1:a", SENT, more=False)
    first, second = written(store)
    assert second.what == SendAnswered(key="1:a", answer=SENT)
    assert here.main.next() == Outcome(key="1:a", answer=SENT, record=second.number)
    assert here.main.hears_nothing()
    here.out.grant(1)
    assert here.main.next() == first


def test_what_is_in_no_hurry_goes_together_and_before_long(
    port: MakePort, store: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.whatsapp.outflow.RECEIPT_PATIENCE_S", 1.0)
    monkeypatch.setattr("gateway.whatsapp.outflow.OUTCOME_PATIENCE_S", 1.0)
    here = port()
    here.out.put(receipt("1"))
    here.out.answer("1:a", SENT, more=True)
    here.out.put(receipt("2"))
    assert here.main.hears_nothing()
    said = [here.main.next() for _ in range(3)]
    assert isinstance(said[0], Outcome)
    assert [event.what for event in said[1:] if isinstance(event, Record)] == [receipt("1"), receipt("2")]
    here.out.put(receipt("3"))
    here.out.put(inbound("4"))
    assert [here.main.next(), here.main.next()] == written(store)[3:]
    assert here.main.writes == [3, 2]


def test_at_the_end_everything_goes(port: MakePort, store: str) -> None:
    here = port(credit=0)
    for each in range(300):
        here.out.put(inbound(str(each)))
    assert here.main.hears_nothing()
    assert here.out.flush(WAIT)
    assert [here.main.next() for _ in range(300)] == written(store)


def test_a_main_that_is_gone_is_not_waited_for(port: MakePort) -> None:
    here = port(credit=0)
    here.main.ears = False
    here.out.put(inbound("1"))
    here.out.put(inbound("2"))
    here.out.flush(WAIT)
    here.out.put(inbound("3"))
    assert not here.out.flush(WAIT)


@pytest.mark.parametrize("limits", [{"max_records": 3}, {"max_bytes": 1600}])
def test_too_much_that_waits_is_the_end_and_still_written_down(
    port: MakePort, store: str, limits: dict[str, int]
) -> None:
    here = port(credit=0, **limits)
    for each in range(3):
        here.out.put(inbound(str(each)))
    assert here.ends.empty()
    here.out.put(inbound("3"))
    here.out.put(inbound("4"))
    assert "main process takes nothing" in here.ends.get(timeout=WAIT)
    assert here.ends.empty()
    assert len(written(store)) == 5


def test_a_journal_that_cannot_be_written_is_the_end_and_main_is_told_all_the_same(
    port: MakePort, store: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = port()
    here.out.put(inbound("1"))
    here.main.next()

    def full(_: int, __: bytes) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "write", full)
    here.out.put(inbound("2"))
    here.out.put(inbound("3"))
    assert "No space left" in here.ends.get(timeout=WAIT)
    said = [here.main.next(), here.main.next()]
    numbers = [each.number for each in said if isinstance(each, Record)]
    assert len(written(store)) == 1
    assert written(store)[0].number < numbers[0] < numbers[1]
