"""The child: one real neonize client, driven with lines of JSON over an inherited socket.

``python -m tests.integration.emulator.neonize_process FD ROOT_KEY_FILE DATABASE UUID``.  In: ``{"id", "call",
"arguments"}``; out: ``{"id", "result"}`` or ``{"id", "error"}``, and ``{"event", "data"}``.
"""

import base64
import ctypes
import json
import logging
import os
import socket
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pylibmagic  # noqa: F401 - brings the libmagic that neonize needs
from google.protobuf.json_format import MessageToDict
from neonize import events
from neonize.client import NewClient
from neonize.proto.waE2E.WAWebProtobufsE2E_pb2 import Message
from neonize.utils.enum import ReceiptType
from neonize.utils.jid import build_jid

from tests.emulator.root_key import put_root_key

_EVENTS = (
    "ClientOutdatedEv", "ConnectFailureEv", "ConnectedEv", "DisconnectedEv", "LoggedOutEv", "MessageEv",
    "OfflineSyncCompletedEv", "OfflineSyncPreviewEv", "PairStatusEv", "ReceiptEv", "StreamErrorEv",
    "StreamReplacedEv", "TemporaryBanEv", "UndecryptableMessageEv",
)  # fmt: skip
_STORE = "?_foreign_keys=on&_journal_mode=WAL&_synchronous=OFF&_busy_timeout=15000&z="


class WarningForwarder(logging.Handler):
    def __init__(self, forward: Callable[[str], None]) -> None:
        super().__init__(logging.WARNING)
        self._forward = forward

    def emit(self, record: logging.LogRecord) -> None:
        self._forward(record.getMessage())


class Child:
    def __init__(self, channel: socket.socket, database: str, uuid: str) -> None:
        self._channel, self._lock = channel, threading.Lock()
        self._images: dict[str, Any] = {}
        self.client = NewClient(database + _STORE, uuid=uuid)
        self.client.qr(lambda _client, data: self.emit("qr", data.decode()))
        self.client._NewClient__onLoginStatus = lambda _uuid, status: self.emit(
            "status", ctypes.string_at(status).decode()
        )
        for name in _EVENTS:
            self._subscribe(name)

    def _subscribe(self, name: str) -> None:
        def forward(_client: Any, message: Any) -> None:
            if name == "MessageEv" and message.Message.HasField("imageMessage"):
                self._images[message.Info.ID] = Message.FromString(message.Message.SerializeToString())
            self.emit(name.removesuffix("Ev"), MessageToDict(message))

        self.client.event(getattr(events, name))(forward)

    def forward_warnings(self) -> None:
        """Go's log lines arrive through Python's logging, from a thread of neonize's."""
        logging.getLogger().addHandler(WarningForwarder(lambda line: self.emit("log", line)))

    def write(self, line: dict[str, Any]) -> None:
        with self._lock:
            self._channel.sendall(json.dumps(line).encode() + b"\n")

    def emit(self, event: str, data: Any) -> None:
        self.write({"event": event, "data": data})

    def serve(self) -> None:
        with self._channel.makefile() as lines:
            for line in lines:
                threading.Thread(target=self._call, args=(json.loads(line),), daemon=True).start()

    def _call(self, call: dict[str, Any]) -> None:
        try:
            function: Callable[..., Any] = getattr(self, f"do_{call['call']}")
            self.write({"id": call["id"], "result": function(**call["arguments"])})
        except Exception as error:  # noqa: BLE001 - whatever it is, the parent wants to know
            self.write({"id": call["id"], "error": str(error) or repr(error)})

    def do_connect(self) -> None:
        self.client.connect()

    def do_pair_phone(self, phone: str) -> str:
        return str(self.client.PairPhone(phone, True))

    def do_send_text(self, to: str, text: str, server: str) -> str:
        sent = self.client.send_message(build_jid(to, server), Message(conversation=text))
        return str(sent.ID)

    def do_send_texts(self, to: str, texts: list[str]) -> list[str]:
        return [self.do_send_text(to, text, "s.whatsapp.net") for text in texts]

    def do_reply(self, to: str, text: str, about: str, about_text: str) -> str:
        message = Message()
        message.extendedTextMessage.text = text
        context = message.extendedTextMessage.contextInfo
        context.stanzaID, context.participant = about, f"{to}@s.whatsapp.net"
        context.quotedMessage.conversation = about_text
        return str(self.client.send_message(build_jid(to), message).ID)

    def do_react(self, to: str, emoji: str, about: str) -> str:
        message = Message()
        message.reactionMessage.key.ID = about
        message.reactionMessage.key.remoteJID = f"{to}@s.whatsapp.net"
        message.reactionMessage.key.fromMe = False
        message.reactionMessage.text = emoji
        return str(self.client.send_message(build_jid(to), message).ID)

    def do_send_image(self, to: str, image: str, caption: str) -> str:
        return str(self.client.send_image(build_jid(to), base64.b64decode(image), caption=caption).ID)

    def do_download(self, message_id: str) -> str:
        return base64.b64encode(self.client.download_any(self._images[message_id])).decode()

    def do_mark_read(self, contact_lid: str, message_id: str) -> None:
        chat = build_jid(contact_lid, "lid")
        self.client.mark_read(message_id, chat=chat, sender=chat, receipt=ReceiptType.READ)

    def do_is_on_whatsapp(self, phones: list[str]) -> list[bool]:
        return [bool(answer.IsIn) for answer in self.client.is_on_whatsapp(*phones)]

    def do_logout(self) -> None:
        self.client.logout()


def main() -> None:
    descriptor, root_key, database, uuid = sys.argv[1:]
    put_root_key(Path(root_key).read_bytes())
    child = Child(socket.socket(fileno=int(descriptor)), database, uuid)
    child.forward_warnings()
    child.emit("ready", "")
    child.serve()
    os._exit(0)


if __name__ == "__main__":
    main()
