from collections import defaultdict

import hypothesis.strategies as st
from hypothesis import settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from actors.channel.inbox import Batch, Inbox, Item
from protocol.inbound import Inbound
from protocol.port_events import MessageReceived
from tests.unit.actors.channel.heard import item, message, receipt

A, B, C = "a@s.whatsapp.net", "b@s.whatsapp.net", "c@s.whatsapp.net"


def inbox(*events: Inbound) -> Inbox:
    box = Inbox()
    box.add(item(seq, what) for seq, what in enumerate(events, 1))
    return box


def names(batch: Batch) -> list[str]:
    return [one.what.wa_id for one in batch.items if isinstance(one.what, MessageReceived)]


def test_everything_plain_goes_in_one_batch_in_order() -> None:
    box = inbox(message("1", A), message("2", B), message("3", A))
    (batch,) = box.take()
    assert names(batch) == ["1", "2", "3"]
    assert not batch.has_media
    assert len(box) == 0


def test_what_comes_while_a_batch_is_out_waits_for_it() -> None:
    box = inbox(message("1", A))
    (batch,) = box.take()
    box.add([item(2, message("2", B))])
    assert box.take() == []
    box.done(batch)
    assert [names(batch) for batch in box.take()] == [["2"]]


def test_media_blocks_its_own_chat_only() -> None:
    box = inbox(message("1", A, media=True), message("2", A), message("3", B))
    media, plain = box.take()
    assert (names(media), media.has_media) == (["1"], True)
    assert names(plain) == ["3"]
    box.done(plain)
    assert box.take() == []
    box.done(media)
    assert [names(batch) for batch in box.take()] == [["2"]]


def test_media_of_several_chats_is_fetched_at_the_same_time() -> None:
    box = inbox(message("1", A, media=True), message("2", B, media=True), message("3", A, media=True))
    assert sorted(names(batch) for batch in box.take()) == [["1"], ["2"]]


def test_media_does_not_overtake_what_came_before_it_in_its_chat() -> None:
    box = inbox(message("1", A), message("2", A, media=True))
    (plain,) = box.take()
    assert names(plain) == ["1"]
    box.done(plain)
    assert [names(batch) for batch in box.take()] == [["2"]]


def test_a_receipt_waits_for_the_media_of_its_chat() -> None:
    box = inbox(message("1", A, media=True), receipt("X", chat=A), receipt("Y", chat=B))
    _, plain = box.take()
    assert [one.what for one in plain.items] == [receipt("Y", chat=B)]


class InboxModel(RuleBasedStateMachine):
    """``due``: per chat what is to be published, in order; the head of it may be out."""

    @initialize()
    def begin(self) -> None:
        self.box = Inbox()
        self.count = 0
        self.due: dict[str, list[Item]] = defaultdict(list)
        self.out: list[Batch] = []
        self.waiting = 0

    @rule(chat=st.sampled_from([A, B, C]), media=st.booleans(), number=st.integers(1, 3))
    def events_come(self, chat: str, media: bool, number: int) -> None:
        for _ in range(number):
            self.count += 1
            one = item(self.count, message(str(self.count), chat, media=media))
            self.box.add([one])
            self.due[chat].append(one)
            self.waiting += 1

    @rule()
    def batches_go_out(self) -> None:
        for batch in self.box.take():
            self.waiting -= len(batch.items)
            self.out.append(batch)
        for chat, due in self.due.items():
            is_out = [one for batch in self.out for one in batch.items if one.what.chat == chat]
            assert is_out == due[: len(is_out)], "in order, and nothing overtakes what is out"
        assert sum(not batch.has_media for batch in self.out) <= 1
        if not self.out:
            assert self.waiting == 0, "what can go goes"

    @precondition(lambda self: self.out)
    @rule(data=st.data())
    def a_batch_is_published(self, data: st.DataObject) -> None:
        batch = self.out.pop(data.draw(st.integers(0, len(self.out) - 1)))
        for one in batch.items:
            assert self.due[one.what.chat].pop(0) is one, "published in order"
        self.box.done(batch)

    @invariant()
    def nothing_is_lost_or_doubled(self) -> None:
        out = sum(len(batch.items) for batch in self.out)
        assert len(self.box) == self.waiting
        assert self.waiting + out == sum(len(due) for due in self.due.values())

    @invariant()
    def media_is_alone(self) -> None:
        for batch in self.out:
            if batch.has_media:
                assert len(batch.items) == 1

    def teardown(self) -> None:
        if not hasattr(self, "box"):
            return
        self.batches_go_out()
        while self.out:
            batch = self.out.pop(0)
            for one in batch.items:
                self.due[one.what.chat].remove(one)
            self.box.done(batch)
            self.batches_go_out()
        assert not any(self.due.values())


TestInbox = InboxModel.TestCase
TestInbox.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
