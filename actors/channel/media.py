"""Media of inbound messages: from WhatsApp through a port into the Object Store. Runs on the loop."""

import hashlib
from typing import Final

from actors.channel.context import Context
from actors.channel.inbound import event_media
from protocol.errors import CallTimeoutError, InvalidInputError
from protocol.events import EventMedia
from protocol.interfaces import Port
from protocol.port import Failed, FetchMedia, MediaFetched
from protocol.port_events import MessageReceived

AT_ONCE: Final = 4
"""Media under way of one channel at most: each is whole in memory."""


async def fetch(context: Context, port: Port, message: MessageReceived, *, deadline: float, limit: int) -> EventMedia:
    """Store it, at most ``limit`` bytes, within ``deadline`` seconds for WhatsApp's part; what WhatsApp does not give,
    or the Object Store does not take, is said in ``error``.

    Raises:
        PortGoneError: another port may get it.
        BusUnavailableError: it is to be fetched again.
    """
    media = message.media
    assert media is not None
    if media.size > limit:
        return event_media(media, None, f"larger than {limit} bytes")
    try:
        answer = await port.call(FetchMedia(reference=media.reference), deadline=deadline)
    except CallTimeoutError as error:
        return event_media(media, None, str(error))
    match answer:
        case MediaFetched(data=data):
            name = hashlib.sha256(f"{context.channel}/{message.chat}/{message.wa_id}".encode()).hexdigest()
            try:
                await context.bus.put_media(name, data, mime=media.mime)
            except InvalidInputError as error:
                return event_media(media, None, str(error))
            return event_media(media, name, None)
        case Failed(message=why):
            return event_media(media, None, why)
        case _:
            return event_media(media, None, "the port answered something else")
