"""A stream copied as a whole, and put back, by JetStream's own snapshots. On the loop's thread.

A snapshot is of the moment at which it begins; what is deleted meanwhile may be missing from it (of a work queue: what
is acknowledged). What it is made of is the server's business: it is portable between servers, and holds what the stream
holds in clear, whether or not the server encrypts its files.
"""

import asyncio
from collections.abc import AsyncIterable, AsyncIterator
from typing import Annotated, Final

import msgspec
from msgspec import Meta, Struct
from nats.aio.msg import Msg
from nats.js.api import StreamConfig
from nats.js.errors import APIError
from nats.js.errors import NotFoundError as StreamNotFoundError

from gateway.nats.client import PatientClient
from gateway.nats.link import REQUEST_TIMEOUT, Connection
from gateway.nats.translate import NO_ROOM, translating
from protocol.errors import BusUnavailableError, InvalidInputError

CHUNK: Final = 128 << 10
"""Bytes, as the server sends them by default."""
LARGEST: Final = 1 << 20
"""A message of this size is within every server's default limit."""

_WINDOW: Final = 1 << 20
"""Bytes under way at once: what a copy takes of the memory."""
_SILENCE: Final = 20.0
"""Seconds; the server gives up after 5 without an acknowledgement, and says so."""
_COMPLETE: Final = 120.0
"""Seconds in which the server must have put back what it was sent."""
_LOOKS: Final = 50
_LOOK_S: Final = 0.1
"""Together more than the server needs to remove a stream's files, a few for each gigabyte."""
_STATUS: Final = "Status"


_AWAY: Final = 503
"""What the server is not ready for: worth another try, unless it says that there is no room."""


class _Error(Struct):
    description: str = ""
    code: int = 0
    err_code: int = 0


class _Answer(Struct):
    """Of JetStream's API."""

    deliver_subject: Annotated[str, Meta(max_length=512)] = ""
    error: _Error | None = None


async def snapshot(connection: Connection, stream: str, *, consumers: bool) -> AsyncIterator[bytes]:
    """What ``stream`` is made of, piece by piece; the next is sent when one was taken, so each must be within 5 s.
    ``consumers``: with how far each was.

    Raises:
        BusUnavailableError: it did not come to its end.
    """
    nc, doing = connection.nc, f"copying the stream {stream}"
    pieces: asyncio.Queue[Msg] = asyncio.Queue()

    async def received(message: Msg) -> None:
        pieces.put_nowait(message)

    with translating(doing):
        inbox = nc.new_inbox()
        subscription = await nc.subscribe(inbox, cb=received)
        try:
            wanted = {"deliver_subject": inbox, "no_consumers": not consumers}
            wanted |= {"chunk_size": CHUNK, "window_size": _WINDOW}
            await _ask(nc, f"$JS.API.STREAM.SNAPSHOT.{stream}", wanted, doing)
            while (message := await _next(connection, pieces, doing)).data:
                yield message.data
                if message.reply:
                    await nc.publish(message.reply)
            if (status := (message.headers or {}).get(_STATUS, "204")) != "204":
                raise BusUnavailableError(f"{doing}: the server gave up ({status})")
        finally:
            if nc.is_connected:
                await subscription.unsubscribe()


async def put_back(connection: Connection, wanted: StreamConfig, pieces: AsyncIterable[bytes]) -> None:
    """Make the stream ``wanted`` out of a snapshot; one of its name goes before.

    Raises:
        BusUnavailableError: NATS is away, or not ready.
        InvalidInputError: what the pieces hold is no such stream, or there is no room for it.
    In either case there may be none any more.
    """
    nc, doing = connection.nc, f"putting back the stream {wanted.name}"
    with translating(doing):
        try:
            await _clear(connection, wanted, doing)
        except APIError as error:
            if error.err_code in NO_ROOM:
                raise InvalidInputError(doing, f"what the server has room for ({error.description})") from error
            raise
        request = {"config": wanted.as_dict(), "state": {}}
        answer = await _ask(nc, f"$JS.API.STREAM.RESTORE.{wanted.name}", request, doing)
        async for piece in pieces:
            said = await nc.request(answer.deliver_subject, piece, timeout=REQUEST_TIMEOUT)
            if said.data:
                _check(said.data, doing)
        said = await nc.request(answer.deliver_subject, b"", timeout=_COMPLETE)
        _check(said.data, doing)


async def _clear(connection: Connection, wanted: StreamConfig, doing: str) -> None:
    """Have no stream ``wanted``, and nothing of one in the server's files.

    The server (2.15.1) deletes by renaming a directory to one that it then empties in its own time. Deleted again by
    then, a stream stays where it was, is still said to be gone, and is found by the one that is restored: with its
    messages, or so that the restoration fails (``expected sequence does not match store``). So one that nobody can
    publish to is made first, until it comes up empty; what may be left of that is nothing.

    Raises:
        BusUnavailableError: it did not in time.
    """
    name, empty = wanted.name or "", wanted.evolve(subjects=[connection.nc.new_inbox()])
    await delete(connection, name)
    for _ in range(_LOOKS):
        made = await connection.js.add_stream(empty)
        if made.state.last_seq == 0:
            await delete(connection, name)
            return
        await asyncio.sleep(_LOOK_S)
        await delete(connection, name)
    raise BusUnavailableError(f"{doing}: the server does not let go of the one before")


async def delete(connection: Connection, stream: str) -> None:
    """Delete ``stream`` if there is one. Raises the client library's errors."""
    try:
        await connection.js.delete_stream(stream)
    except StreamNotFoundError:
        return


async def _next(connection: Connection, pieces: "asyncio.Queue[Msg]", doing: str) -> Msg:
    getting = asyncio.ensure_future(pieces.get())
    try:
        await asyncio.wait((getting, connection.lost), timeout=_SILENCE, return_when=asyncio.FIRST_COMPLETED)
        if not getting.done():
            raise BusUnavailableError(
                f"{doing}: {'connection lost' if connection.lost.done() else 'nothing more came'}"
            )
        return getting.result()
    finally:
        getting.cancel()


async def _ask(nc: PatientClient, subject: str, request: object, doing: str) -> _Answer:
    said = await nc.request(subject, msgspec.json.encode(request), timeout=REQUEST_TIMEOUT)
    return _check(said.data, doing)


def _check(said: bytes, doing: str) -> _Answer:
    try:
        answer = msgspec.json.decode(said, type=_Answer)
    except msgspec.DecodeError as error:
        raise BusUnavailableError(f"{doing}: the server answered something else") from error
    if (said_no := answer.error) is None:
        return answer
    if said_no.code == _AWAY and said_no.err_code not in NO_ROOM:
        raise BusUnavailableError(f"{doing}: {said_no.description}")
    raise InvalidInputError(doing, f"what the server takes ({said_no.description})")
