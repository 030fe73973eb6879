"""What a channel counts of what it does: once for each thing, when the ledger has it."""

from collections.abc import AsyncIterator
from datetime import timedelta

import pytest

from actors.channel.life import Close, FromPort, LifeEvent, Open, RetryDue, reconnects
from actors.channel.parcel import Parcel
from protocol import port_events
from protocol.commands import utc_now
from protocol.events import ResultEvent
from tests.fakes.memory_bus import body_of
from tests.fakes.memory_entries import Entry
from tests.fakes.scripted_port import AT as FAKE_NOW
from tests.fakes.scripted_port import silent
from tests.unit.actors.channel.bench import CHANNEL, CLINIC
from tests.unit.actors.channel.commands import AT, accepted, failed
from tests.unit.actors.channel.ear import OTHER, Ear
from tests.unit.actors.channel.heard import message, receipt, undecryptable
from tests.unit.actors.channel.mouth import Clock, Mouth
from tests.unit.actors.channel.story import UP, Story, exited
from tests.unit.actors.channel.test_attempt import answering
from tests.unit.actors.channel.test_reporting import Witness

THIRD = "5511966665555@s.whatsapp.net"


@pytest.fixture
def story() -> Story:
    return Story()


@pytest.fixture
async def mouth() -> AsyncIterator[Mouth]:
    mouth = Mouth()
    yield mouth
    await mouth.loop.end()


async def test_what_is_accepted_and_how_it_ends_is_counted(mouth: Mouth) -> None:
    later = (utc_now() + timedelta(hours=1)).isoformat()
    await mouth.start()
    await mouth.send(body_of(id="1"), body_of(id="2", to="5511900000000"), body_of(id="later", not_before=later))
    assert mouth.context.count.accepted == 3
    assert mouth.context.count.ended["sent"] == 2


async def test_a_command_that_comes_again_counts_once(mouth: Mouth) -> None:
    await mouth.start()
    await mouth.send(body_of(id="1"))
    await mouth.send(body_of(id="1"))
    assert (mouth.context.count.accepted, mouth.context.count.ended["sent"]) == (1, 1)


async def test_refused_bodies_are_failures_and_those_with_an_id_results(mouth: Mouth) -> None:
    await mouth.start()
    await mouth.send(b"no command", body_of(id="x", type="poll"))
    count = mouth.context.count
    assert (count.accepted, count.ended["failed"], count.dead) == (0, 1, 2)
    assert count.failed == {"invalid_command": 1, "unsupported": 1}


async def test_what_fails_for_good_is_counted_by_its_code(mouth: Mouth) -> None:
    mouth.port.answer = answering(failed("not_on_whatsapp"))
    await mouth.start()
    await mouth.send(body_of(id="1"))
    count = mouth.context.count
    assert (count.ended["failed"], count.failed, count.dead) == (1, {"not_on_whatsapp": 1}, 1)


async def test_what_the_ledger_could_not_record_is_counted_once_it_could(mouth: Mouth) -> None:
    await mouth.start()
    mouth.ledger.failing = True
    await mouth.send(body_of(id="1"))
    assert mouth.context.count.accepted == 0
    mouth.ledger.failing = False
    await mouth.fire("fetch")
    assert (mouth.context.count.accepted, mouth.context.count.ended["sent"]) == (1, 1)


async def test_messages_that_come_in_are_counted_when_they_are_new_and_from_others(ear: Ear) -> None:
    await ear.hear(message("A"), message("B"), message("A"), message("C", from_me=True), receipt("D"))
    count = ear.context.count
    assert (count.inbound, count.undecryptable) == (2, 0)
    assert count.last_inbound_at is not None


async def test_what_cannot_be_decrypted_is_no_message_yet(ear: Ear) -> None:
    await ear.hear(undecryptable("A"))
    count = ear.context.count
    assert (count.inbound, count.undecryptable, count.last_inbound_at) == (0, 1, None)


async def test_messages_that_a_report_names_as_lost_are_counted_once() -> None:
    witness = Witness()
    await witness.session()
    witness.lose("A", "B")
    await witness.exit(row=2)
    await witness.connect(port_events.BacklogDelivered(count=0))
    assert len(witness.gaps[-1].lost) == 2
    assert witness.context.count.lost == 2
    await witness.exit(row=2)
    await witness.connect(port_events.BacklogDelivered(count=0))
    assert witness.context.count.lost == 2
    await witness.loop.end()


async def test_how_long_a_command_took_is_counted_from_when_it_could_be_sent(mouth: Mouth, clock: Clock) -> None:
    await mouth.start(connected=False)
    await mouth.send(body_of(id="1"))
    assert sum(mouth.context.count.times.queue.read().counts) == 0
    clock.seconds += 7
    since = mouth.part.waits_since
    assert since is not None
    mouth.part.use(mouth.port)
    await mouth.run()
    queue, send = mouth.context.count.times.queue.read(), mouth.context.count.times.send.read()
    assert (sum(queue.counts), sum(send.counts)) == (1, 1)
    assert queue.sum == max(0.0, (clock.utc_now() - since).total_seconds())
    assert 0 < send.sum < 5


def test_a_scheduled_command_waits_from_its_time_on() -> None:
    scheduled = Parcel.of(accepted("1", not_before=AT + timedelta(hours=3)), 1)
    late = Parcel.of(accepted("2", not_before=AT - timedelta(hours=3)), 2)
    assert (scheduled.waits_since, late.waits_since) == (AT + timedelta(hours=3), AT)


async def test_the_oldest_command_waits_since_it_was_queued(mouth: Mouth) -> None:
    await mouth.start(connected=False)
    assert mouth.part.waits_since is None
    await mouth.send(body_of(id="1"), body_of(id="2"))
    assert mouth.part.waits_since == mouth.ledger.entry(CHANNEL, "1").accepted.queued_at
    mouth.part.use(mouth.port)
    await mouth.run()
    assert mouth.part.waits_since is None


async def test_what_the_ledger_cannot_take_waits_too(mouth: Mouth) -> None:
    await mouth.start()
    mouth.ledger.failing = True
    await mouth.send(body_of(id="1"))
    assert mouth.part.waits_since is not None


async def test_a_send_that_was_cut_has_no_time(mouth: Mouth) -> None:
    mouth.port.answer = silent
    await mouth.start()
    await mouth.send(body_of(id="1"))
    mouth.port.die()
    await mouth.run()
    assert sum(mouth.context.count.times.send.read().counts) == 0


async def test_receipts_of_commands_count_once_for_each_kind(ear: Ear) -> None:
    was_sent(ear, "1", "W")
    await ear.hear(receipt("W"), receipt("W", chat=OTHER), receipt("THEIRS", kind="read"))
    await ear.hear(receipt("W", chat=THIRD))
    count = ear.context.count
    assert count.receipts == {"delivered": 1, "read": 0, "played": 0}
    assert count.times.delivery.read().sum == 3.0
    await ear.hear(receipt("W", kind="read"))
    assert count.receipts == {"delivered": 1, "read": 1, "played": 0}


async def test_who_played_it_has_received_and_read_it(ear: Ear) -> None:
    was_sent(ear, "1", "W")
    await ear.hear(receipt("W", kind="played"))
    assert ear.context.count.receipts == {"delivered": 1, "read": 1, "played": 1}


async def test_receipts_that_nats_does_not_take_count_once_all_the_same(ear: Ear) -> None:
    was_sent(ear, "1", "W")
    ear.bus.away = True
    await ear.hear(receipt("W"))
    await ear.fire_all()
    ear.bus.away = False
    await ear.fire_all()
    assert ear.context.count.receipts["delivered"] == 1


def test_a_session_that_comes_back_by_itself_or_by_another_port_is_a_reconnect(story: Story) -> None:
    story.connected().said(port_events.Disconnected())
    assert told(story, FromPort(1, UP)) == 1, "whatsmeow redialled"
    assert told(story, FromPort(1, UP)) == 0
    story.said(exited())
    assert told(story, RetryDue()) == 1, "another port"
    assert told(story, FromPort(2, UP)) == 0, "of which it was counted that it was opened"


def test_a_port_that_somebody_asked_for_is_no_reconnect(story: Story) -> None:
    story.connected().do(Close())
    story.said(exited(expected=True))
    assert told(story, Open()) == 0
    assert story.opened == [1, 2]


def told(story: Story, event: LifeEvent) -> int:
    """How many reconnects this is."""
    before = story.life
    effects = story.do(event)
    return reconnects(before, story.life, effects)


def was_sent(ear: Ear, id: str, wa_id: str) -> None:
    """Three seconds before the receipts that come."""
    sent_at = FAKE_NOW - timedelta(seconds=3)
    result = ResultEvent(clinic=CLINIC, channel=CHANNEL, id=id, status="sent", wa_id=wa_id, sent_at=sent_at)
    entry = Entry(accepted(id), "sent", result, published=True)
    entry.ended_at = sent_at
    ear.ledger.entries[CHANNEL, id] = entry
