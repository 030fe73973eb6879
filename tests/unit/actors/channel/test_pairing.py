from collections.abc import AsyncIterator
from typing import Any

import pytest

from actors.channel import pairing as pairing_module
from actors.channel.pairing import MOST_ASKING, CodeAnswered, CodeRefusedError, Pairing
from protocol import port as p
from protocol.channel import ChannelState, PairingCode, QrCode
from protocol.errors import ConflictError
from tests.fakes.scripted_port import AT, Answer, ScriptedPort, obliging, silent
from tests.unit.actors.channel.answers import answering, raising, spec
from tests.unit.actors.channel.bench import Bench

S = ChannelState
QR = QrCode(code="code-1", expires_at=AT)
PHONE, OTHER = "5511988887777", "5511977776666"


class Booth(Bench):
    """The pairing part, and who asked what."""

    def __init__(self) -> None:
        super().__init__()
        self.part = Pairing(self.context)
        self.handlers = {CodeAnswered: self.part.on_answered}
        self.port = ScriptedPort(spec(), lambda _: None, self.bus.bell, obliging)
        self.answers: list[Any] = []

    def ask(self, phone: str | None = None) -> None:
        self.part.ask(phone, self.answers.append)

    async def look(self, state: ChannelState, qr: QrCode | None = None, reason: str = "") -> None:
        self.part.look(state, reason, qr, self.port)
        await self.run()


@pytest.fixture
async def booth() -> AsyncIterator[Booth]:
    booth = Booth()
    yield booth
    await booth.loop.end()


async def test_who_wants_a_qr_code_gets_it_when_there_is_one(booth: Booth) -> None:
    booth.ask()
    await booth.look(S.INITIALIZING)
    assert booth.answers == []
    await booth.look(S.QR_REQUIRED, QR)
    assert booth.answers == [QR]
    await booth.look(S.QR_REQUIRED, QR)
    assert booth.answers == [QR], "answered once"


async def test_who_wants_a_code_to_type_gets_one_for_the_phone(booth: Booth) -> None:
    booth.ask(PHONE)
    await booth.look(S.QR_REQUIRED, QR)
    assert booth.port.calls == [p.RequestPairingCode(phone=PHONE)]
    (code,) = booth.answers
    assert isinstance(code, PairingCode)
    assert (code.code, code.phone) == ("ABCD-EFGH", PHONE)


async def test_a_code_without_a_port_that_is_open_waits(booth: Booth) -> None:
    booth.ask(PHONE)
    booth.part.look(S.QR_REQUIRED, "", QR, None)
    assert booth.answers == []
    await booth.look(S.QR_REQUIRED, QR)
    assert len(booth.answers) == 1


async def test_all_who_ask_for_the_same_phone_get_the_same_code(booth: Booth) -> None:
    booth.ask(PHONE)
    booth.ask(PHONE)
    booth.ask()
    await booth.look(S.QR_REQUIRED, QR)
    assert len(booth.port.calls) == 1, "a second code would void the first"
    assert [type(answer) for answer in booth.answers] == [QrCode, PairingCode, PairingCode]
    assert booth.answers[1] == booth.answers[2]


@pytest.mark.parametrize("state", [S.CONNECTED, S.DISCONNECTED, S.LOGGED_OUT, S.SUSPENDED, S.ERROR])
async def test_where_there_will_be_no_code_all_are_told_why(booth: Booth, state: ChannelState) -> None:
    booth.ask()
    booth.ask(PHONE)
    await booth.look(state, reason="because")
    assert [str(answer) for answer in booth.answers] == [f"the channel is {state} (because)"] * 2
    assert all(isinstance(answer, ConflictError) for answer in booth.answers)


@pytest.mark.parametrize("state", [S.INITIALIZING, S.PAIRING, S.RECONNECTING, S.QR_REQUIRED])
async def test_where_there_may_be_a_code_yet_all_wait(booth: Booth, state: ChannelState) -> None:
    booth.ask()
    await booth.look(state)
    assert booth.answers == []


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (answering(p.Failed(code="rate_limited", message="slow down")), "slow down"),
        (raising(ValueError("broken")), "broken"),
        (answering(p.Done()), "something else"),
    ],
)
async def test_a_refused_code_says_why(booth: Booth, answer: Answer, why: str) -> None:
    booth.port.answer = answer
    booth.ask(PHONE)
    await booth.look(S.QR_REQUIRED, QR)
    (error,) = booth.answers
    assert isinstance(error, CodeRefusedError)
    assert why in str(error)


async def test_a_port_that_dies_over_a_code_answers_who_waits(booth: Booth) -> None:
    booth.port.answer = silent
    booth.ask(PHONE)
    await booth.look(S.QR_REQUIRED, QR)
    booth.port.die("killed")
    await booth.run()
    assert isinstance(booth.answers[0], CodeRefusedError)


async def test_too_many_askers_are_refused(booth: Booth) -> None:
    for _ in range(MOST_ASKING):
        booth.ask()
    with pytest.raises(ConflictError, match="wait for this channel already"):
        booth.ask()
    await booth.look(S.QR_REQUIRED, QR)
    assert booth.answers == [QR] * MOST_ASKING


async def test_who_has_given_up_takes_no_place_and_has_no_code_made(
    booth: Booth, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(MOST_ASKING):
        booth.ask(OTHER)
    monkeypatch.setattr(pairing_module, "ASK_LIFE_S", 0.0)
    booth.ask()
    monkeypatch.setattr(pairing_module, "ASK_LIFE_S", 45.0)
    booth.ask(PHONE)
    await booth.look(S.QR_REQUIRED, QR)
    assert booth.port.calls == [p.RequestPairingCode(phone=PHONE)]


async def test_refusing_tells_all_who_wait(booth: Booth) -> None:
    booth.ask()
    booth.part.refuse("the channel is shutting down")
    (error,) = booth.answers
    assert str(error) == "the channel is shutting down"
    booth.part.refuse("again")
    assert len(booth.answers) == 1
