from collections.abc import Sequence
from typing import Any

from structlog.testing import capture_logs

from actors.channel.optout import OptOut
from actors.channel.telling import ReceivingPolicy
from protocol import port_events
from protocol.bus import Publication
from protocol.errors import InvalidInputError
from protocol.events import MessageEvent
from protocol.port import Quote
from tests.fakes.scripted_port import AT
from tests.unit.actors.channel.bench import CHANNEL, CLINIC
from tests.unit.actors.channel.ear import OTHER, Ear
from tests.unit.actors.channel.heard import CHAT, message, receipt, undecryptable


async def test_a_message_is_published_with_all_that_is_known_of_it(ear: Ear) -> None:
    await ear.hear(
        message(
            "A",
            sender_phone="5511988887777",
            sender_lid="9@lid",
            push_name="Ana",
            backlog=True,
            quote=Quote(wa_id="Q", author=OTHER),
            target="T",
            edited=True,
            forwarded=True,
        )
    )
    assert ear.messages == [
        MessageEvent(
            clinic=CLINIC,
            channel=CHANNEL,
            wa_id="A",
            chat=CHAT,
            from_=CHAT,
            from_phone="5511988887777",
            from_lid="9@lid",
            push_name="Ana",
            is_group=False,
            from_me=False,
            backlog=True,
            at=AT,
            type="text",
            text="Bom dia",
            reply_to=ear.messages[0].reply_to,
            target="T",
            edited=True,
            forwarded=True,
        )
    ]
    reply = ear.messages[0].reply_to
    assert reply is not None
    assert (reply.id, reply.from_) == ("Q", OTHER)


async def test_the_port_is_given_credit_for_what_is_claimed_while_nats_is_away(ear: Ear) -> None:
    ear.bus.away = True
    await ear.hear(message("A"), receipt("X"))
    assert (ear.port.granted, ear.part.stuck, ear.part.idle, ear.part.trouble) == (2, True, False, None)
    assert ear.remains.finished == [1, 2]
    ear.bus.away = False
    await ear.fire_all()
    assert (ear.port.granted, ear.part.stuck, ear.part.idle) == (2, False, True)
    assert ear.left == []


async def test_what_is_not_published_is_tried_again_and_looked_up_first_and_in_order(ear: Ear) -> None:
    ear.bus.away = True
    await ear.hear(message("A"), message("B", OTHER))
    for _ in range(3):
        await ear.fire_all()
    await ear.hear(message("C"))
    ear.bus.away = False
    await ear.fire_all()
    assert [event.wa_id for event in ear.messages] == ["A", "B", "C"]
    assert [publication.since is not None for publication in ear.bus.published] == [True, True, False]


async def test_credit_goes_to_the_port_that_said_it(ear: Ear) -> None:
    second = ear.new_port(2)
    ear.ledger.full = True
    await ear.hear(message("A"))
    ear.part.opened(second)
    await ear.hear(message("B"), message("C"), incarnation=2)
    ear.ledger.full = False
    await ear.fire_all()
    assert (ear.port.granted, second.granted) == (0, 2)


async def test_what_was_said_before_the_port_is_known_to_be_open_is_credited_then(ear: Ear) -> None:
    ear.part.opened(None)
    second = ear.new_port(2)
    await ear.hear(message("A"), incarnation=2)
    await ear.hear(message("B"), incarnation=2)
    ear.part.opened(second)
    await ear.run()
    assert second.granted == 2


async def test_what_the_same_message_says_twice_is_stored_once_and_credited_twice(ear: Ear) -> None:
    await ear.hear(message("A"), message("A"))
    await ear.hear(message("A"))
    assert len(ear.messages) == 1
    assert ear.bus.publish_calls == 1
    assert (ear.port.granted, ear.remains.finished, ear.part.idle) == (3, [1, 2, 3], True)


async def test_what_the_clinics_own_phone_sent_is_not_published_unless_wanted(ear: Ear) -> None:
    await ear.hear(message("A", from_me=True))
    assert (ear.messages, ear.port.granted) == ([], 1)
    wanting = Ear(ReceivingPolicy(from_me=True))
    await wanting.hear(message("A", from_me=True))
    assert [event.from_me for event in wanting.messages] == [True]


async def test_delivered_and_read_receipts_of_one_message_are_two_events(ear: Ear) -> None:
    await ear.hear(receipt("X"), receipt("X", kind="read"), receipt("X"))
    assert [event.type for event in ear.receipts] == ["delivered", "read"]


async def test_what_cannot_be_claimed_is_a_trouble_and_stays_in_the_journal(ear: Ear) -> None:
    ear.ledger.full = True
    await ear.hear(message("A"))
    assert (ear.part.trouble, ear.port.granted, ear.remains.finished) == ("the spool is full", 0, [])
    await ear.hear(message("B"))
    mark = ear.part.heard
    assert not ear.part.passed(mark)
    ear.ledger.full = False
    await ear.fire_all()
    assert (ear.part.trouble, ear.port.granted, ear.remains.finished) == (None, 2, [1, 2])
    assert ear.part.passed(mark)
    assert [event.wa_id for event in ear.messages] == ["A", "B"]


async def test_a_claim_that_took_too_long_is_a_trouble_too_and_what_it_may_have_done_is_found(ear: Ear) -> None:
    claim = ear.ledger.claim

    async def too_late(*args: object) -> object:
        await claim(*args)  # type: ignore[arg-type]  # as they came
        raise TimeoutError

    ear.ledger.claim = too_late  # type: ignore[assignment,method-assign]  # a test's
    await ear.hear(message("A"))
    assert ear.part.trouble == "the database did not answer within 10 s"
    ear.ledger.claim = claim  # type: ignore[method-assign]  # a test's
    await ear.fire_all()
    assert [event.wa_id for event in ear.messages] == ["A"]
    assert (ear.part.idle, ear.left) == (True, [])


async def test_who_opted_out_is_heard_although_the_claim_that_took_too_long_was_committed() -> None:
    ear = Ear(ReceivingPolicy(optout=OptOut.of(("SAIR",), ())))
    original = ear.ledger.claim

    async def slow(*asked: Any) -> Sequence[int | None]:
        await original(*asked)
        raise TimeoutError

    ear.ledger.claim = slow  # type: ignore[method-assign, assignment]  # committed, and too late
    await ear.hear(message("A", text="sair"))
    assert ear.wrote_ == []
    ear.ledger.claim = original  # type: ignore[method-assign]  # as before
    await ear.fire("claim")
    assert ear.wrote_ == [((CHAT,), True)]
    await ear.hear(message("A", text="sair"))
    assert len(ear.wrote_) == 1, "heard once"
    await ear.loop.end()


async def test_the_sending_part_hears_who_wrote_once(ear: Ear) -> None:
    await ear.hear(message("A", sender_phone="5511988887777", sender_lid="9@lid"), message("A"))
    await ear.hear(
        message("B", "1@g.us", is_group=True, sender=OTHER),
        message("C", from_me=True),
        receipt("X"),
        undecryptable("D", OTHER),
        undecryptable("E", "1@g.us", OTHER),
    )
    assert ear.wrote_ == [((CHAT, "9@lid"), None), ((OTHER,), None)]
    assert ear.part.undecryptable == 2


async def test_what_whatsmeow_threw_away_is_credited_and_no_more(ear: Ear) -> None:
    thrown = ear.remains.write(port_events.AlreadyDecrypted(wa_id="A", chat=CHAT, sender=CHAT))
    ear.part.take([thrown], 1)
    await ear.run()
    assert (ear.port.granted, ear.messages, ear.remains.finished) == (1, [], [])


async def test_a_message_that_cannot_be_decrypted_is_an_event_and_so_is_the_one_that_follows(ear: Ear) -> None:
    await ear.hear(undecryptable("A"), undecryptable("A"), message("A"))
    assert [(event.wa_id, event.type, event.text, event.is_group) for event in ear.messages] == [
        ("A", "undecryptable", None, False),
        ("A", "text", "Bom dia", False),
    ]


async def test_receipts_are_noted_while_nats_is_away(ear: Ear) -> None:
    ear.bus.away = True
    await ear.hear(message("A"))
    await ear.hear(receipt("X"))
    assert ear.receipted_ == [("X", "delivered", None)]


async def test_an_event_that_nats_never_takes_is_told_without_its_text_and_holds_up_none(ear: Ear) -> None:
    ear.bus.max_bytes = 1000
    await ear.hear(message("A"), message("B", text="huge" * 300), message("C"))
    assert [(event.wa_id, event.text) for event in ear.messages] == [("A", "Bom dia"), ("B", None), ("C", "Bom dia")]
    assert ear.part.idle


async def test_a_refusal_that_names_no_event_is_tried_again(ear: Ear) -> None:
    async def refused(batch: Sequence[Publication]) -> None:
        raise InvalidInputError("subject", "one without spaces")

    original, ear.bus.publish = ear.bus.publish, refused  # type: ignore[method-assign]  # refuses all
    with capture_logs() as logs:
        await ear.hear(message("A"))
    assert (ear.part.stuck, ear.messages) == (True, [])
    assert [(log["log_level"], log["error"]) for log in logs] == [("warning", "subject: expected one without spaces")]
    ear.bus.publish = original  # type: ignore[method-assign]  # as before
    await ear.fire_all()
    assert ([event.wa_id for event in ear.messages], ear.part.idle) == (["A"], True)


async def test_a_word_by_which_a_person_opts_out_or_in_is_claimed_heard_and_told() -> None:
    ear = Ear(ReceivingPolicy(optout=OptOut.of(["SAIR"], ["VOLTAR"])))
    await ear.hear(message("A", text="Sair!"), message("B", text="Olá"), message("C", text="voltar"))
    await ear.hear(message("D", "1@g.us", is_group=True, sender=OTHER, text="sair"), message("E", from_me=True))
    assert [event.opted_out for event in ear.messages] == [True, None, False, None]
    assert [opted_out for _, opted_out in ear.wrote_] == [True, None, False]
    assert not ear.ledger.person(CHANNEL, CHAT).contact.opted_out


async def test_edits_and_revocations_are_events_of_their_own_and_name_their_message(ear: Ear) -> None:
    await ear.hear(
        message("A"),
        message("B", type="edit", text="Boa tarde", target="A", edited=True),
        message("C", type="revoke", text=None, target="A", revoked=True),
    )
    assert [(event.wa_id, event.type, event.target, event.edited, event.revoked) for event in ear.messages] == [
        ("A", "text", None, False, False),
        ("B", "edit", "A", True, False),
        ("C", "revoke", "A", False, True),
    ]


async def test_what_waited_while_we_were_away_is_told_apart(ear: Ear) -> None:
    await ear.hear(message("A", backlog=True), message("B"))
    assert [event.backlog for event in ear.messages] == [True, False]


# -- another life --


async def test_another_life_publishes_what_is_left_and_looks_it_up_first(ear: Ear) -> None:
    ear.bus.away = True
    await ear.hear(message("A"), message("B"))
    ear.bus.away = False
    after = Ear(before=ear)
    await after.hear(message("C"))
    assert [event.wa_id for event in after.messages] == ["A", "B", "C"]
    assert [publication.since is not None for publication in ear.bus.published] == [True, True, False]
    assert after.left == []


async def test_what_was_left_in_the_journal_is_claimed_and_done(ear: Ear) -> None:
    left = [ear.remains.write(message("A")), ear.remains.write(receipt("X"))]
    ear.part.take(left, 0)
    await ear.run()
    assert (ear.remains.finished, ear.port.granted) == ([1, 2], 0)
    assert (len(ear.messages), len(ear.receipts)) == (1, 1)


async def test_beyond_what_memory_holds_the_database_keeps_it(ear: Ear) -> None:
    small = Ear(ReceivingPolicy(in_memory=4))
    small.bus.away = True
    for number in range(20):
        await small.hear(message(str(number)))
    assert (small.part.spooled, small.port.granted, len(small.left)) == (20, 20, 20)
    small.bus.away = False
    await small.fire_all()
    assert [event.wa_id for event in small.messages] == [str(number) for number in range(20)]
    assert (small.part.spooled, small.part.idle, small.left) == (0, True, [])


async def test_a_page_that_cannot_be_read_is_read_later(ear: Ear) -> None:
    ear.bus.away = True
    await ear.hear(message("A"))
    ear.bus.away = False
    ear.ledger.failing = True
    after = Ear(before=ear)
    await after.run()
    ear.ledger.failing = False
    await after.fire_all()
    assert [event.wa_id for event in after.messages] == ["A"]


async def test_what_nats_has_is_said_to_the_ledger_until_it_knows(ear: Ear) -> None:
    stored = ear.ledger.stored
    calls = 0

    async def failing(channel: str, keys: Sequence[str]) -> None:
        nonlocal calls
        calls += 1
        if calls == 1:
            raise TimeoutError
        await stored(channel, keys)

    ear.ledger.stored = failing  # type: ignore[method-assign]  # a test's
    await ear.hear(message("A"))
    await ear.hear(message("B"))
    assert (ear.part.idle, len(ear.left)) == (False, 2)
    await ear.fire_all()
    assert (ear.part.idle, ear.left, calls) == (True, [], 2)
