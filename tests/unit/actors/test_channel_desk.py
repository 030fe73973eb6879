"""What a channel can be asked of WhatsApp, and its settings; the rest stands in ``test_desk``."""

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest

from actors import channel_desk, switchboard
from actors.channel.requests import CheckNumbers, MarkRead, ShowPresence
from protocol.errors import BusUnavailableError, InvalidInputError, UnavailableError
from protocol.views import NumberCheck, NumberChecks
from tests.fakes.answering_channel import SILENCE
from tests.unit.actors.counter import CHANNEL, CLINIC, Counter
from tests.unit.actors.counter import counter as make_counter

KEY = (CLINIC, CHANNEL)
PHONE, PERSON, GROUP = "5511988887777", "5511988887777@s.whatsapp.net", "5511-160000@g.us"
CHECKS = NumberChecks(items=[NumberCheck(phone=PHONE, on_whatsapp=True, jid=PERSON)])


@pytest.fixture
def counter() -> Iterator[Counter]:
    with make_counter() as place:
        yield place


# -- WhatsApp --


async def test_numbers_are_checked_once_each_in_digits(counter: Counter) -> None:
    asked = counter.staff(lambda _: CHECKS)
    assert await counter.desk.check(*KEY, [f"+{PHONE}", PERSON, "5511977776666"]) == CHECKS
    assert asked == [CheckNumbers((PHONE, "5511977776666"))]


@pytest.mark.parametrize(
    ("phones", "field"),
    [([], "phones"), ([PHONE] * 51, "phones"), ([PHONE, "12"], "phones[1]"), ([GROUP], "phones[0]")],
)
async def test_what_is_no_number_is_refused_by_its_place(counter: Counter, phones: list[str], field: str) -> None:
    asked = counter.staff(lambda _: CHECKS)
    with pytest.raises(InvalidInputError) as caught:
        await counter.desk.check(*KEY, phones)
    assert (caught.value.field, asked) == (field, [])
    assert "5511-160000" not in str(caught.value)


@pytest.mark.parametrize(
    ("chat", "sender", "told"),
    [
        (PHONE, None, MarkRead(PERSON, PERSON, ("A", "B"))),
        (GROUP, PHONE, MarkRead(GROUP, PERSON, ("A", "B"))),
        ("123@lid", PERSON, MarkRead("123@lid", PERSON, ("A", "B"))),
    ],
)
async def test_messages_are_marked_as_read(counter: Counter, chat: str, sender: str | None, told: MarkRead) -> None:
    asked = counter.staff(lambda _: None)
    await counter.desk.mark_read(*KEY, chat, ["A", "B"], sender)
    assert asked == [told]


@pytest.mark.parametrize(
    ("chat", "wa_ids", "sender", "field"),
    [
        ("nobody", ["A"], None, "chat"),
        (PHONE, [], None, "wa_ids"),
        (PHONE, ["A"] * 101, None, "wa_ids"),
        (PHONE, ["A", ""], None, "wa_ids[1]"),
        (PHONE, ["x" * 257], None, "wa_ids[0]"),
        (PHONE, ["A"], "nobody", "sender"),
        (GROUP, ["A"], None, "sender"),
    ],
)
async def test_what_cannot_be_marked_is_refused(
    counter: Counter, chat: str, wa_ids: list[str], sender: str | None, field: str
) -> None:
    with pytest.raises(InvalidInputError) as caught:
        await counter.desk.mark_read(*KEY, chat, wa_ids, sender)
    assert caught.value.field == field


@pytest.mark.parametrize(
    ("presence", "chat", "told"),
    [
        ("available", None, ShowPresence("available", None)),
        ("unavailable", None, ShowPresence("unavailable", None)),
        ("typing", PHONE, ShowPresence("typing", PERSON)),
        ("paused", GROUP, ShowPresence("paused", GROUP)),
    ],
)
async def test_presence_is_shown(counter: Counter, presence: Any, chat: str | None, told: ShowPresence) -> None:
    asked = counter.staff(lambda _: None)
    await counter.desk.presence(*KEY, presence, chat)
    assert asked == [told]


@pytest.mark.parametrize(("presence", "chat"), [("available", PHONE), ("typing", None), ("typing", "nobody")])
async def test_presence_goes_with_its_chat(counter: Counter, presence: Any, chat: str | None) -> None:
    with pytest.raises(InvalidInputError) as caught:
        await counter.desk.presence(*KEY, presence, chat)
    assert caught.value.field == "chat"


async def test_a_port_is_asked_only_so_many_things_at_once(counter: Counter, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = counter.staff(lambda _: SILENCE if len(asked) <= channel_desk.MOST_ASKING else CHECKS)
    waiting = [asyncio.create_task(counter.desk.check(*KEY, [PHONE])) for _ in range(channel_desk.MOST_ASKING)]
    await asyncio.sleep(0)
    with pytest.raises(UnavailableError, match="4 things already"):
        await counter.desk.check(*KEY, [PHONE])
    for task in waiting:
        task.cancel()
    await asyncio.wait(waiting)
    assert await counter.desk.check(*KEY, [PHONE]) == CHECKS


# -- settings --


async def test_settings_are_there_when_the_channel_shows_them(counter: Counter) -> None:
    configuring = asyncio.create_task(counter.desk.configure(*KEY, {"note": 1}, "Recepção"))
    await asyncio.sleep(0)
    record = counter.registry.channels[KEY]
    assert (record.config, record.name) == ({"note": 1}, "Recepção")
    counter.read()
    counter.put(CHANNEL, queued=1)
    await asyncio.sleep(0)
    assert not configuring.done()

    counter.put(CHANNEL, config={"note": 1}, name="Recepção")
    counter.read()

    assert (await configuring).config == {"note": 1}


async def test_what_is_not_given_stays(counter: Counter) -> None:
    counter.put(CHANNEL, config={})
    counter.read()
    assert (await counter.desk.configure(*KEY, None, None)).name == CHANNEL


@pytest.mark.parametrize(
    ("config", "name", "field"), [({"nots": 1}, None, "config.nots"), (None, "", "name"), ({}, "a\nb", "name")]
)
async def test_settings_that_are_none_are_refused_by_name(
    counter: Counter, config: Any, name: str | None, field: str
) -> None:
    with pytest.raises(InvalidInputError) as caught:
        await counter.desk.configure(*KEY, config, name)
    assert caught.value.field == field
    assert counter.registry.channels[KEY].config == {}


async def test_settings_need_the_registry_and_a_channel_that_takes_them(
    counter: Counter, monkeypatch: pytest.MonkeyPatch
) -> None:
    counter.registry.away = True
    with pytest.raises(BusUnavailableError):
        await counter.desk.configure(*KEY, {"note": 1})
    counter.registry.away = False
    monkeypatch.setattr(switchboard, "APPEAR_TIMEOUT_S", 0.01)
    with pytest.raises(UnavailableError, match="are registered, but not yet done"):
        await counter.desk.configure(*KEY, {"note": 1})
