import asyncio
import logging
from collections.abc import Mapping

import pytest
from msgspec.structs import replace

from actors.board import Board
from actors.meters import NodeMeters
from gateway.http.streams import Stream, Streams
from gateway.http.watching import Watching
from protocol.access import Caller, Role
from protocol.channel import ChannelState
from protocol.meters import ClinicTotals
from tests.unit.actors.test_board import channel, clinic

ADMIN = Caller(id="k", role=Role.ADMIN)


class BreakingMeters(NodeMeters):
    """Cannot be read while ``broken``."""

    broken = False

    def totals(self) -> Mapping[str, ClinicTotals]:
        if self.broken:
            raise RuntimeError("no numbers")
        return super().totals()


class Place:
    """A board with a channel, and who looks on."""

    def __init__(self) -> None:
        self.board = Board()
        self.board.put_clinic(clinic("acme"))
        self.board.put_channel(channel("acme", "front"))
        self.meters = BreakingMeters(self.board)
        self.streams = Streams()
        self.watching = Watching(self.board, self.meters, self.streams)
        self.closing = asyncio.Event()

    def look(self) -> Stream:
        stream = self.streams.open(ADMIN, lambda: False)
        self.watching.begin(self.closing)
        return stream

    def leave(self, stream: Stream) -> None:
        self.streams.close(stream)
        self.watching.end()


@pytest.fixture
async def place() -> Place:
    return Place()


async def woken(stream: Stream) -> None:
    stream.wake.clear()
    await asyncio.wait_for(stream.wake.wait(), 5.0)


async def test_a_change_wakes_who_looks_on_and_is_looked_up_once(place: Place) -> None:
    one, other = place.look(), place.look()
    begun = place.watching.news(None)
    assert place.watching.news(None) is begun
    place.board.put_channel(replace(channel("acme", "front"), state=ChannelState.ERROR))
    await asyncio.gather(woken(one), woken(other))

    news = place.watching.news(begun.place)

    assert [said.name for said in news.said] == ["clinic", "channel"]
    assert place.watching.news(begun.place) is news
    for stream in (one, other):
        place.leave(stream)


async def test_while_nobody_looks_on_nothing_is_listened_to(place: Place) -> None:
    stream = place.look()
    await woken(stream)
    assert len(place.board._listeners) == 1
    place.leave(stream)
    await asyncio.sleep(0)
    assert place.board._listeners == []


async def test_when_it_fails_all_streams_end_and_the_next_begins_anew(
    place: Place, caplog: pytest.LogCaptureFixture
) -> None:
    stream = place.look()
    with caplog.at_level(logging.ERROR):
        place.meters.broken = True
        while not stream.over:
            await woken(stream)
        place.leave(stream)
    assert "not followed any more" in caplog.text
    place.meters.broken = False
    again = place.look()
    await woken(again)
    assert not again.over
    place.leave(again)


async def test_the_end_of_the_endpoint_ends_all_streams(place: Place) -> None:
    stream = place.look()
    place.closing.set()
    while not stream.over:
        await woken(stream)
    place.leave(stream)


async def test_who_comes_as_the_last_one_leaves_is_not_ended_with_them(place: Place) -> None:
    first = place.look()
    await woken(first)
    place.leave(first)
    second = place.look()
    await woken(second)
    await woken(second)
    assert not second.over
    place.leave(second)
