"""The part of a channel that receives: from what the port heard to events stored by NATS.

The port is given new credit only for what NATS has stored: while NATS is away the port holds back, then whatsmeow, then
WhatsApp keeps what we don't take.
"""

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from actors.channel.context import Context
from actors.channel.inbox import Batch, Heard, Inbox
from protocol.bus import Publication
from protocol.errors import CallTimeoutError, PortGoneError
from protocol.events import EventMedia, EventReply, MessageEvent, ReceiptEvent, message_id
from protocol.interfaces import Failure, Port
from protocol.ledger import Sender
from protocol.port import Failed, FetchMedia, Inbound, MediaFetched, MediaReference, MessageReceived, ReceiptReceived
from protocol.subjects import EventKind
from supervisor.backoff import Backoff

PUBLISH_TIMEOUT_S: Final = 30.0

_BACKOFF: Final = Backoff(base_s=0.2, cap_s=10.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class ReceivingPolicy:
    """``from_me``: publish what the clinic's own phone sent. ``media_timeout_s``, ``media_limit`` (bytes): inbound
    media that takes longer or is larger is published with ``media.error``."""

    from_me: bool = False
    media_timeout_s: float = 30.0
    media_limit: int = 16 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Published:
    """A batch is stored by NATS, or not yet."""

    batch: Batch
    failure: Failure | None


@dataclass(frozen=True, slots=True)
class PublishDue:
    """Try a batch again."""

    batch: Batch


class Receiving:
    """Belongs to one channel's actor."""

    def __init__(self, context: Context, policy: ReceivingPolicy) -> None:
        self._context = context
        self._policy = policy
        self._inbox = Inbox()
        self._failures = 0
        self._out = 0

    @property
    def idle(self) -> bool:
        """Nothing waits and nothing is out."""
        return self._out == 0 and len(self._inbox) == 0

    @property
    def stuck(self) -> bool:
        """The last publication failed."""
        return self._failures > 0

    def take(self, event: Inbound, port: Port) -> None:
        """The port heard ``event``."""
        self._inbox.add(Heard(event, port))
        self._pump()

    def _pump(self) -> None:
        for batch in self._inbox.take():
            self._out += 1
            self._send_off(batch)

    def _send_off(self, batch: Batch) -> None:
        self._context.errand(
            _publish(self._context, self._policy, batch.heard),
            lambda outcome: Published(batch, Failure.of(outcome)),
            timeout=PUBLISH_TIMEOUT_S + self._policy.media_timeout_s,
        )

    def on_published(self, message: Published) -> None:
        """A batch came back."""
        if message.failure is None:
            self._failures = 0
            self._out -= 1
            self._inbox.done(message.batch)
            self._pump()
            return
        self._failures += 1
        delay = _BACKOFF.delay(self._failures, self._context.random)
        self._context.log.warning(
            "inbound not published yet", error=str(message.failure.error), retry_in_s=round(delay, 2)
        )
        name = f"publish-{id(message.batch)}"
        self._context.timer(name, delay, PublishDue(message.batch))

    def on_due(self, message: PublishDue) -> None:
        """The pause after a failure is over."""
        self._send_off(message.batch)


async def _publish(context: Context, policy: ReceivingPolicy, batch: Sequence[Heard]) -> None:
    """On the loop. May be repeated: NATS drops what it has by its id."""
    publications: list[Publication] = []
    senders = await _senders(context, [heard.event for heard in batch])
    for heard in batch:
        event = heard.event
        match event:
            case MessageReceived():
                if policy.from_me or not event.from_me:
                    media = await _media(context, policy, event, heard.port) if event.media is not None else None
                    publications.append(_message(context, event, media))
            case ReceiptReceived():
                publications += [_receipt(context, event, wa_id, senders.get(wa_id)) for wa_id in event.wa_ids]
    if publications:
        await context.bus.publish(publications)
    for port, count in Counter(heard.port for heard in batch).items():
        port.grant(count)


async def _senders(context: Context, events: Sequence[Inbound]) -> Mapping[str, Sender]:
    wa_ids = [wa_id for event in events if isinstance(event, ReceiptReceived) for wa_id in event.wa_ids]
    return await context.flights.senders(context.ledger, context.channel, wa_ids) if wa_ids else {}


async def _media(context: Context, policy: ReceivingPolicy, event: MessageReceived, port: Port) -> EventMedia:
    media = event.media
    assert media is not None
    if media.size > policy.media_limit:
        return _event_media(media, None, f"larger than {policy.media_limit} bytes")
    try:
        answer = await port.call(FetchMedia(reference=media.reference), deadline=policy.media_timeout_s)
    except (PortGoneError, CallTimeoutError) as error:
        return _event_media(media, None, str(error))
    match answer:
        case MediaFetched(data=data):
            name = hashlib.sha256(f"{context.channel}/{event.chat}/{event.wa_id}".encode()).hexdigest()
            await context.bus.put_media(name, data, mime=media.mime)
            return _event_media(media, name, None)
        case Failed(message=message):
            return _event_media(media, None, message)
        case _:
            return _event_media(media, None, "the port answered something else")


def _event_media(media: MediaReference, name: str | None, error: str | None) -> EventMedia:
    return EventMedia(
        object=name,
        mime=media.mime,
        size=media.size,
        sha256=media.sha256,
        filename=media.filename,
        caption=media.caption,
        error=error,
    )


def _message(context: Context, event: MessageReceived, media: EventMedia | None) -> Publication:
    body = MessageEvent(
        clinic=context.clinic,
        channel=context.channel,
        wa_id=event.wa_id,
        chat=event.chat,
        from_=event.sender,
        from_phone=event.sender_phone,
        from_lid=event.sender_lid,
        push_name=event.push_name,
        is_group=event.is_group,
        from_me=event.from_me,
        backlog=event.backlog,
        at=event.at,
        type=event.type,
        text=event.text,
        media=media,
        reply_to=EventReply(id=event.quote.wa_id, from_=event.quote.author) if event.quote else None,
        target=event.target,
        edited=event.edited,
        revoked=event.revoked,
        forwarded=event.forwarded,
    )
    return Publication(
        channel=context.channel,
        kind=EventKind.MESSAGE,
        event=body,
        message_id=message_id(context.channel, EventKind.MESSAGE, event.chat, event.wa_id),
        headers={},
    )


def _receipt(context: Context, event: ReceiptReceived, wa_id: str, sender: Sender | None) -> Publication:
    body = ReceiptEvent(
        clinic=context.clinic,
        channel=context.channel,
        wa_id=wa_id,
        id=sender.id if sender else None,
        type=event.kind,
        chat=event.chat,
        from_=event.sender,
        at=event.at,
        meta=sender.meta if sender else None,
    )
    return Publication(
        channel=context.channel,
        kind=EventKind.RECEIPT,
        event=body,
        message_id=message_id(context.channel, EventKind.RECEIPT, wa_id, event.kind, event.sender),
        headers=sender.headers if sender else {},
    )
