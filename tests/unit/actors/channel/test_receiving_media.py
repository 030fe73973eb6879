"""Media: fetched through a port and stored before its message is told; what does not come is an error in that."""

import pytest

from actors.channel.telling import ReceivingPolicy
from protocol import port as p
from protocol.errors import BusUnavailableError, CallTimeoutError
from protocol.port import PortAnswer
from tests.fakes.scripted_port import Answer, silent
from tests.unit.actors.channel.answers import answering, raising
from tests.unit.actors.channel.ear import OTHER, Ear
from tests.unit.actors.channel.heard import image, message
from tests.unit.actors.channel.mouth import Clock


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


async def test_media_is_fetched_by_the_next_port_if_the_first_dies(ear: Ear) -> None:
    ear.port.answer = silent
    await ear.hear(message("A", media=True), message("B"))
    assert ear.messages == []
    ear.part.use(None)
    ear.port.die()
    await ear.run()
    assert ear.messages == []
    ear.part.use(ear.new_port(2))
    await ear.run()
    assert [event.wa_id for event in ear.messages] == ["A", "B"]
    assert ear.messages[0].media is not None
    assert ear.messages[0].media.error is None


async def test_media_that_no_port_came_for_is_an_error_in_its_message(ear: Ear) -> None:
    ear.part.use(None)
    await ear.hear(message("A", media=True), message("B"))
    assert ear.messages == []
    await ear.fire("media-1")
    assert [event.wa_id for event in ear.messages] == ["A", "B"]
    media = ear.messages[0].media
    assert media is not None
    assert (media.object, media.error) == (None, "no session to fetch it with within 30 s")


async def test_only_so_much_media_is_under_way_at_once(ear: Ear) -> None:
    ear.port.answer = silent
    await ear.hear(*(message(str(number), f"{number}@s.whatsapp.net", media=True) for number in range(6)))
    assert len(ear.port.calls) == 4
    ear.part.use(None)
    ear.port.die()
    await ear.run()
    ear.part.use(ear.new_port(2))
    await ear.run()
    assert len(ear.messages) == 6
    assert all(event.media is not None and event.media.error is None for event in ear.messages)


async def test_while_media_stalls_other_chats_go_on(ear: Ear) -> None:
    stalled: list[object] = []

    async def stalls(request: object) -> PortAnswer:
        stalled.append(request)
        return await silent(request)  # type: ignore[arg-type,return-value]

    ear.port.answer = stalls
    await ear.hear(message("A", media=True), message("B", OTHER), message("C"))
    assert [event.wa_id for event in ear.messages] == ["B"]
    assert len(stalled) == 1
    assert not ear.part.idle


async def test_media_that_the_object_store_has_no_room_for_is_an_error_in_its_message(ear: Ear) -> None:
    ear.bus.media_full = True
    await ear.hear(message("A", media=True), message("B"))
    assert [event.wa_id for event in ear.messages] == ["A", "B"]
    media = ear.messages[0].media
    assert media is not None
    assert (media.object, media.error) == (None, "media: expected room in the clinic's media store, which is full")
    assert ear.part.idle


@pytest.mark.parametrize("away", [False, True], ids=["something else", "NATS is away"])
async def test_media_that_fails_again_and_again_is_given_up_unless_nats_is_away(
    ear: Ear, clock: Clock, away: bool
) -> None:
    async def failing(*_: object, **__: object) -> None:
        raise BusUnavailableError("NATS is away") if away else TimeoutError

    ear.bus.put_media = failing  # type: ignore[method-assign]  # a fault
    await ear.hear(message("A", media=True), message("B"))
    for _ in range(3):
        assert ear.messages == []
        clock.seconds += 11.0
        await ear.fire_all()
    if away:
        del ear.bus.put_media
        await ear.fire_all()
    assert [event.wa_id for event in ear.messages] == ["A", "B"]
    media = ear.messages[0].media
    assert media is not None
    assert media.error == (None if away else "not fetched and stored within 30 s")
    assert ear.part.idle


async def test_media_that_cannot_be_stored_yet_keeps_its_chat_waiting(ear: Ear) -> None:
    ear.bus.away = True
    await ear.hear(message("A", media=True), message("B"))
    ear.bus.away = False
    await ear.fire_all()
    assert [event.wa_id for event in ear.messages] == ["A", "B"]
    assert ear.part.idle


class OneAtOnce(Ear):
    """On a node that fetches one at a time."""

    media_at_once = 1


async def test_media_waits_for_its_clinics_turn_and_its_time_passes_only_from_then_on(clock: Clock) -> None:
    ear = OneAtOnce()
    async with ear.context.media_turns.of("other"):
        await ear.hear(message("A", media=True), message("B", OTHER))
        assert [event.wa_id for event in ear.messages] == ["B"]
        assert ear.port.calls == []
        clock.seconds += 100.0
        ear.part.use(None)
        ear.port.die()
    await ear.run()
    clock.seconds += 29.0
    ear.part.use(ear.new_port(2))
    await ear.run()
    assert [event.wa_id for event in ear.messages] == ["B", "A"]
    media = ear.messages[1].media
    assert media is not None
    assert media.error is None


async def test_media_that_waits_for_its_turn_keeps_no_channel_from_its_end_and_is_fetched_by_the_next() -> None:
    ear = OneAtOnce()
    async with ear.context.media_turns.of("other"):
        await ear.hear(message("A", media=True))
        ear.part.close()
        ear.part.use(None)
        await ear.run()
        assert ear.part.idle
        assert ear.loop.tasks == {}
    assert ear.messages == []
    after = Ear(before=ear)
    await after.run()
    (event,) = after.messages
    assert event.media is not None
    assert event.media.error is None


async def test_media_that_waits_for_its_turn_gives_that_up_with_its_port_and_asks_for_another_with_the_next() -> None:
    ear = OneAtOnce()
    async with ear.context.media_turns.of("other"):
        await ear.hear(message("A", media=True))
        ear.part.use(None)
        ear.port.die()
        await ear.run()
        assert ear.loop.tasks == {}
        ear.part.use(ear.new_port(2))
    await ear.run()
    (event,) = ear.messages
    assert event.media is not None
    assert event.media.error is None


async def test_the_time_of_media_does_not_pass_while_it_waits_for_a_place(ear: Ear, clock: Clock) -> None:
    ear.port.answer = silent
    await ear.hear(*(message(str(number), f"{number}@s.whatsapp.net", media=True) for number in range(6)))
    clock.seconds += 100.0
    ear.part.use(None)
    assert {name: seconds for name, (seconds, _) in ear.timers.items()} == {"media-5": 30.0, "media-6": 30.0}
    await ear.loop.end()


async def test_a_turn_ends_when_the_media_is_stored_not_when_nats_has_its_message() -> None:
    ear = OneAtOnce()
    ear.bus.hanging = True
    await ear.hear(message("A", media=True), message("B", OTHER, media=True))
    assert len(ear.bus.media) == 2
    await ear.loop.end()
