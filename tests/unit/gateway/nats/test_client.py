"""What a client asks JetStream again, and what it does not."""

import asyncio
from typing import Any

import pytest
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.errors import NoRespondersError
from nats.errors import TimeoutError as NatsTimeoutError

from gateway.nats import client
from gateway.nats.client import PatientClient

INFO = "$JS.API.STREAM.INFO.send"
PURGE = "$JS.API.STREAM.PURGE.send"


class Server:
    """Meets each request with the next of ``outcomes``: an error, or None for an answer."""

    def __init__(self) -> None:
        self.outcomes: list[Exception | None] = []
        self.timeouts: list[float] = []

    async def request(self, nc: Client, subject: str, payload: bytes, timeout: float, *_: Any) -> Msg:
        self.timeouts.append(timeout)
        await asyncio.sleep(0)
        outcome = self.outcomes.pop(0) if self.outcomes else NoRespondersError()
        if outcome is not None:
            raise outcome
        return Msg(nc, subject=subject, data=payload)


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Server:
    """In place of the library."""
    made = Server()
    monkeypatch.setattr(Client, "request", lambda *arguments: made.request(*arguments))
    return made


@pytest.mark.parametrize("subject", [INFO, PURGE])
async def test_what_nobody_got_is_asked_again(server: Server, subject: str) -> None:
    server.outcomes = [NoRespondersError(), NoRespondersError(), None]
    assert (await PatientClient().request(subject, b"x", timeout=10)).data == b"x"
    assert len(server.timeouts) == 3


async def test_what_got_no_answer_may_have_been_done_and_is_not_repeated(server: Server) -> None:
    server.outcomes = [NatsTimeoutError(), None]
    with pytest.raises(NatsTimeoutError):
        await PatientClient().request(PURGE, b"", timeout=10)
    assert server.timeouts == [pytest.approx(10, abs=0.1)]


@pytest.mark.parametrize("subject", ["$JS.API.DIRECT.GET.KV_registry", "clinic.acme.channel.front.send", "rpc"])
async def test_others_than_the_api_are_asked_once(server: Server, subject: str) -> None:
    with pytest.raises(NoRespondersError):
        await PatientClient().request(subject, b"", timeout=10)
    assert server.timeouts == [10]


async def test_an_api_that_stays_away_is_reported_in_the_end(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "UNSERVED", 0.05)
    with pytest.raises(NoRespondersError):
        await asyncio.wait_for(PatientClient().request(INFO, b"", timeout=10), 5)
    assert len(server.timeouts) > 1


async def test_the_deadline_holds_for_all_attempts_together(server: Server) -> None:
    with pytest.raises(NoRespondersError):
        await asyncio.wait_for(PatientClient().request(INFO, b"", timeout=0.1), 5)
    assert 0 < server.timeouts[-1] < server.timeouts[0] < 0.11
