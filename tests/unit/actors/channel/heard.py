"""What ports hear, for tests."""

from typing import Any

from actors.channel.inbox import Heard
from protocol.interfaces import Port
from protocol.port import Inbound, MediaReference, MessageReceived, ReceiptReceived
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


def heard(event: Inbound, port: Port | None = None) -> Heard:
    return Heard(event, port or _Nobody())


class _Nobody:
    """Stands for a port where none is asked anything."""

    pid = 1
    incarnation = 1

    async def call(self, request: Any, *, deadline: float) -> Any:
        raise AssertionError("nobody is asked")

    def grant(self, count: int) -> None:
        raise AssertionError("nobody is given credit")

    async def stop(self, *, timeout: float) -> None:
        raise AssertionError("nobody is stopped")

    def kill(self, reason: str) -> None:
        raise AssertionError("nobody is killed")
