"""Looking for what a stream has already, told what a server would say."""

import asyncio
import json
from collections.abc import Sequence
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st
from nats.errors import Error as NatsError

from gateway.nats import lookup, wire
from gateway.nats.client import Receive
from gateway.nats.link import Connection

SINCE = datetime(2026, 11, 20, tzinfo=UTC)


class ScriptedStream:
    """Stands for a connection to a stream that holds ``ids``, in this order; some messages have none."""

    def __init__(self, ids: Sequence[str | None], *, refusal: str = "") -> None:
        self.nc = self.js = self
        self.ids = list(ids)
        self.refusal = refusal
        self.pages = 0
        self.consumers: list[str] = []
        self.config: Any = None
        self._given = 0
        self._hear: Receive | None = None

    def new_inbox(self) -> str:
        return "_INBOX.x"

    async def listen(self, subject: str, receive: Receive) -> object:
        self._hear = receive
        return self

    async def unlisten(self, subscription: object) -> None:
        self._hear = None

    async def add_consumer(self, stream: str, config: Any) -> Any:
        self.consumers.append("c")
        self.config = config
        return SimpleNamespace(name="c", num_pending=len(self.ids))

    async def delete_consumer(self, stream: str, name: str) -> None:
        self.consumers.remove(name)

    async def publish(self, subject: str, body: bytes, reply: str) -> None:
        assert subject == "$JS.API.CONSUMER.MSG.NEXT.events.c"
        self.pages += 1
        asyncio.get_running_loop().call_soon(self._answer, json.loads(body)["batch"])

    def _answer(self, batch: int) -> None:
        if self._hear is None:
            return
        if self.refusal:
            self._hear(b"_INBOX.x", b"", b"", f"NATS/1.0 {self.refusal}\r\n\r\n".encode())
            return
        page = self.ids[self._given : self._given + batch]
        for found in page:
            self._given += 1
            left = len(self.ids) - self._given
            headers = {"traceparent": "x"} | ({} if found is None else {"Nats-Msg-Id": found}) | {"Nats-Msg-Size": "1"}
            reply = f"$JS.ACK.events.c.1.{self._given}.{self._given}.0.{left}".encode()
            self._hear(b"subject", reply, b"", wire.header_block(headers))


async def found(stream: ScriptedStream, ids: Sequence[str]) -> set[str]:
    connection = cast(Connection, stream)
    return set(await asyncio.wait_for(lookup.stored(connection, "events", {"b", "a"}, ids, SINCE), 5))


@given(st.lists(st.none() | st.sampled_from("abcdefgh"), max_size=40), st.sets(st.sampled_from("abcdxyz")))
def test_exactly_what_is_there_is_found(ids: list[str | None], wanted: set[str]) -> None:
    stream = ScriptedStream(ids)
    assert asyncio.run(found(stream, sorted(wanted))) == wanted & {one for one in ids if one}
    assert stream.consumers == []


async def test_it_reads_page_by_page_and_no_further_than_it_must() -> None:
    everything = ScriptedStream([f"{number}" for number in range(7000)])
    assert await found(everything, ["6999", "absent"]) == {"6999"}
    assert everything.pages == 4
    early = ScriptedStream([f"{number}" for number in range(2000)])
    assert await found(early, ["5", "3"]) == {"5", "3"}
    assert early.pages == 1
    assert early.config.filter_subjects == ["a", "b"]
    assert early.config.opt_start_time == SINCE


async def test_an_empty_stream_is_not_asked_for_pages() -> None:
    stream = ScriptedStream([])
    assert await found(stream, ["a"]) == set()
    assert stream.pages == 0


@pytest.mark.parametrize("said", ["503", "409 Consumer Deleted"])
async def test_a_search_that_breaks_says_so_instead_of_finding_nothing(said: str) -> None:
    stream = ScriptedStream(["a"], refusal=said)
    with pytest.raises(NatsError, match=said):
        await found(stream, ["a"])
    assert stream.consumers == []


async def test_a_server_that_says_nothing_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lookup, "_PATIENCE", 0.05)
    stream = ScriptedStream(["a"])
    monkeypatch.setattr(stream, "_answer", lambda _: None)
    with pytest.raises(TimeoutError):
        await found(stream, ["a"])
    assert stream.consumers == []
