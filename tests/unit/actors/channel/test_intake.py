import asyncio
from datetime import UTC, datetime, timedelta

import msgpack
import pytest
from structlog.testing import capture_logs

from actors.channel import intake as intake_module
from actors.channel.intake import Intake, read, take_in
from protocol.bus import Later
from protocol.codes import ErrorCode
from protocol.errors import BusUnavailableError, StoreUnavailableError
from protocol.events import ResultEvent
from protocol.ledger import Changes, Offer
from protocol.subjects import Priority
from tests.fakes.memory_bus import body_of
from tests.unit.actors.channel.bench import CHANNEL, CLINIC, Bench
from tests.unit.actors.channel.commands import AT, ids

HEADERS = {"Plantao-Correlation-Id": "abc"}

WRONG: dict[str, tuple[bytes, str | None, str]] = {
    "empty": (b"", None, "body"),
    "neither msgpack nor JSON": (b"\xc1\xff", None, "body"),
    "cut JSON": (b'{"v": 1, "id": "x"', None, "body"),
    "a list": (b"[1, 2]", None, "body"),
    "a msgpack number": (msgpack.packb(7), None, "body"),
    "too large": (b"{" + b" " * (1 << 20) + b"}", None, "body"),
    "deeply nested": (b"[" * 100_000, None, "body"),
    "no id": (body_of(), None, "id"),
    "an invalid id": (body_of(id="not an id!"), None, "id"),
    "an id that ends in a line feed": (body_of(id="x\n"), None, "id"),
    "a numeric id": (body_of(id=7), None, "id"),
    "no v": (body_of(id="x", v=None), "x", "v"),
    "an unknown v": (body_of(id="x", v=2), "x", "v"),
    "no to": (body_of(id="x", to=None), "x", "to"),
    "a bad number": (body_of(id="x", to="12"), "x", "to"),
    "an unknown type": (body_of(id="x", type="telepathy"), "x", "type"),
    "a text of the wrong type": (body_of(id="x", text=7), "x", "text"),
    "a text that is missing": (body_of(id="x", text=None), "x", "text"),
    "an empty text": (body_of(id="x", text=""), "x", "text"),
    "an image without media": (body_of(id="x", type="image"), "x", "media"),
    "media from two places": (
        body_of(id="x", type="image", media={"object": "o", "url": "https://example.com"}),
        "x",
        "media",
    ),
    "a reaction to nothing": (body_of(id="x", type="reaction", text="👍"), "x", "target"),
    "a time without an offset": (body_of(id="x", expires_at="2026-01-01T00:00:00"), "x", "expires_at"),
    "a quote of nobody": (body_of(id="x", reply_to={"id": "W", "from": "nobody"}), "x", "reply_to.from"),
    "a mention of nobody": (body_of(id="x", mentions=["nobody"]), "x", "mentions[0]"),
}
UNSUPPORTED = {
    "a type": body_of(id="x", type="poll"),
    "mentions": body_of(id="x", mentions=["5511988887777"]),
}


class Desk(Bench):
    """A queue and a ledger, and what the intake makes of them."""

    async def take(self, *bodies: bytes, **headers: str) -> Intake:
        for body in bodies:
            self.bus.put(CHANNEL, body, Priority.NORMAL, **headers)
        fetched = await self.bus.fetch(CHANNEL, 100)
        return await take_in(self.context, fetched)


@pytest.fixture
async def desk() -> Desk:
    return Desk()


async def test_what_is_valid_is_accepted_by_the_ledger_and_acknowledged(desk: Desk) -> None:
    intake = await desk.take(body_of(id="1"), body_of(id="2", to="5511900000000"))
    assert ids(intake.accepted) == ["1", "2"]
    assert intake.error is None
    assert desk.bus.acked == [body_of(id="1"), body_of(id="2", to="5511900000000")]
    assert desk.bus.published == []


async def test_priority_time_and_headers_go_along(desk: Desk) -> None:
    desk.bus.put(CHANNEL, body_of(id="1"), Priority.HIGH, **HEADERS)
    (fetched,) = await desk.bus.fetch(CHANNEL, 1)
    offer = read(fetched)
    assert isinstance(offer, Offer)
    assert (offer.priority, offer.queued_at, offer.headers) == (Priority.HIGH, fetched.queued_at, HEADERS)


@pytest.mark.parametrize(("body", "id", "field"), WRONG.values(), ids=WRONG)
async def test_a_wrong_body_is_a_dead_letter_and_a_result_where_an_id_can_be_read(
    desk: Desk, body: bytes, id: str | None, field: str
) -> None:
    intake = await desk.take(body, **HEADERS)
    assert (intake.accepted, intake.error) == ([], None)
    (letter,) = desk.bus.dead()
    assert (letter.id, letter.body, letter.attempts) == (id, body, 0)
    assert (letter.error.code, letter.error.permanent) == ("invalid_command", True)
    assert letter.error.message.startswith(f"{field}: expected ")
    results = desk.bus.results()
    assert [result.id for result in results] == ([id] if id else [])
    for result in results:
        assert (result.status, result.error) == ("failed", letter.error)
    assert all(publication.headers == HEADERS for publication in desk.bus.published)
    assert desk.bus.acked == [body]
    assert desk.ledger.calls == []


@pytest.mark.parametrize("body", UNSUPPORTED.values(), ids=UNSUPPORTED)
async def test_what_this_version_cannot_do_is_refused_and_not_ignored(desk: Desk, body: bytes) -> None:
    intake = await desk.take(body)
    assert intake.accepted == []
    (letter,), (result,) = desk.bus.dead(), desk.bus.results()
    assert letter.error.code == "unsupported"
    assert (result.id, result.status, result.to) == ("x", "failed", "5511988887777")


async def test_the_meta_of_a_refused_command_is_echoed(desk: Desk) -> None:
    await desk.take(body_of(id="x", type="poll", meta={"appointment": 7}))
    assert desk.bus.results()[0].meta == {"appointment": 7}


async def test_while_large_bodies_are_read_others_on_the_loop_get_their_turn(desk: Desk) -> None:
    turns = 0

    async def others() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    waiting = asyncio.create_task(others())
    small = [body_of(id=f"small{n}") for n in range(20)]
    await desk.take(*small)
    before, turns = turns, 0
    await desk.take(*(body_of(id=f"{n}", text="x" * 10_000) for n in range(20)))
    waiting.cancel()
    assert turns >= before + 20


async def test_one_wrong_body_harms_no_other(desk: Desk) -> None:
    intake = await desk.take(body_of(id="1"), b"nonsense", body_of(id="2"))
    assert ids(intake.accepted) == ["1", "2"]
    assert len(desk.bus.acked) == 3


async def test_an_id_that_comes_again_with_the_same_body_is_sent_once(desk: Desk) -> None:
    first = await desk.take(body_of(id="1"), body_of(id="1"))
    again = await desk.take(body_of(id="1"))
    assert ids(first.accepted) == ["1"]
    assert again.accepted == []
    assert desk.bus.published == [], "there is no result yet"
    assert len(desk.bus.acked) == 3


async def test_an_id_that_comes_again_after_its_end_is_given_the_same_result_as_a_repeat(desk: Desk) -> None:
    await desk.take(body_of(id="1"))
    final = ResultEvent(clinic=CLINIC, channel=CHANNEL, id="1", status="sent", wa_id="WA", attempts=1, sent_at=AT)
    await desk.ledger.record(CHANNEL, Changes(results=[final]))
    for _ in range(2):
        await desk.take(body_of(id="1"))
    results = desk.bus.results()
    assert len(results) == 2, "each repetition is answered"
    for result in results:
        assert (result.repeat, result.wa_id, result.status) == (True, "WA", "sent")


async def test_a_repetition_that_the_queue_gives_twice_is_answered_once(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    await desk.take(body_of(id="1"))
    final = ResultEvent(clinic=CLINIC, channel=CHANNEL, id="1", status="sent", wa_id="WA", attempts=1, sent_at=AT)
    await desk.ledger.record(CHANNEL, Changes(results=[final]))

    async def lost(*_: object, **__: object) -> None:
        raise BusUnavailableError("the connection broke")

    with monkeypatch.context() as broken:
        broken.setattr(desk.bus, "settle", lost)
        await desk.take(body_of(id="1"))
    desk.bus.redeliver(CHANNEL)
    await desk.take()
    assert [result.repeat for result in desk.bus.results()] == [True]
    assert desk.bus.acked == [body_of(id="1")] * 2


async def test_an_id_that_comes_again_with_another_body_is_a_conflict(desk: Desk) -> None:
    intake = await desk.take(body_of(id="1"), body_of(id="1", text="another"))
    assert ids(intake.accepted) == ["1"]
    (letter,), (result,) = desk.bus.dead(), desk.bus.results()
    assert letter.error.code == result.error.code == ErrorCode.ID_CONFLICT.value  # type: ignore[union-attr]
    assert len(desk.bus.acked) == 2


async def test_if_the_ledger_fails_nothing_is_published_or_acknowledged(desk: Desk) -> None:
    desk.ledger.failing = True
    with pytest.raises(StoreUnavailableError):
        await desk.take(body_of(id="1"), b"nonsense")
    assert (desk.bus.acked, desk.bus.published) == ([], [])


async def test_what_is_for_later_is_named_and_the_queue_told_without_waiting_for_it_to_be_set(desk: Desk) -> None:
    at = datetime.now(UTC) + timedelta(hours=1)
    intake = await desk.take(body_of(id="1", not_before=at.isoformat()), body_of(id="2"))
    assert ids(intake.accepted) == ["2"]
    assert intake.scheduled == [Later(id="1", run=1, at=at)]
    assert (desk.bus.scheduled, len(desk.bus.acked)) == ({}, 2)


async def test_what_is_for_later_and_could_not_be_settled_is_still_named(desk: Desk) -> None:
    desk.bus.put(CHANNEL, body_of(id="1", not_before=(datetime.now(UTC) + timedelta(hours=1)).isoformat()))
    fetched = await desk.bus.fetch(CHANNEL, 10)
    desk.bus.away = True
    intake = await take_in(desk.context, fetched)
    assert [later.id for later in intake.scheduled] == ["1"]
    assert isinstance(intake.error, BusUnavailableError)
    assert desk.bus.acked == []


async def test_if_nats_is_away_nothing_is_acknowledged_and_what_is_accepted_is_sent_all_the_same(desk: Desk) -> None:
    desk.bus.put(CHANNEL, body_of(id="1"))
    desk.bus.put(CHANNEL, b"nonsense")
    fetched = await desk.bus.fetch(CHANNEL, 10)
    desk.bus.away = True
    intake = await take_in(desk.context, fetched)
    assert ids(intake.accepted) == ["1"]
    assert isinstance(intake.error, BusUnavailableError)
    assert desk.bus.acked == []


async def test_if_nats_hangs_what_is_accepted_is_sent_all_the_same(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(intake_module, "SETTLE_TIMEOUT_S", 0.01)
    desk.bus.hanging = True
    intake = await desk.take(body_of(id="1"), b"nonsense")
    assert ids(intake.accepted) == ["1"]
    assert isinstance(intake.error, TimeoutError)
    assert desk.bus.acked == []


async def test_what_is_refused_is_published_before_it_is_acknowledged_and_stored_once(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(intake_module, "SETTLE_TIMEOUT_S", 0.01)
    desk.bus.hanging = True
    await desk.take(b"nonsense")
    assert desk.bus.acked == []
    desk.bus.hanging = False
    for _ in range(2):
        desk.bus.redeliver(CHANNEL)
        desk.bus.put(CHANNEL, b"other nonsense")
        fetched = await desk.bus.fetch(CHANNEL, 10)
        await take_in(desk.context, fetched)
    assert [letter.body for letter in desk.bus.dead()] == [b"nonsense", b"other nonsense", b"other nonsense"]


async def test_what_comes_for_a_channel_that_has_ended_goes_back_to_the_queue(desk: Desk) -> None:
    desk.bus.put(CHANNEL, body_of(id="1"))
    fetched = await desk.bus.fetch(CHANNEL, 10)
    intake = await take_in(desk.context, fetched, lambda: False)
    assert (intake.accepted, desk.bus.acked, list(desk.ledger.entries)) == ((), [], [])
    assert [item.body for item in await desk.bus.fetch(CHANNEL, 10)] == [item.body for item in fetched]


async def test_each_refusal_is_logged_under_its_name_and_without_a_word_of_it(desk: Desk) -> None:
    with capture_logs() as logs:
        await desk.take(body_of(id="x", type="poll", text="secret"), b"secret", **HEADERS)
    assert [(line["event"], line.get("id"), line["error_code"], line["correlation_id"]) for line in logs] == [
        ("command refused", "x", "unsupported", "abc"),
        ("command refused", None, "invalid_command", "abc"),
    ]
    assert "secret" not in str(logs)
