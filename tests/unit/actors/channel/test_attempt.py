from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
import pytest

from actors.channel.attempt import attempt, mark
from actors.channel.gate import CutOff
from protocol import port as p
from protocol.commands import Media, ReplyTo
from protocol.errors import (
    BusUnavailableError,
    CallTimeoutError,
    PortGoneError,
    StoreUnavailableError,
)
from protocol.port import Failed, PortAnswer, PortRequest, Quote, SendImage, SendReaction, SendText
from tests.fakes.bell import Bell
from tests.fakes.memory_ledger import Entry
from tests.fakes.scripted_port import ScriptedPort, obliging
from tests.unit.actors.channel.bench import CHANNEL, CLINIC, Bench
from tests.unit.actors.channel.commands import SENT, accepted

TO = "5511988887777@s.whatsapp.net"
SPEC = p.PortSpec(clinic=CLINIC, channel=CHANNEL, incarnation=1, store="/x.db", device_name="Plantão")


def port(answer: Callable[[PortRequest], Awaitable[PortAnswer]] = obliging) -> ScriptedPort:
    return ScriptedPort(SPEC, lambda _: None, Bell(), answer)


async def send(bench: Bench, to: ScriptedPort, **fields: Any) -> p.Sent | Failed | CutOff:
    return await attempt(bench.context, to, accepted("1", **fields), deadline=80.0, media_limit=1000)


@pytest.fixture
async def bench() -> Bench:
    return Bench()


@pytest.mark.parametrize(
    ("fields", "request_"),
    [
        ({"text": "Olá"}, SendText(to=TO, text="Olá")),
        (
            {"text": "Olá", "reply_to": {"id": "W", "from": "5511900000000"}},
            SendText(to=TO, text="Olá", quote=Quote(wa_id="W", author="5511900000000@s.whatsapp.net")),
        ),
        ({"text": "Olá", "reply_to": {"id": "W"}}, SendText(to=TO, text="Olá", quote=Quote(wa_id="W", author=TO))),
        (
            {"type": "image", "text": None, "media": {"data": b"img", "mime": "image/png", "caption": "Exame"}},
            SendImage(to=TO, data=b"img", mime="image/png", caption="Exame"),
        ),
        (
            {"type": "image", "text": None, "media": {"object": "stored"}},
            SendImage(to=TO, data=b"stored image", mime="image/jpeg"),
        ),
        (
            {"type": "reaction", "text": "👍", "target": "THEIRS"},
            SendReaction(to=TO, target="THEIRS", from_me=False, emoji="👍"),
        ),
        (
            {"type": "reaction", "text": "", "target": "OURS"},
            SendReaction(to=TO, target="OURS", from_me=True, emoji=""),
        ),
    ],
    ids=["text", "reply", "reply to the chat's person", "image in the body", "image in the store", "reaction", "own"],
)
async def test_a_command_becomes_the_request_that_it_means(
    bench: Bench, fields: dict[str, Any], request_: PortRequest
) -> None:
    bench.bus.media["stored"] = b"stored image"
    bench.context.flights.landed("OURS", accepted("before"))
    asked = port()
    fields = _structs(fields)
    assert isinstance(await send(bench, asked, **fields), p.Sent)
    assert asked.calls == [request_]


def _structs(fields: dict[str, Any]) -> dict[str, Any]:
    kinds: dict[str, Any] = {"media": Media, "reply_to": ReplyTo}
    return {
        name: msgspec.convert(value, kinds[name], builtin_types=(bytes,)) if name in kinds else value
        for name, value in fields.items()
    }


def answering(answer: PortAnswer) -> Callable[[PortRequest], Awaitable[PortAnswer]]:
    async def answers(_: PortRequest) -> PortAnswer:
        return answer

    return answers


def raising(error: Exception) -> Callable[[PortRequest], Awaitable[PortAnswer]]:
    async def raises(_: PortRequest) -> PortAnswer:
        raise error

    return raises


@pytest.mark.parametrize("answer", [SENT, Failed(code="rejected", message="no")])
async def test_the_ports_answer_is_the_attempts(bench: Bench, answer: Any) -> None:
    assert await send(bench, port(answering(answer))) == answer


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (PortGoneError("killed", reached=False), "not_connected"),
        (CallTimeoutError("80 s"), "outcome_unknown"),
    ],
)
async def test_every_error_of_a_port_has_its_code(bench: Bench, error: Exception, code: str) -> None:
    answer = await send(bench, port(raising(error)))
    assert answer == Failed(code=code, message=str(error))


async def test_a_port_that_ends_under_a_command_cuts_it_off(bench: Bench) -> None:
    gone = PortGoneError("killed")
    assert await send(bench, port(raising(gone))) == CutOff(Failed(code="outcome_unknown", message=str(gone)))


async def test_an_answer_of_another_kind_is_an_internal_error(bench: Bench) -> None:
    answer = await send(bench, port(answering(p.Done())))
    assert answer == Failed(code="internal", message="the port answered Done")


async def test_an_unknown_fault_is_not_hidden(bench: Bench) -> None:
    with pytest.raises(ZeroDivisionError):
        await send(bench, port(raising(ZeroDivisionError())))


IMAGE = {"type": "image", "text": None, "media": {"object": "key"}}


async def test_media_that_is_missing_is_a_permanent_error_and_nothing_is_sent(bench: Bench) -> None:
    asked = port()
    answer = await send(bench, asked, **_structs(IMAGE))
    assert answer == Failed(code="media_invalid", message="media.object: object key does not exist")
    assert asked.calls == []


async def test_media_that_is_too_large_is_a_permanent_error(bench: Bench) -> None:
    bench.bus.media["key"] = b"x" * 1001
    answer = await send(bench, port(), **_structs(IMAGE))
    assert isinstance(answer, Failed)
    assert answer.code == "media_invalid"


async def test_media_that_cannot_be_fetched_now_is_tried_again(bench: Bench) -> None:
    bench.bus.away = True
    answer = await send(bench, port(), **_structs(IMAGE))
    assert answer == Failed(code="media_unavailable", message=str(BusUnavailableError("NATS is away")))


async def test_a_reaction_whose_target_cannot_be_looked_up_is_tried_again(bench: Bench) -> None:
    bench.ledger.failing = True
    answer = await send(bench, port(), type="reaction", target="T")
    assert answer == Failed(code="store_failed", message=str(StoreUnavailableError("disk full")))


async def test_a_type_that_slipped_through_is_refused(bench: Bench) -> None:
    answer = await send(bench, port(), type="poll", text=None)
    assert answer == Failed(code="unsupported", message="not supported: type poll")


async def test_a_sent_message_is_known_at_once_by_its_whatsapp_id(bench: Bench) -> None:
    await send(bench, port(answering(SENT)), meta={"a": 1}, headers={"h": "x"})
    senders = await bench.context.flights.senders(bench.ledger, CHANNEL, ["WA"])
    assert (senders["WA"].id, senders["WA"].meta, senders["WA"].headers) == ("1", {"a": 1}, {"h": "x"})
    assert ("senders", ("WA",)) not in bench.ledger.calls


async def test_a_batch_is_marked_before_it_is_tried(bench: Bench) -> None:
    one = accepted("1")
    bench.ledger.entries[CHANNEL, "1"] = Entry(one)
    await mark(bench.ledger, CHANNEL, [one])
    assert bench.ledger.entry(CHANNEL, "1").state == "in_flight"
