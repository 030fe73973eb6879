"""Streams looked through message by message, and single messages erased. Raises BusUnavailableError.

One message is held at a time, however large the stream is, and no consumer is made: a work queue may be looked through
as well. A message takes some 0.3 ms, most of it the server's.
"""

from collections.abc import AsyncIterator
from typing import Final

from nats.errors import Error as NatsError
from nats.js.api import RawStreamMsg
from nats.js.errors import NotFoundError

from gateway.nats.link import Connection

_ERASE_TIMEOUT: Final = 30.0


async def scan(connection: Connection, stream: str, subject: str) -> AsyncIterator[RawStreamMsg]:
    """The messages that ``stream`` has by now on ``subject`` (wildcards are allowed), in order; none if there is no
    stream. What comes later is not among them: it could go on for ever."""
    sequence, last = 1, await connection.during(_last(connection, stream), _doing(stream))
    while sequence <= last:
        found = await connection.during(_next(connection, stream, subject, sequence), _doing(stream))
        if found is None or (found.seq or 0) > last:
            return
        yield found
        sequence = (found.seq or sequence) + 1


async def count(connection: Connection, stream: str, subject: str) -> int:
    """How many messages ``stream`` has on ``subject``."""

    async def ask() -> int:
        try:
            info = await connection.js.stream_info(stream, subjects_filter=subject)
        except NotFoundError:
            return 0
        return sum((info.state.subjects or {}).values())

    return await connection.during(ask(), _doing(stream))


async def erase(connection: Connection, stream: str, sequence: int) -> None:
    """Delete a message and have the server write over it: one that was only deleted, or purged, stays in its file until
    the server happens to compact that (tried with nats-server 2.15). Harmless if it is gone."""

    async def ask() -> None:
        try:
            await connection.js.delete_msg(stream, sequence)
        except NotFoundError:
            return
        except NatsError:
            if await _next(connection, stream, ">", sequence, exactly=True) is not None:
                raise

    await connection.during(ask(), f"erasing from the stream {stream}", timeout=_ERASE_TIMEOUT)


async def _last(connection: Connection, stream: str) -> int:
    try:
        return (await connection.js.stream_info(stream)).state.last_seq
    except NotFoundError:
        return 0


async def _next(
    connection: Connection, stream: str, subject: str, sequence: int, *, exactly: bool = False
) -> RawStreamMsg | None:
    try:
        found = await connection.js.get_msg(stream, seq=sequence, subject=subject, next=True)
    except NotFoundError:
        return None
    return None if exactly and found.seq != sequence else found


def _doing(stream: str) -> str:
    return f"looking through the stream {stream}"
