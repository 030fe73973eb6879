"""What really passes over NATS is what ``protocol/asyncapi.yaml`` says: every subject, both encodings, headers too."""

from typing import Any

import pytest
from nats.aio.msg import Msg
from nats.js.api import ConsumerConfig, DeliverPolicy

from protocol.codec import Encoding, decode_raw, encode
from protocol.subjects import ClinicVerb, EventKind, Verb
from tests.acceptance.node import Listener
from tests.acceptance.phones import Phones
from tests.documents import asyncapi
from tests.documents.validating import Contract
from tests.emulator.client import EmulatorProcess

PHONE, ANA, NOBODY = "5511900000001", "5511888000001", "5511888000009"
FRONT = ("acme", "reception")
REFUSED = "RefusalBody"


@pytest.fixture
def contract() -> Contract:
    return Contract(asyncapi.describe())


@pytest.fixture(params=list(Encoding))
def encoding(request: pytest.FixtureRequest) -> Encoding:
    return Encoding(request.param)


@pytest.fixture
def tables(encoding: Encoding) -> dict[str, Any]:
    return {"events": {"encoding": encoding.value}}


def command(id: str, to: str = ANA) -> dict[str, Any]:
    return {"v": 1, "id": id, "to": to, "type": "text", "text": id, "meta": {"appointment": 17}}


async def published(service: Listener) -> list[Msg]:
    """All that the stream of ``platform`` holds."""
    stream = service.connection.jetstream()
    count = (await stream.stream_info("events")).state.messages
    config = ConsumerConfig(deliver_policy=DeliverPolicy.ALL)
    subscription = await stream.subscribe("clinic.>", stream="events", ordered_consumer=True, config=config)
    return [await subscription.next_msg(timeout=10) for _ in range(count)]


async def test_every_event_is_as_the_document_says(
    contract: Contract, encoding: Encoding, service: Listener, phones: Phones, emulator: EmulatorProcess
) -> None:
    await phones.pair("acme", ("reception", PHONE))
    await emulator.exists(NOBODY, False)
    await service.send(*FRONT, command("sent"))
    await service.until("result", id="sent")
    await service.send(*FRONT, command("sent"))
    await service.send(*FRONT, command("fails", NOBODY))
    await service.send(*FRONT, b'{"v": 1, "id": "not-valid"}')
    said = await emulator.send_image(ANA, PHONE, b"\x89PNG\r\n", caption="exame")
    await emulator.send_text(ANA, PHONE, "Sair", about=said)
    await service.until("message", text="Sair")
    await service.until("result", id="sent", repeat=True)
    for dead in ("fails", "not-valid"):
        await service.until("dead", id=dead)
    await service.until("receipt", id="sent", type="delivered")
    await service.until("gap")

    seen = await published(service)
    assert {message.subject.rsplit(".", 1)[-1] for message in seen} == {*EventKind, "dead"}
    for message in seen:
        (name,) = contract.messages(message.subject)
        assert not contract.faults(name, message.data, message.headers), (message.subject, decode_raw(message.data))
        assert message.headers is not None
        assert message.headers["Content-Type"] == encoding.content_type


async def test_every_request_is_answered_as_the_document_says(
    contract: Contract, encoding: Encoding, service: Listener, phones: Phones, emulator: EmulatorProcess
) -> None:
    await phones.pair("acme", ("reception", PHONE))
    await emulator.exists(NOBODY, False)
    await service.send(*FRONT, command("sent"))
    await service.send(*FRONT, command("fails", NOBODY))
    await service.until("result", id="sent")
    await service.until("dead", id="fails")
    asked: dict[str, set[str]] = {}

    async def ask(verb: Verb | ClinicVerb, **fields: Any) -> None:
        where = "clinic.acme" if isinstance(verb, ClinicVerb) else "clinic.acme.channel.reception"
        subject = f"{where}.rpc.{verb}"
        body = {"v": 1, **fields}
        (name,) = contract.messages(subject)
        assert bool(contract.faults(name, body)) is ("unheard_of" in fields)
        answer = await service.connection.request(subject, encode(body, encoding), timeout=60)
        refused = "error" in decode_raw(answer.data) and "Nats-Service-Error" in (answer.headers or {})
        faults = {
            one: contract.faults(one, answer.data, answer.headers)
            for one in contract.replies(subject)
            if (one == REFUSED) is refused
        }
        assert [] in faults.values(), (subject, faults)
        asked.setdefault(verb, set()).add("refused" if refused else "done")

    await ask(Verb.STATUS)
    await ask(Verb.STATUS, unheard_of=1)
    await ask(Verb.CHECK, phones=[ANA, NOBODY])
    await ask(Verb.MARK_READ, chat=ANA, ids=["3EB0"])
    await ask(Verb.PRESENCE, presence="typing", chat=ANA)
    await ask(Verb.COMMAND, id="sent")
    await ask(Verb.COMMAND, id="fails")
    await ask(Verb.CANCEL, id="sent")
    await ask(Verb.RELEASE, id="sent")
    await ask(Verb.REPLAY, id="fails")
    await service.until("dead", id="fails", run=2)
    await ask(Verb.DISCARD, id="fails")
    await ask(Verb.QR)
    await ask(Verb.PAIR)
    await ask(ClinicVerb.CHANNELS)
    await ask(ClinicVerb.STATS)
    for count, (down, up) in enumerate([(Verb.SUSPEND, Verb.RESUME), (Verb.DISCONNECT, Verb.CONNECT)], start=2):
        await ask(down)
        await ask(up)
        await service.until("state", state="connected", count=count)
    await ask(Verb.LOGOUT)
    await service.until("state", state="logged_out")
    await ask(Verb.PAIR)
    await service.until("qr", count=2)
    await ask(Verb.QR)

    assert set(asked) == {*Verb, *ClinicVerb}
    assert {verb for verb, outcomes in asked.items() if "done" not in outcomes} == {Verb.CANCEL, Verb.RELEASE}
    assert "refused" in asked[Verb.QR]
