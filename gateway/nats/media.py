"""Media in a clinic's Object Store."""

import base64
import hashlib
from typing import Final

from nats.js import JetStreamContext
from nats.js.api import ObjectMeta, ObjectMetaOptions
from nats.js.errors import APIError, ObjectNotFoundError
from nats.js.errors import NotFoundError as NoSuchObject

from gateway.nats.streams import MEDIA_STREAM
from gateway.nats.translate import NO_ROOM
from protocol import subjects
from protocol.errors import InvalidInputError, NotFoundError

_CHUNK: Final = 128 * 1024


async def put(js: JetStreamContext, name: str, data: bytes, mime: str) -> None:
    """Store ``data`` under ``name``, in place of what was there. Raises the client library's errors, and

    Raises:
        InvalidInputError: there is no room; nothing is left of it.
    """
    store = await js.object_store(subjects.MEDIA_BUCKET)
    meta = ObjectMeta(
        name=name,
        headers={subjects.HEADER_CONTENT_TYPE: [mime]},
        options=ObjectMetaOptions(max_chunk_size=_CHUNK),
    )
    try:
        await store.put(name, data, meta)
    except APIError as error:
        if error.err_code in NO_ROOM:
            raise InvalidInputError("media", "room in the clinic's media store, which is full") from error
        raise


async def get(js: JetStreamContext, name: str, limit: int) -> bytes:
    """What is stored under ``name``.

    Read chunk by chunk, because the size that its description gives is its author's word. Raises the client library's
    errors, and

    Raises:
        NotFoundError: there is no such object, or not all of it.
        InvalidInputError: it is larger than ``limit`` bytes, a link, or not what its description says.
    """
    store = await js.object_store(subjects.MEDIA_BUCKET)
    try:
        info = await store.get_info(name)
    except (ObjectNotFoundError, NoSuchObject) as error:
        raise NotFoundError("media.object") from error
    if info.is_link() or not info.nuid or not info.nuid.isalnum():
        raise InvalidInputError("media.object", "an object, not a link")
    if (info.size or 0) > limit:
        raise _too_large(limit)
    data = await _chunks(js, info.nuid, info.chunks or 0, limit)
    if len(data) != (info.size or 0) or not _matches(data, info.digest):
        raise InvalidInputError("media.object", "an object whose content is what its size and digest say")
    return data


async def _chunks(js: JetStreamContext, nuid: str, count: int, limit: int) -> bytes:
    subject = f"$O.{subjects.MEDIA_BUCKET}.C.{nuid}"
    data = bytearray()
    sequence = 1
    for _ in range(count):
        try:
            chunk = await js.get_msg(MEDIA_STREAM, seq=sequence, subject=subject, direct=True, next=True)
        except NoSuchObject as error:
            raise NotFoundError("media.object") from error
        data += chunk.data or b""
        if len(data) > limit:
            raise _too_large(limit)
        sequence = (chunk.seq or 0) + 1
    return bytes(data)


def _too_large(limit: int) -> InvalidInputError:
    return InvalidInputError("media.object", f"at most {limit} bytes")


def _matches(data: bytes, digest: str | None) -> bool:
    said = (digest or "").partition("=")[2].rstrip("=")
    return base64.urlsafe_b64encode(hashlib.sha256(data).digest()).decode().rstrip("=") == said
