"""The spool against a database that claims, is read by pages and told what is stored, in any order, with failures."""

from collections import defaultdict

import hypothesis.strategies as st
from hypothesis import settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from actors.channel.inbox import Batch, Item
from actors.channel.spool import PageWanted, Spool
from tests.unit.actors.channel.heard import item, message

CHATS = ["a@s.whatsapp.net", "b@s.whatsapp.net", "c@s.whatsapp.net"]
LIMIT = 4


def texts(*seqs: int) -> list[Item]:
    return [item(seq, message(str(seq))) for seq in seqs]


def caught_up() -> Spool:
    spool = Spool(LIMIT)
    wanted = spool.page_wanted()
    assert wanted is not None
    spool.page(wanted, [])
    return spool


def test_at_first_the_database_is_read() -> None:
    spool = Spool(LIMIT)
    assert spool.page_wanted() == PageWanted(0, LIMIT)
    assert spool.page_wanted() is None, "one page at a time"
    spool.page(PageWanted(0, LIMIT), texts(3, 5))
    assert [one.seq for batch in spool.take() for one in batch.items] == [3, 5]
    assert spool.caught_up


def test_what_is_claimed_while_a_page_is_read_is_read_with_the_next() -> None:
    spool = Spool(LIMIT)
    wanted = spool.page_wanted()
    assert wanted is not None
    spool.claimed(texts(1, 2))
    spool.page(wanted, texts(1))
    assert spool.page_wanted() == PageWanted(1, LIMIT - 1)


def test_only_what_another_life_claimed_may_have_been_published() -> None:
    spool = Spool(LIMIT)
    wanted = spool.page_wanted()
    assert wanted is not None
    spool.claimed(texts(2))
    spool.page(wanted, texts(1, 2))
    assert [(one.seq, one.tried) for batch in spool.take() for one in batch.items] == [(1, True), (2, False)]


def test_beyond_the_limit_the_database_keeps_it_until_there_is_room() -> None:
    spool = caught_up()
    spool.claimed(texts(*range(1, 8)))
    (batch,) = spool.take()
    assert [one.seq for one in batch.items] == [1, 2, 3, 4]
    assert spool.page_wanted() is None
    spool.done(batch)
    assert spool.page_wanted() == PageWanted(4, LIMIT)


class SpoolModel(RuleBasedStateMachine):
    """``kept``: what the database has and does not believe stored, by place; ``told``: claims whose committing the
    channel has not heard of yet, and whether it will; ``page``: what was read and not yet heard of."""

    @initialize(left=st.integers(0, 10))
    def begin(self, left: int) -> None:
        self.kept: dict[int, Item] = {}
        self.seq = 0
        self.told: list[list[Item]] = []
        self.published: dict[str, list[int]] = defaultdict(list)
        self.claimed: dict[str, list[int]] = defaultdict(list)
        self.unstored: list[Item] = []
        for number in range(left):
            self._commit(CHATS[number % 3], media=False)
        self._live()

    def _live(self) -> None:
        self.spool = Spool(LIMIT)
        self.out: list[Batch] = []
        self.page: tuple[PageWanted, list[Item]] | None = None

    def _commit(self, chat: str, *, media: bool) -> Item:
        self.seq += 1
        one = item(self.seq, message(str(self.seq), chat, media=media))
        self.kept[self.seq] = one
        self.claimed[chat].append(self.seq)
        return one

    @precondition(lambda self: not self.told)
    @rule(chats=st.lists(st.sampled_from(CHATS), min_size=1, max_size=6), media=st.booleans())
    def a_claim_is_committed(self, chats: list[str], media: bool) -> None:
        self.told.append([self._commit(chat, media=media and index == 0) for index, chat in enumerate(chats)])

    @precondition(lambda self: self.told)
    @rule()
    def the_channel_hears_of_it(self) -> None:
        self.spool.claimed(self.told.pop())

    @precondition(lambda self: self.told)
    @rule()
    def it_took_too_long_and_is_found_to_be_repeated(self) -> None:
        self.told.pop()
        self.spool.missed()

    @rule()
    def a_page_is_read(self) -> None:
        wanted = self.spool.page_wanted()
        if wanted is not None:
            assert self.page is None
            assert wanted.limit > 0
            found = [one for seq, one in sorted(self.kept.items()) if seq > wanted.after]
            self.page = (wanted, found[: wanted.limit])

    @precondition(lambda self: self.page is not None)
    @rule(fails=st.booleans())
    def the_channel_hears_of_the_page(self, fails: bool) -> None:
        assert self.page is not None
        (wanted, items), self.page = self.page, None
        if fails:
            self.spool.page_failed()
        else:
            self.spool.page(wanted, items)

    @rule()
    def batches_go_out(self) -> None:
        self.out += self.spool.take()

    @precondition(lambda self: self.out)
    @rule(data=st.data())
    def a_batch_is_published(self, data: st.DataObject) -> None:
        self._publish(self.out.pop(data.draw(st.integers(0, len(self.out) - 1))))

    def _publish(self, batch: Batch) -> None:
        for one in batch.items:
            done = self.published[one.what.chat]
            assert one.tried or one.seq not in done, "nothing is published twice but what is looked up"
            if one.seq not in done:
                assert not done or done[-1] < one.seq, "in the order of claims"
                done.append(one.seq)
            self.unstored.append(one)
        self.spool.done(batch)

    @precondition(lambda self: self.unstored)
    @rule()
    def the_ledger_hears_of_it(self) -> None:
        for one in self.unstored:
            self.kept.pop(one.seq, None)
        self.unstored = []

    @precondition(lambda self: not self.told)
    @rule()
    def the_channel_dies_and_another_begins(self) -> None:
        self.unstored = []
        self._live()

    @invariant()
    def memory_is_bounded(self) -> None:
        assert len(self.spool) <= LIMIT
        assert sum(len(batch.items) for batch in self.out) <= len(self.spool)

    def teardown(self) -> None:
        """Whatever happened: in the end all is published, in order, once."""
        if not hasattr(self, "spool"):
            return
        while self.told:
            self.spool.claimed(self.told.pop())
        for _ in range(self.seq * 4 + 4):
            if self.page is None:
                self.a_page_is_read()
            if self.page is not None:
                (wanted, items), self.page = self.page, None
                self.spool.page(wanted, items)
            self.out += self.spool.take()
            while self.out:
                self._publish(self.out.pop(0))
            self.the_ledger_hears_of_it()
        assert self.published == {chat: seqs for chat, seqs in self.claimed.items() if seqs}
        assert (len(self.spool), self.spool.caught_up, self.kept) == (0, True, {})


TestSpool = SpoolModel.TestCase
TestSpool.settings = settings(max_examples=150, stateful_step_count=50, deadline=None)
