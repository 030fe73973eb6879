"""``/api/v1/events``: what changes, as Server-Sent Events.

A stream begins with the whole picture (``reset``, then everything, then ``ready``), or, with ``Last-Event-ID``, with
what changed since and ``ready``. After that it sends what has changed, each thing once and as it is by then: who reads
slowly is told less of what was in between, and nothing is kept for anybody. A client that takes nothing for
``STALLED_S`` seconds is cut. Data of events, each a JSON object::

    reset, ready    {}                     forget all, the whole picture follows; it is whole now
    gone            Gone                   and whatever belongs to it
    clinic          ClinicSnapshot         channel: ChannelSnapshot
    qr              ShownCode              only for who may operate
    counters        Counters
"""

import asyncio
import re
import socket
import struct
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Final

from aiohttp import hdrs, web

from gateway.http.requests import CLOSING, asked_clinic
from gateway.http.routes import API, CALLER, OF_CLINIC, Query, Route
from gateway.http.streams import Stream, Streams
from gateway.http.telling import Nothing, Sight, told, written
from gateway.http.watching import Counters, Place, Watching
from protocol.access import Permission
from protocol.channel import ChannelSnapshot, ClinicSnapshot
from protocol.errors import InvalidInputError
from protocol.ids import ChannelId, check_name
from protocol.live import Gone, Live, ShownCode
from protocol.meters import Meters
from protocol.operations import Operations

RECONNECT_MS: Final = 2000
BEAT_S: Final = 15.0
"""Between two signs of life while nothing changes."""
STALLED_S: Final = 10.0
END_S: Final = 1.0
"""How long the end of a stream may take to be sent."""
LAST_EVENT_ID: Final = "Last-Event-ID"
_ID: Final = re.compile(r"([0-9a-f]{8})-([0-9]{1,15})\Z")
_BEGIN: Final = b"retry: %d\n\n" % RECONNECT_MS
_BEAT: Final = b":\n\n"
_KEPT: Final = 64 * 1024
"""Bytes that the system keeps of a stream for a client that does not take them; by itself it would keep megabytes."""
_NO_LINGER: Final = struct.pack("ii", 1, 0)


class EventRoutes:
    """The handler, and all streams that are open."""

    def __init__(self, operations: Operations, live: Live, meters: Meters, streams: Streams) -> None:
        self._operations = operations
        self._live = live
        self._streams = streams
        self._watching = Watching(live, meters, streams)

    async def follow(self, request: web.Request) -> web.StreamResponse:
        """States, QR codes and counters as they change, as Server-Sent Events, of `?clinic=` and `?channel=` or all
        that the caller may see; with `Last-Event-ID` those since."""
        sight = await self._sight(request)
        since = self._resumed(request.headers.get(LAST_EVENT_ID, ""))
        stream = self._streams.open(request[CALLER], lambda: request.transport is None)
        self._watching.begin(request.app[CLOSING])
        try:
            response = web.StreamResponse(
                headers={hdrs.CONTENT_TYPE: "text/event-stream; charset=utf-8", "X-Accel-Buffering": "no"}
            )
            await response.prepare(request)
            _keep_little(request.transport)
            if request.method != hdrs.METH_HEAD:
                async with _ending(response):
                    await self._send(response, request, [_BEGIN])
                    await self._follow(response, request, stream, sight, since)
            return response
        finally:
            self._streams.close(stream)
            self._watching.end()

    async def _sight(self, request: web.Request) -> Sight:
        """Raises NotFoundError, UnavailableError (it is not known yet what there is), InvalidInputError."""
        clinic, channel = asked_clinic(request), request.query.get("channel")
        if channel is not None:
            if clinic is None:
                raise InvalidInputError("clinic", "the clinic of the channel")
            await self._operations.channel(clinic, check_name("channel", channel))
        elif clinic is not None:
            await self._operations.clinic(clinic)
        else:
            await self._operations.clinics()
        return Sight(caller=request[CALLER], clinic=clinic, channel=channel)

    def _resumed(self, last: str) -> Place | None:
        """How far the client had come; None: it must begin. Counters it gets in any case."""
        found = _ID.match(last)
        return Place(version=int(found[2]), turn=0) if found is not None and found[1] == self._live.epoch else None

    async def _follow(
        self, response: web.StreamResponse, request: web.Request, stream: Stream, sight: Sight, since: Place | None
    ) -> None:
        """Until the client has gone, or the stream is over."""
        place, begins = since, True
        loop, beat_at = asyncio.get_running_loop(), 0.0
        while not (stream.over or stream.gone()):
            news = self._watching.news(place)
            events, place, begins = told(news.said, sight, begins=begins), news.place, False
            if events or loop.time() >= beat_at:
                pieces = written(events, f"{self._live.epoch}-{place.version}") if events else [_BEAT]
                await self._send(response, request, pieces)
                beat_at = loop.time() + BEAT_S
            await stream.wake.wait()
            stream.wake.clear()

    async def _send(self, response: web.StreamResponse, request: web.Request, pieces: Iterable[bytes]) -> None:
        for piece in pieces:
            try:
                async with asyncio.timeout(STALLED_S):
                    await response.write(piece)
            except TimeoutError as error:
                _cut(request.transport)
                raise ConnectionError("the client takes nothing") from error
            await asyncio.sleep(0)


@asynccontextmanager
async def _ending(response: web.StreamResponse) -> AsyncIterator[None]:
    """Have a stream whose key or session is good no more end as if it were over, instead of breaking off."""
    try:
        yield
    except asyncio.CancelledError:
        with suppress(ConnectionError, TimeoutError):
            async with asyncio.timeout(END_S):
                await response.write_eof()
        raise


def _keep_little(transport: asyncio.Transport | None) -> None:
    if transport is not None:
        transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _KEPT)


def _cut(transport: asyncio.Transport | None) -> None:
    """Close the connection, with what it has not taken: the system would keep that for minutes."""
    if transport is not None:
        transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NO_LINGER)
        transport.abort()


def of_events(events: EventRoutes) -> Sequence[Route]:
    """Its route."""
    channel = Query(name="channel", kind=ChannelId, what="only this channel of the clinic")
    last = Query(name=LAST_EVENT_ID, kind=str, what="the id of the last event that came", where="header")
    return (
        Route(
            method="GET",
            path=f"{API}/events",
            handler=events.follow,
            permission=Permission.VIEW,
            filtered=True,
            endless=True,
            query=(OF_CLINIC, channel, last),
            answer=(ClinicSnapshot, ChannelSnapshot, ShownCode, Counters, Gone, Nothing),
            content="text/event-stream",
        ),
    )
