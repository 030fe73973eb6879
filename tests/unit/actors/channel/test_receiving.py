from collections.abc import AsyncIterator

import pytest

from actors.channel.receiving import PublishDue, Published, Receiving, ReceivingPolicy
from protocol import port as p
from protocol.errors import CallTimeoutError
from protocol.events import MessageEvent, ReceiptEvent
from protocol.port import Inbound, PortAnswer, PortRequest, Quote
from protocol.subjects import EventKind
from tests.fakes.scripted_port import AT, Answer, ScriptedPort, obliging, silent
from tests.unit.actors.channel.bench import CHANNEL, CLINIC, Bench
from tests.unit.actors.channel.commands import accepted
from tests.unit.actors.channel.heard import CHAT, image, message, receipt
from tests.unit.actors.channel.test_attempt import SPEC, answering, raising

OTHER = "5511977776666@s.whatsapp.net"


class Ear(Bench):
    """The receiving part, and a port that hears."""

    def __init__(self, policy: ReceivingPolicy | None = None) -> None:
        super().__init__()
        self.part = Receiving(self.context, policy or ReceivingPolicy())
        self.handlers = {Published: self.part.on_published, PublishDue: self.part.on_due}
        self.port = self.new_port()

    def new_port(self) -> ScriptedPort:
        return ScriptedPort(SPEC, lambda _: None, self.bus.bell, obliging)

    async def hear(self, *events: Inbound, port: ScriptedPort | None = None) -> None:
        for event in events:
            self.part.take(event, port or self.port)
        await self.run()

    @property
    def messages(self) -> list[MessageEvent]:
        return self.bus.events(EventKind.MESSAGE)

    @property
    def receipts(self) -> list[ReceiptEvent]:
        return self.bus.events(EventKind.RECEIPT)

    async def fire_all(self) -> None:
        for name in list(self.timers):
            await self.fire(name)


@pytest.fixture
async def ear() -> AsyncIterator[Ear]:
    ear = Ear()
    yield ear
    await ear.loop.end()


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


async def test_the_port_is_given_credit_for_what_nats_has_stored(ear: Ear) -> None:
    ear.bus.away = True
    await ear.hear(message("A"), receipt("X"))
    assert (ear.port.granted, ear.part.stuck, ear.part.idle) == (0, True, False)
    ear.bus.away = False
    await ear.fire_all()
    assert (ear.port.granted, ear.part.stuck, ear.part.idle) == (2, False, True)


async def test_what_is_not_published_is_tried_again_and_stored_once_and_in_order(ear: Ear) -> None:
    ear.bus.away = True
    await ear.hear(message("A"), message("B", OTHER))
    for _ in range(3):
        await ear.fire_all()
    await ear.hear(message("C"))
    ear.bus.away = False
    await ear.fire_all()
    assert [event.wa_id for event in ear.messages] == ["A", "B", "C"]
    assert ear.port.granted == 3


async def test_credit_goes_to_the_port_that_heard(ear: Ear) -> None:
    ear.bus.away = True
    first, second = ear.port, ear.new_port()
    await ear.hear(message("A"))
    await ear.hear(message("B"), message("C"), port=second)
    ear.bus.away = False
    await ear.fire_all()
    assert (first.granted, second.granted) == (1, 2)


async def test_what_the_same_message_says_twice_is_stored_once_and_credited_twice(ear: Ear) -> None:
    await ear.hear(message("A"), message("A"))
    assert len(ear.messages) == 1
    assert ear.port.granted == 2


async def test_what_the_clinics_own_phone_sent_is_not_published_unless_wanted(ear: Ear) -> None:
    await ear.hear(message("A", from_me=True))
    assert (ear.messages, ear.port.granted) == ([], 1)
    wanting = Ear(ReceivingPolicy(from_me=True))
    await wanting.hear(message("A", from_me=True))
    assert [event.from_me for event in wanting.messages] == [True]


async def test_a_receipt_names_the_command_that_it_belongs_to(ear: Ear) -> None:
    ear.context.flights.landed("OURS", accepted("cmd", meta={"a": 1}, headers={"h": "x"}))
    await ear.hear(receipt("OURS", "THEIRS", kind="read"))
    ours, theirs = ear.receipts
    assert (ours.wa_id, ours.id, ours.meta, ours.type, ours.from_) == ("OURS", "cmd", {"a": 1}, "read", CHAT)
    assert (theirs.wa_id, theirs.id, theirs.meta) == ("THEIRS", None, None)
    assert [publication.headers for publication in ear.bus.published] == [{"h": "x"}, {}]
    assert ear.port.granted == 1


async def test_delivered_and_read_receipts_of_one_message_are_two_events(ear: Ear) -> None:
    await ear.hear(receipt("X"), receipt("X", kind="read"), receipt("X"))
    assert [event.type for event in ear.receipts] == ["delivered", "read"]


async def test_a_receipt_waits_while_the_ledger_fails(ear: Ear) -> None:
    ear.ledger.failing = True
    await ear.hear(receipt("X"))
    assert (ear.receipts, ear.port.granted) == ([], 0)
    ear.ledger.failing = False
    await ear.fire_all()
    assert len(ear.receipts) == 1


async def test_media_is_stored_before_its_message_is_published(ear: Ear) -> None:
    await ear.hear(message("A", media=True))
    (event,) = ear.messages
    assert event.media is not None
    assert event.media.error is None
    assert event.media.object is not None
    assert ear.bus.media[event.media.object] == b"media of reference"
    assert (event.media.mime, event.media.caption, event.media.size) == ("image/jpeg", "Exame", 100)


async def test_media_that_is_too_large_is_not_fetched_and_its_message_says_so() -> None:
    ear = Ear(ReceivingPolicy(media_limit=99))
    await ear.hear(message("A", media=image(100)))
    media = ear.messages[0].media
    assert media is not None
    assert (media.object, media.error) == (None, "larger than 99 bytes")
    assert ear.port.calls == []


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (answering(p.Failed(code="media_unavailable", message="gone")), "gone"),
        (answering(p.Done()), "the port answered something else"),
        (raising(CallTimeoutError("no answer in 30 s")), "no answer in 30 s"),
    ],
    ids=["failed", "another answer", "deadline"],
)
async def test_media_that_does_not_come_is_an_error_in_its_message(ear: Ear, answer: Answer, error: str) -> None:
    ear.port.answer = answer
    await ear.hear(message("A", media=True))
    media = ear.messages[0].media
    assert media is not None
    assert (media.object, media.error) == (None, error)
    assert ear.port.granted == 1


async def test_media_of_a_port_that_is_gone_is_an_error_in_its_message(ear: Ear) -> None:
    ear.port.answer = silent
    await ear.hear(message("A", media=True), message("B"))
    assert ear.messages == []
    ear.port.die()
    await ear.run()
    assert [event.wa_id for event in ear.messages] == ["A", "B"]
    assert ear.messages[0].media is not None
    assert ear.messages[0].media.error is not None


async def test_while_media_stalls_other_chats_go_on(ear: Ear) -> None:
    stalled: list[PortRequest] = []

    async def stalls(request: PortRequest) -> PortAnswer:
        stalled.append(request)
        return await silent(request)

    ear.port.answer = stalls
    await ear.hear(message("A", media=True), message("B", OTHER), message("C"))
    assert [event.wa_id for event in ear.messages] == ["B"]
    assert len(stalled) == 1
    assert not ear.part.idle


async def test_media_that_cannot_be_stored_yet_keeps_its_chat_waiting(ear: Ear) -> None:
    ear.bus.away = True
    await ear.hear(message("A", media=True), message("B"))
    ear.bus.away = False
    await ear.fire_all()
    assert [event.wa_id for event in ear.messages] == ["A", "B"]
    assert ear.part.idle
