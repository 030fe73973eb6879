"""What came in, as the ledger claims it and as NATS is told of it: pure translations.

The key of a claim is the same whenever the same thing comes again. A message that could not be decrypted has one of its
own: when its sender sends it again, and it can be, that is another event.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Final, assert_never

from actors.channel.inbox import Item
from actors.channel.optout import OptOut
from protocol.bus import Publication
from protocol.events import EventMedia, EventReply, MessageEvent, ReceiptEvent, message_id
from protocol.inbound import Claim, Inbound
from protocol.ledger import Receipt, Sender
from protocol.port_events import MediaReference, MessageReceived, ReceiptReceived, Undecryptable
from protocol.subjects import EventKind

UNDECRYPTABLE: Final = "undecryptable"
"""The ``type`` of the event of a message that could not be decrypted."""

_GROUP: Final = "@g.us"


def message_key(channel: str, chat: str, wa_id: str) -> str:
    """The key of an inbound message, and its ``Nats-Msg-Id``."""
    return message_id(channel, EventKind.MESSAGE, chat, wa_id)


def key_of(channel: str, what: Inbound) -> str:
    """The key to claim ``what`` under."""
    match what:
        case MessageReceived():
            return message_key(channel, what.chat, what.wa_id)
        case Undecryptable():
            return message_id(channel, UNDECRYPTABLE, what.chat, what.wa_id)
        case ReceiptReceived():
            return message_id(channel, EventKind.RECEIPT, what.kind, what.sender, *what.wa_ids)
        case _:
            assert_never(what)


def claim_of(channel: str, what: Inbound, optout: OptOut) -> Claim:
    """The claim for ``what``."""
    return Claim(key=key_of(channel, what), what=what, people=people_of(what), opted_out=opted_out(what, optout))


def opted_out(what: Inbound, optout: OptOut) -> bool | None:
    """What a person says to us of being written to: see ``Claim``."""
    return optout.said(what.text) if isinstance(what, MessageReceived) and people_of(what) else None


def people_of(what: Inbound) -> tuple[str, ...]:
    """The JIDs of who wrote to us, by phone number and LID as far as they are known.

    Nobody for what was said in a group (who speaks there has not turned to the clinic), for what the clinic's own phone
    sent, and for receipts.
    """
    match what:
        case MessageReceived(is_group=False, from_me=False):
            phone = f"{what.sender_phone}@s.whatsapp.net" if what.sender_phone else None
            return tuple(dict.fromkeys(jid for jid in (what.sender, phone, what.sender_lid) if jid))
        case Undecryptable(chat=chat, sender=sender) if chat == sender:
            return (sender,)
        case _:
            return ()


def receipts_of(what: Inbound) -> list[Receipt]:
    """What a receipt says of each message."""
    if not isinstance(what, ReceiptReceived):
        return []
    return [Receipt(wa_id=wa_id, kind=what.kind, at=what.at) for wa_id in what.wa_ids]


def event_media(media: MediaReference, name: str | None, error: str | None) -> EventMedia:
    """Media that is in the Object Store under ``name``, or is not because of ``error``."""
    return EventMedia(
        object=name,
        mime=media.mime,
        size=media.size,
        sha256=media.sha256,
        filename=media.filename,
        caption=media.caption,
        error=error,
    )


class Teller:
    """Makes the publications of one channel."""

    def __init__(self, clinic: str, channel: str) -> None:
        self._clinic = clinic
        self._channel = channel

    def publications(
        self,
        item: Item,
        *,
        senders: Mapping[str, Sender],
        optout: OptOut,
        media: EventMedia | None,
    ) -> list[Publication]:
        """The events that ``item`` is told by; a message has its claim's key for its id."""
        what, since = item.what, item.at if item.tried else None
        match what:
            case MessageReceived():
                return [self._message(item.key, self._received(what, optout, media), since)]
            case Undecryptable():
                return [self._message(item.key, self._undecryptable(what), since)]
            case ReceiptReceived():
                return [self._receipt(what, wa_id, senders.get(wa_id), since) for wa_id in what.wa_ids]
            case _:
                assert_never(what)

    def _received(self, what: MessageReceived, optout: OptOut, media: EventMedia | None) -> MessageEvent:
        return MessageEvent(
            clinic=self._clinic,
            channel=self._channel,
            wa_id=what.wa_id,
            chat=what.chat,
            from_=what.sender,
            from_phone=what.sender_phone,
            from_lid=what.sender_lid,
            push_name=what.push_name,
            is_group=what.is_group,
            from_me=what.from_me,
            backlog=what.backlog,
            at=what.at,
            type=what.type,
            text=what.text,
            media=media,
            reply_to=EventReply(id=what.quote.wa_id, from_=what.quote.author) if what.quote else None,
            target=what.target,
            edited=what.edited,
            revoked=what.revoked,
            forwarded=what.forwarded,
            opted_out=opted_out(what, optout),
        )

    def _undecryptable(self, what: Undecryptable) -> MessageEvent:
        return MessageEvent(
            clinic=self._clinic,
            channel=self._channel,
            wa_id=what.wa_id,
            chat=what.chat,
            from_=what.sender,
            from_phone=None,
            from_lid=None,
            push_name=None,
            is_group=what.chat.endswith(_GROUP),
            from_me=False,
            backlog=False,
            at=what.at,
            type=UNDECRYPTABLE,
        )

    def _message(self, key: str, event: MessageEvent, since: datetime | None) -> Publication:
        return Publication(
            channel=self._channel,
            kind=EventKind.MESSAGE,
            event=event,
            message_id=key,
            headers={},
            since=since,
        )

    def _receipt(self, what: ReceiptReceived, wa_id: str, sender: Sender | None, since: datetime | None) -> Publication:
        event = ReceiptEvent(
            clinic=self._clinic,
            channel=self._channel,
            wa_id=wa_id,
            id=sender.id if sender else None,
            type=what.kind,
            chat=what.chat,
            from_=what.sender,
            at=what.at,
            meta=sender.meta if sender else None,
        )
        return Publication(
            channel=self._channel,
            kind=EventKind.RECEIPT,
            event=event,
            message_id=message_id(self._channel, EventKind.RECEIPT, wa_id, what.kind, what.sender),
            headers=sender.headers if sender else {},
            since=since,
        )
