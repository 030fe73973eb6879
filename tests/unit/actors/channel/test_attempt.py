from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import msgspec
import pytest

from actors.channel.attempt import UPLOAD_LIMIT_S, Attempts, Outcomes
from actors.channel.parcel import Parcel
from gateway.whatsapp import work
from protocol.commands import Media, ReplyTo
from protocol.errors import BusUnavailableError, StoreUnavailableError
from protocol.events import ResultEvent
from protocol.interfaces import SendOutcome
from protocol.media import WebMedia
from protocol.port import Failed, PortAnswer, Quote, SendMedia, SendReaction, SendRequest, SendText, Sent
from tests.fakes.bell import Bell
from tests.fakes.memory_ledger import Entry
from tests.fakes.scripted_port import Anything, ScriptedPort, obliging
from tests.unit.actors.channel.bench import CHANNEL, CLINIC, Bench
from tests.unit.actors.channel.commands import AT, SENT, accepted
from tests.unit.actors.channel.mouth import SPEC

TO = "5511988887777@s.whatsapp.net"
SECRET = b"s" * 32
KEY = "1:1#737373737373"
SAID: dict[str, Any] = {"key": KEY, "secret": SECRET, "to": TO}

Answers = Callable[[Anything], Awaitable[PortAnswer | Sent]]


def port(answer: Answers = obliging) -> ScriptedPort:
    return ScriptedPort(SPEC, lambda _: None, Bell(), answer)


class Launch(Bench):
    """Attempts, and what came of them. ``announced``: how often the actor was told of it."""

    def __init__(self) -> None:
        super().__init__()
        self.announced = 0
        self.outcomes = Outcomes(self.announce)
        self.attempts = Attempts(self.context, self.outcomes, deadline_s=80.0, media_limit=1000)

    def announce(self) -> None:
        self.announced += 1

    async def send(self, to: ScriptedPort, *parcels: Parcel) -> list[SendOutcome]:
        self.attempts.launch(to, parcels)
        await self.loop.rest()
        return self.outcomes.take()


def parcel(id: str = "1", to: str = TO, **fields: Any) -> Parcel:
    made = Parcel.of(accepted(id, to, **_structs(fields)), 1)
    made.begin(SECRET)
    return made


@pytest.fixture
async def bench() -> Launch:
    launch = Launch()
    launch.bus.media["stored"] = b"stored image"
    result = ResultEvent(clinic=CLINIC, channel=CHANNEL, id="old", status="sent", wa_id="OURS", sent_at=AT)
    launch.ledger.entries[CHANNEL, "old"] = Entry(accepted("old"), "sent", result)
    return launch


@pytest.mark.parametrize(
    ("fields", "request_"),
    [
        ({"text": "Olá"}, SendText(**SAID, text="Olá")),
        (
            {"text": "Olá", "reply_to": {"id": "W", "from": "5511900000000"}},
            SendText(**SAID, text="Olá", quote=Quote(wa_id="W", author="5511900000000@s.whatsapp.net")),
        ),
        ({"text": "Olá", "reply_to": {"id": "W"}}, SendText(**SAID, text="Olá", quote=Quote(wa_id="W", author=TO))),
        (
            {"type": "image", "text": None, "media": {"data": b"img", "mime": "image/png", "caption": "Exame"}},
            SendMedia(**SAID, kind="image", data=b"img", mime="image/png", caption="Exame"),
        ),
        (
            {"type": "image", "text": None, "media": {"object": "stored"}},
            SendMedia(**SAID, kind="image", data=b"stored image", mime="image/jpeg"),
        ),
        (
            {"type": "audio", "text": None, "media": {"data": b"opus", "voice": True}},
            SendMedia(**SAID, kind="audio", data=b"opus", mime="audio/ogg; codecs=opus", voice=True),
        ),
        (
            {
                "type": "document",
                "text": None,
                "media": {"data": b"pdf", "mime": "application/pdf", "filename": "a.pdf"},
            },
            SendMedia(**SAID, kind="document", data=b"pdf", mime="application/pdf", filename="a.pdf"),
        ),
        (
            {"type": "reaction", "text": "👍", "target": "THEIRS"},
            SendReaction(**SAID, target="THEIRS", from_me=False, emoji="👍"),
        ),
        (
            {"type": "reaction", "text": "", "target": "OURS"},
            SendReaction(**SAID, target="OURS", from_me=True, emoji=""),
        ),
    ],
    ids=[
        "text",
        "reply",
        "reply to the chat's person",
        "image in the body",
        "image in the store",
        "voice note",
        "document",
        "reaction",
        "own",
    ],
)
async def test_a_command_becomes_the_request_that_it_means(
    bench: Launch, fields: dict[str, Any], request_: Anything
) -> None:
    asked = port()
    (outcome,) = await bench.send(asked, parcel(**fields))
    assert isinstance(outcome.answer, Sent)
    assert outcome.key == KEY
    assert asked.calls == [request_]


async def test_media_on_the_web_is_fetched_at_the_attempt_for_the_clinic(bench: Launch) -> None:
    bench.web.media["https://a.example/x"] = WebMedia(data=b"png", mime="image/png")
    asked = port()
    await bench.send(asked, parcel(type="image", text=None, media={"url": "https://a.example/x"}))
    assert asked.calls == [SendMedia(**SAID, kind="image", data=b"png", mime="image/png")]
    assert bench.web.asked == [(CLINIC, "https://a.example/x", "image", None, 1000)]


@pytest.mark.parametrize(("away", "code"), [(True, "media_unavailable"), (False, "media_invalid")])
async def test_media_that_the_web_does_not_give_is_an_answer_that_does_not_tell_where(
    bench: Launch, away: bool, code: str
) -> None:
    bench.web.away = away
    (outcome,) = await bench.send(port(), parcel(type="image", text=None, media={"url": "https://a.example/x"}))
    assert isinstance(outcome.answer, Failed)
    assert outcome.answer.code == code
    assert "a.example" not in outcome.answer.message


def _structs(fields: dict[str, Any]) -> dict[str, Any]:
    kinds: dict[str, Any] = {"media": Media, "reply_to": ReplyTo}
    return {
        name: msgspec.convert(value, kinds[name], builtin_types=(bytes,)) if name in kinds else value
        for name, value in fields.items()
    }


def answering(answer: PortAnswer | Sent) -> Answers:
    async def answers(_: Anything) -> PortAnswer | Sent:
        return answer

    return answers


IMAGE: dict[str, Any] = {"type": "image", "text": None, "media": {"object": "key"}}


async def test_a_batch_goes_to_the_port_as_one_in_order_and_its_outcomes_come_together(bench: Launch) -> None:
    asked = port(answering(SENT))
    parcels = [parcel(str(number)) for number in range(5)]
    outcomes = await bench.send(asked, *parcels)
    assert [outcome.key for outcome in outcomes] == [each.key for each in parcels]
    assert asked.batches == [5]
    assert bench.announced == 1


class Patience(ScriptedPort):
    """Notes the deadline of each batch."""

    def __init__(self) -> None:
        super().__init__(SPEC, lambda _: None, Bell(), obliging)
        self.deadlines: list[float] = []

    def send(
        self, requests: Sequence[SendRequest], deliver: Callable[[Sequence[SendOutcome]], None], *, deadline: float
    ) -> None:
        self.deadlines.append(deadline)
        super().send(requests, deliver, deadline=deadline)


@pytest.mark.parametrize(
    ("fields", "deadline"),
    [
        ({"text": "Olá"}, 80.0),
        ({"type": "reaction", "text": "👍", "target": "THEIRS"}, 80.0),
        ({"type": "image", "text": None, "media": {"data": b"img"}}, 80.0 + UPLOAD_LIMIT_S),
    ],
    ids=["text", "reaction", "image"],
)
async def test_media_has_as_much_longer_as_its_upload_may_take(
    bench: Launch, fields: dict[str, Any], deadline: float
) -> None:
    asked = Patience()
    await bench.send(asked, parcel(**fields))
    assert asked.deadlines == [deadline]


def test_a_port_uploads_no_longer_than_is_allowed_for() -> None:
    assert work.UPLOAD_LIMIT_S <= UPLOAD_LIMIT_S


async def test_a_command_whose_media_is_fetched_first_holds_up_no_other(bench: Launch) -> None:
    asked = port()
    bench.bus.media["key"] = b"img"
    outcomes = await bench.send(asked, parcel("1", **IMAGE), parcel("2"))
    assert asked.batches == [1, 1]
    assert [outcome.key[:3] for outcome in outcomes] == ["1:2", "1:1"]


async def test_what_expires_before_it_is_given_to_the_port_is_not_sent(bench: Launch) -> None:
    asked = port()
    (outcome,) = await bench.send(asked, parcel(expires_at=AT))
    assert isinstance(outcome.answer, Failed)
    assert (outcome.answer.code, asked.calls) == ("expired", [])


async def test_once_closed_nothing_more_is_sent(bench: Launch) -> None:
    asked = port()
    bench.attempts.closed = True
    (outcome,) = await bench.send(asked, parcel())
    assert isinstance(outcome.answer, Failed)
    assert (outcome.answer.code, outcome.cut, asked.calls) == ("not_connected", True, [])


async def test_media_that_is_missing_is_a_permanent_error_and_nothing_is_sent(bench: Launch) -> None:
    asked = port()
    (outcome,) = await bench.send(asked, parcel(**IMAGE))
    assert outcome.answer == Failed(code="media_invalid", message="media.object: object key does not exist")
    assert asked.calls == []


async def test_media_that_is_too_large_is_a_permanent_error(bench: Launch) -> None:
    bench.bus.media["key"] = b"x" * 1001
    (outcome,) = await bench.send(port(), parcel(**IMAGE))
    assert isinstance(outcome.answer, Failed)
    assert outcome.answer.code == "media_invalid"


async def test_media_that_cannot_be_fetched_now_is_tried_again(bench: Launch) -> None:
    bench.bus.away = True
    (outcome,) = await bench.send(port(), parcel(**IMAGE))
    assert outcome.answer == Failed(code="media_unavailable", message=str(BusUnavailableError("NATS is away")))


async def test_a_reaction_whose_target_cannot_be_looked_up_is_tried_again(bench: Launch) -> None:
    bench.ledger.failing = True
    (outcome,) = await bench.send(port(), parcel(type="reaction", target="T"))
    assert outcome.answer == Failed(code="store_failed", message=str(StoreUnavailableError("disk full")))


async def test_a_type_that_slipped_through_is_refused(bench: Launch) -> None:
    (outcome,) = await bench.send(port(), parcel(type="poll", text=None))
    assert outcome.answer == Failed(code="unsupported", message="not supported: type poll")


async def test_a_fault_of_ours_does_not_leave_a_command_waiting_for_ever(bench: Launch) -> None:
    async def broken(name: str, *, limit: int) -> bytes:
        raise ZeroDivisionError

    bench.bus.get_media = broken  # type: ignore[method-assign]  # a fault
    (outcome,) = await bench.send(port(), parcel(**IMAGE))
    assert outcome.answer == Failed(code="unsupported", message="not sent: ZeroDivisionError; see the log")
