"""What ports hear, for tests."""

from typing import Any

from actors.channel.inbox import Item
from protocol.inbound import Inbound
from protocol.port_events import MediaReference, MessageReceived, ReceiptReceived, Undecryptable
from tests.fakes.scripted_port import AT

CHAT = "5511988887777@s.whatsapp.net"


def image(size: int = 100) -> MediaReference:
    return MediaReference(
        kind="image",
        mime="image/jpeg",
        size=size,
        sha256="ab" * 32,
        filename=None,
        caption="Exame",
        reference=b"reference",
    )


def message(wa_id: str, chat: str = CHAT, *, media: bool | MediaReference = False, **fields: Any) -> MessageReceived:
    reference = (image() if media else None) if isinstance(media, bool) else media
    known: dict[str, Any] = {
        "sender": chat,
        "sender_phone": None,
        "sender_lid": None,
        "push_name": None,
        "is_group": False,
        "from_me": False,
        "backlog": False,
        "at": AT,
        "type": "image" if reference else "text",
        "text": None if reference else "Bom dia",
    }
    return MessageReceived(wa_id=wa_id, chat=chat, media=reference, **(known | fields))


def receipt(*wa_ids: str, chat: str = CHAT, kind: Any = "delivered") -> ReceiptReceived:
    return ReceiptReceived(wa_ids=list(wa_ids), chat=chat, sender=chat, kind=kind, at=AT)


def undecryptable(wa_id: str, chat: str = CHAT, sender: str | None = None) -> Undecryptable:
    return Undecryptable(wa_id=wa_id, chat=chat, sender=sender or chat, at=AT)


def item(seq: int, what: Inbound) -> Item:
    return Item(seq, f"key-{seq}", what, AT)
