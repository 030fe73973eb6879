"""What NATS holds of a person, erased: message by message, in the clinic's streams and in the platform's.

Media that a message names goes before the message: so a kill in between leaves what says of it. Bodies are read one at
a time, and decoded without a type: what somebody else published counts as well. One that cannot be read is taken to be
about the person if it holds their digits.
"""

from base64 import b64decode, urlsafe_b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from nats.js.api import RawStreamMsg
from nats.js.errors import BadObjectMetaError, NotFoundError

from gateway.nats import scanning
from gateway.nats.accounts import MAX_PAYLOAD
from gateway.nats.bus import NatsBus
from gateway.nats.link import Connection
from gateway.nats.streams import MEDIA_STREAM
from protocol import subjects
from protocol.codec import decode_raw
from protocol.errors import InvalidBodyError
from protocol.ids import check_name
from protocol.jobs import Progress
from protocol.people import is_about, objects_of

_DEAD: Final = "body"
"""The field of a dead letter that holds the command."""
_TOLD_EVERY: Final = 100
"""Messages between two words on how far it is."""
_STREAMS: Final = (subjects.STREAM_EVENTS, subjects.STREAM_DEAD, subjects.STREAM_SEND)


@dataclass(frozen=True, slots=True)
class PeopleInStreams:
    """Implements ``protocol.erasing.Streams``."""

    bus: NatsBus

    async def erase_person(self, clinic: str, jids: frozenset[str], progress: Progress) -> Mapping[str, int | str]:
        """See ``Streams``."""
        mine = f"clinic.{check_name('clinic', clinic)}.>"
        async with self.bus.account(clinic) as connection:
            found = {stream: await _erase(connection, stream, mine, jids, progress) for stream in _STREAMS}
        async with self.bus.platform() as connection:
            platform = await _erase(connection, subjects.STREAM_EVENTS, mine, jids, progress, with_media=False)
        return {
            "events": found[subjects.STREAM_EVENTS].messages,
            "dead_letters": found[subjects.STREAM_DEAD].messages,
            "queued": found[subjects.STREAM_SEND].messages,
            "media": sum(erased.media for erased in found.values()),
            "platform_events": platform.messages,
        }


class _Erased(NamedTuple):
    """How many went."""

    messages: int
    media: int


async def _erase(
    connection: Connection,
    stream: str,
    subject: str,
    jids: frozenset[str],
    progress: Progress,
    *,
    with_media: bool = True,
) -> _Erased:
    seen = erased = media = 0
    total = await scanning.count(connection, stream, subject)
    async for message in scanning.scan(connection, stream, subject):
        body = read(message)
        if concerns(message, body, jids):
            for name in objects_of(body) if with_media else ():
                media += await _erase_object(connection, name)
            await scanning.erase(connection, stream, message.seq or 0)
            erased += 1
        seen += 1
        if seen % _TOLD_EVERY == 0:
            progress(f"stream {stream}", seen, max(total, seen))
    return _Erased(erased, media)


def read(message: RawStreamMsg) -> Any:
    """The body as builtins, a dead letter's with the command in it, which is text if it cannot be read; None if the
    whole cannot."""
    try:
        body = decode_raw(message.data or b"", limit=MAX_PAYLOAD)
    except InvalidBodyError:
        return None
    if isinstance(body, dict) and _DEAD in body:
        body[_DEAD] = _command(body[_DEAD])
    return body


def concerns(message: RawStreamMsg, body: Any, jids: frozenset[str]) -> bool:
    """Whether a message, whose body was read as ``body``, is about one of ``jids``."""
    if body is None:
        return _mentions((message.data or b"").decode("utf-8", "replace"), jids)
    unread = body.get(_DEAD) if isinstance(body, dict) else None
    return is_about(body, jids) or (isinstance(unread, str) and _mentions(unread, jids))


def _command(received: Any) -> Any:
    """What a dead letter holds: bytes in msgpack, base64 in JSON."""
    try:
        content = b64decode(received, validate=True) if isinstance(received, str) else received
    except ValueError:
        return received
    if not isinstance(content, bytes):
        return content
    try:
        return decode_raw(content)
    except InvalidBodyError:
        return content.decode("utf-8", "replace")


def _mentions(text: str, jids: frozenset[str]) -> bool:
    return any(jid.partition("@")[0] in text for jid in jids)


async def _erase_object(connection: Connection, name: str) -> bool:
    """Its chunks first: while there is a description, it can be asked for again. Whether there was one; of one that
    nobody can read, the chunks are not known (they expire)."""

    async def look() -> str | None:
        try:
            store = await connection.js.object_store(subjects.MEDIA_BUCKET)
            return (await store.get_info(name, show_deleted=True)).nuid or ""
        except NotFoundError:
            return None
        except BadObjectMetaError:
            return ""

    nuid = await connection.during(look(), "looking for media")
    if nuid is None:
        return False
    if nuid.isalnum():
        await _erase_all(connection, f"$O.{subjects.MEDIA_BUCKET}.C.{nuid}")
    encoded = urlsafe_b64encode(name.encode()).decode()
    await _erase_all(connection, f"$O.{subjects.MEDIA_BUCKET}.M.{encoded}")
    return True


async def _erase_all(connection: Connection, subject: str) -> None:
    async for chunk in scanning.scan(connection, MEDIA_STREAM, subject):
        await scanning.erase(connection, MEDIA_STREAM, chunk.seq or 0)
