"""What a channel counts of what it does: once for each thing, when the ledger has it."""

from collections.abc import AsyncIterator
from datetime import timedelta

import pytest

from protocol import port as p
from protocol.commands import utc_now
from tests.fakes.memory_bus import body_of
from tests.unit.actors.channel.commands import failed
from tests.unit.actors.channel.ear import Ear
from tests.unit.actors.channel.heard import message, receipt, undecryptable
from tests.unit.actors.channel.mouth import Mouth
from tests.unit.actors.channel.test_attempt import answering
from tests.unit.actors.channel.test_reporting import Witness


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
    await witness.connect(p.BacklogDelivered(count=0))
    assert len(witness.gaps[-1].lost) == 2
    assert witness.context.count.lost == 2
    await witness.exit(row=2)
    await witness.connect(p.BacklogDelivered(count=0))
    assert witness.context.count.lost == 2
    await witness.loop.end()
