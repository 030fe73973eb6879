from collections.abc import AsyncIterator, Sequence

import pytest
from structlog.testing import capture_logs

from actors.channel import gaps as gaps_module
from actors.channel import reporting as reporting_module
from actors.channel import tracing as tracing_module
from actors.channel.inbound import message_key
from actors.channel.reporting import Reporting
from protocol import port_events
from protocol.events import GapEvent
from protocol.inbound import Claim
from protocol.subjects import EventKind
from tests.fakes.scripted_port import AT, UP
from tests.unit.actors.channel.bench import CHANNEL, Bench
from tests.unit.actors.channel.heard import CHAT, message


class Witness(Bench):
    """The reporting part; ``heard`` and ``settled``: what was heard and is the ledger's; ``told``: how often the
    backlog was said to be in."""

    def __init__(self) -> None:
        super().__init__()
        self.heard = 0
        self.settled = 0
        self.told = 0
        self.part = Reporting(self.context, self, self._in, backlog_s=5.0)
        self.handlers = self.part.handlers
        self.part.begin(0, 0)

    def _in(self) -> None:
        self.told += 1

    def passed(self, mark: int) -> bool:
        return self.settled >= mark

    async def connect(self, *words: port_events.PortEvent) -> None:
        self.part.said(UP)
        self.part.came_up()
        for word in words:
            self.part.said(word)
        await self.run()

    async def session(self) -> None:
        await self.connect(port_events.BacklogDelivered(count=0))

    async def exit(self, row: int | None = None) -> None:
        self.part.said(port_events.PortExited(reason="killed", expected=False, last_row=row))
        await self.run()

    def lose(self, *wa_ids: str) -> None:
        for wa_id in wa_ids:
            self.remains.trace(wa_id, b"", CHAT, CHAT)

    def throw(self, wa_id: str) -> None:
        self.part.said(self.remains.write(port_events.AlreadyDecrypted(wa_id=wa_id, chat=CHAT, sender=CHAT)))

    @property
    def gaps(self) -> list[GapEvent]:
        return self.bus.events(EventKind.GAP)

    @property
    def lost(self) -> list[list[str]]:
        return [[lost.wa_id for lost in gap.lost] for gap in self.gaps]

    def traced(self) -> int | None:
        return self.ledger.channel(CHANNEL).traced


@pytest.fixture
async def witness() -> AsyncIterator[Witness]:
    witness = Witness()
    yield witness
    await witness.loop.end()


async def test_a_report_waits_until_what_came_before_it_is_the_ledgers(witness: Witness) -> None:
    witness.heard = 2
    await witness.session()
    assert (witness.gaps, witness.told) == ([], 0)
    witness.settled = 2
    witness.part.look()
    await witness.run()
    assert (len(witness.gaps), witness.told) == (1, 1)
    witness.part.look()
    assert witness.told == 1


async def test_a_backlog_that_nobody_announces_is_empty_after_a_while(witness: Witness) -> None:
    await witness.connect()
    assert witness.timers["backlog"][0] == 5.0
    await witness.fire("backlog")
    assert (len(witness.gaps), witness.told) == (1, 1)


async def test_one_that_is_announced_is_waited_for_longer(witness: Witness) -> None:
    await witness.connect(port_events.BacklogAnnounced(messages=2, receipts=0))
    assert witness.timers["backlog"][0] == reporting_module.ANNOUNCED_LIMIT_S
    await witness.exit()
    await witness.fire("backlog")
    assert witness.gaps == []


async def test_a_report_is_one_line_in_the_log_that_names_nobody(witness: Witness) -> None:
    witness.lose("A")
    await witness.exit(1)
    with capture_logs() as logs:
        witness.bus.away = True
        await witness.connect(
            port_events.BacklogAnnounced(messages=2, receipts=0), witness.remains.write(message("B", backlog=True))
        )
        witness.part.said(port_events.BacklogDelivered(count=1))
        await witness.run()
        witness.bus.away = False
        await witness.fire("report")
        await witness.exit()
        await witness.session()
    first, second = [line for line in logs if line["event"] == "gap reported"]
    assert {name: first[name] for name in ("log_level", "announced", "arrived", "undecryptable", "lost")} == {
        "log_level": "error",
        "announced": 2,
        "arrived": 1,
        "undecryptable": 0,
        "lost": 1,
    }
    assert (second["log_level"], second["lost"], second["since"] < second["until"]) == ("info", 0, True)
    assert not any(word in repr(logs) for word in (CHAT, CHAT.split("@")[0], "Bom dia"))


async def test_what_was_claimed_is_not_lost_and_what_comes_again_is_not(witness: Witness) -> None:
    witness.lose("A", "B", "C")
    await witness.exit(3)
    key = message_key(CHANNEL, CHAT, "A")
    await witness.ledger.claim(CHANNEL, [Claim(key=key, what=message("A"))], AT)
    await witness.connect()
    key = message_key(CHANNEL, CHAT, "B")
    await witness.ledger.claim(CHANNEL, [Claim(key=key, what=message("B"))], AT)
    witness.part.said(port_events.BacklogDelivered(count=1))
    await witness.run()
    assert (witness.lost, witness.traced()) == ([["C"]], 3)


async def test_while_nats_is_away_nothing_is_accounted_for_and_the_report_is_repeated(witness: Witness) -> None:
    witness.lose("A")
    await witness.exit(1)
    witness.bus.away = True
    await witness.session()
    assert witness.traced() is None
    witness.bus.away = False
    await witness.fire("report")
    assert (witness.lost, witness.traced(), len(witness.bus.looked_up)) == ([["A"]], 1, 1)


async def test_reports_that_wait_come_in_order_and_the_newest_become_one(
    witness: Witness, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reporting_module, "MOST_WAITING", 2)
    assert gaps_module.MOST_WAITING > 2
    witness.bus.away = True
    for row, wa_id in enumerate(("A", "B", "C", "D"), 1):
        witness.lose(wa_id)
        await witness.exit(row)
        await witness.connect(
            port_events.BacklogAnnounced(messages=row, receipts=0), port_events.BacklogDelivered(count=row)
        )
    witness.bus.away = False
    await witness.fire("report")
    assert witness.lost == [["A", "B", "C", "D"], []]
    assert [gap.announced for gap in witness.gaps] == [1, 9]


async def test_many_lost_messages_are_named_in_several_events(
    witness: Witness, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reporting_module, "MOST_NAMED", 2)
    monkeypatch.setattr(tracing_module, "MOST_READ", 2)
    witness.lose("A", "B", "C", "D", "E")
    await witness.exit(5)
    await witness.connect(port_events.BacklogAnnounced(messages=1, receipts=0), port_events.BacklogDelivered(count=1))
    assert witness.lost == [["A", "B"], ["C", "D"], ["E"]]
    assert [gap.announced for gap in witness.gaps] == [1, 0, 0]
    assert len({publication.message_id for publication in witness.bus.published}) == 3


async def test_a_session_store_that_cannot_be_read_does_not_hold_the_report_up(witness: Witness) -> None:
    witness.lose("A")
    witness.remains.failing = True
    await witness.exit(1)
    await witness.session()
    assert (witness.lost, witness.traced()) == ([[]], None)
    witness.remains.failing = False
    await witness.fire("traces")
    await witness.fire("stray")
    assert (witness.lost, witness.traced()) == ([[], ["A"]], 1)


async def test_where_nothing_is_missing_all_is_accounted_for_without_a_report(witness: Witness) -> None:
    witness.remains.trace("A", b"", CHAT, UP.jid)
    witness.part.said(UP)
    await witness.exit(1)
    assert (witness.lost, witness.traced()) == ([], 1)


async def test_traces_are_looked_at_while_a_port_runs_when_all_before_them_must_have_been_claimed(
    witness: Witness,
) -> None:
    await witness.session()
    witness.lose("A")
    await witness.fire("audit")
    witness.lose("B")
    assert witness.traced() is None
    await witness.fire("audit")
    await witness.fire("stray")
    assert (witness.lost, witness.traced()) == ([[], ["A"]], 1)


async def test_what_a_command_sent_is_not_missing_though_our_own_number_is_not_known_yet(witness: Witness) -> None:
    async def ours(_channel: str, wa_ids: Sequence[str]) -> frozenset[str]:
        return frozenset(wa_ids)

    witness.ledger.ours = ours  # type: ignore[assignment,method-assign]  # a test's
    witness.lose("A")
    await witness.exit(1)
    assert witness.traced() == 1


async def test_another_session_store_is_a_new_beginning(witness: Witness) -> None:
    await witness.run()
    witness.part.begin(9, 9)
    await witness.run()
    witness.lose("A")
    await witness.exit(1)
    await witness.session()
    assert (witness.lost, witness.traced()) == ([[]], 1)


async def test_what_we_sent_ourselves_is_not_lost(witness: Witness) -> None:
    witness.remains.trace("A", b"", CHAT, UP.jid)
    witness.remains.trace("B", b"", CHAT, UP.lid or "")
    await witness.exit(2)
    await witness.session()
    assert witness.lost == [[]]


async def test_what_was_thrown_away_and_nobody_has_is_lost_and_its_record_done_when_nats_knows(
    witness: Witness,
) -> None:
    witness.lose("A")
    witness.throw("A")
    witness.throw("B")
    witness.throw("C")
    key = message_key(CHANNEL, CHAT, "C")
    await witness.ledger.claim(CHANNEL, [Claim(key=key, what=message("C"))], AT)
    await witness.exit(1)
    witness.bus.away = True
    await witness.session()
    assert witness.remains.finished == []
    witness.bus.away = False
    await witness.fire("report")
    assert (witness.lost, witness.remains.finished) == ([["A", "B"]], [1, 2, 3])


async def test_what_is_thrown_away_later_is_told_by_itself_if_nobody_has_it(witness: Witness) -> None:
    await witness.session()
    witness.throw("A")
    await witness.fire("stray")
    assert (witness.lost, witness.told) == ([[], ["A"]], 1)
    witness.throw("B")
    key = message_key(CHANNEL, CHAT, "B")
    await witness.ledger.claim(CHANNEL, [Claim(key=key, what=message("B"))], AT)
    await witness.fire("stray")
    assert (witness.lost, witness.remains.finished) == ([[], ["A"]], [1, 2])
