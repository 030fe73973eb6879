"""What a channel asks WhatsApp for somebody, and the words in which the answer comes back."""

import asyncio
from typing import Any, cast

import pytest

from actors.channel import asking
from actors.channel.asking import PortAsked, answered, ask_port
from actors.channel.requests import CheckNumbers, MarkRead, ShowPresence
from protocol import port as p
from protocol.errors import CallTimeoutError, ConflictError, PortGoneError, UnavailableError
from protocol.interfaces import Port
from protocol.views import NumberCheck, NumberChecks
from tests.unit.actors.channel.bench import Bench

PHONE, PERSON = "5511988887777", "5511988887777@s.whatsapp.net"
CHECK = CheckNumbers((PHONE, "5511977776666"))
FOUND = p.NumbersChecked(items=[p.NumberFound(phone=PHONE, jid=PERSON), p.NumberFound(phone="5511977776666", jid=None)])


class Asker(Bench):
    """Asks a port that answers with ``answer`` (an exception is raised), and keeps what was replied."""

    def __init__(self, answer: Any) -> None:
        super().__init__()
        self.calls: list[p.PortRequest] = []
        self.deadlines: list[float] = []
        self.replies: list[Any] = []
        self.handlers = {PortAsked: answered}
        self._answer = answer

    async def call(self, request: p.PortRequest, *, deadline: float) -> p.PortAnswer:
        self.calls.append(request)
        self.deadlines.append(deadline)
        if isinstance(self._answer, BaseException):
            raise self._answer
        return cast(p.PortAnswer, self._answer)

    async def ask(self, request: Any, *, connected: bool = True) -> Any:
        ask_port(self.context, cast(Port, self) if connected else None, request, self.replies.append)
        await self.run()
        (reply,) = self.replies
        return reply


async def test_numbers_are_checked() -> None:
    asker = Asker(FOUND)
    assert await asker.ask(CHECK) == NumberChecks(
        items=[
            NumberCheck(phone=PHONE, on_whatsapp=True, jid=PERSON),
            NumberCheck(phone="5511977776666", on_whatsapp=False),
        ]
    )
    assert asker.calls == [p.CheckNumbers(phones=[PHONE, "5511977776666"])]
    assert asker.deadlines == [asking.ASK_DEADLINE_S]


@pytest.mark.parametrize(
    ("request_", "words"),
    [
        (MarkRead(PERSON, PERSON, ("A",)), p.MarkRead(chat=PERSON, sender=PERSON, wa_ids=["A"])),
        (ShowPresence("typing", PERSON), p.ShowPresence(presence="typing", chat=PERSON)),
        (ShowPresence("available", None), p.ShowPresence(presence="available")),
    ],
)
async def test_what_needs_no_answer_is_answered_with_nothing(request_: Any, words: Any) -> None:
    asker = Asker(p.Done())
    assert await asker.ask(request_) is None
    assert asker.calls == [words]


async def test_without_a_port_nobody_is_asked() -> None:
    with pytest.raises(ConflictError, match="channel acme/reception is not connected"):
        await Asker(FOUND).ask(CHECK, connected=False)


@pytest.mark.parametrize(
    ("answer", "kind", "words"),
    [
        (p.Failed(code="not_connected", message="x"), ConflictError, "acme/reception is not connected"),
        (p.Failed(code="rejected", message="no"), ConflictError, "WhatsApp refused it to channel acme/reception: no"),
        (p.Failed(code="rate_limited", message="slow down"), UnavailableError, "did not do it: slow down"),
        (p.Failed(code="outcome_unknown", message="silence"), UnavailableError, "did not do it: silence"),
        (CallTimeoutError("no answer within 20 s"), UnavailableError, "did not do it: no answer within 20 s"),
        (PortGoneError("killed"), UnavailableError, "did not do it: the port is gone: killed"),
        (asyncio.CancelledError(), UnavailableError, "did not do it: CancelledError"),
        (p.PairingCodeIssued(code="x"), UnavailableError, "answered something else"),
    ],
)
async def test_what_was_not_done_is_said_in_words(answer: Any, kind: type[Exception], words: str) -> None:
    reply = await Asker(answer).ask(CHECK)
    assert type(reply) is kind
    assert words in str(reply)
    assert PHONE not in str(reply)
