"""The child: one bare neonize client, as anyone would write it, and nothing of Plantão.

``python -m tests.bench.raw_process FD ROOT_KEY_FILE STORE``: lines of JSON over an inherited socket. In:
``{"send": [[to, text], …]}`` sends one after another; ``{"collect": n}`` waits until ``n`` messages have come in. Out:
``{"qr"}``, ``{"connected"}``, ``{"sent": [[begun, ended], …]}``, ``{"received": [[text, at], …]}``. Times are monotonic
seconds, which all processes of a machine share.
"""

import json
import os
import socket
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pylibmagic  # noqa: F401 - brings the libmagic that neonize needs
from neonize.client import NewClient
from neonize.events import ConnectedEv, MessageEv
from neonize.proto.waE2E.WAWebProtobufsE2E_pb2 import Message
from neonize.utils.jid import build_jid

from tests.emulator.root_key import put_root_key

_SECRET = 32


class RawClient:
    """Callbacks run on neonize's thread, sends on the main one."""

    def __init__(self, channel: socket.socket, store: str) -> None:
        self._channel = channel
        self._writing = threading.Lock()
        self._received: list[tuple[str, float]] = []
        self._arrived = threading.Condition()
        self._client = NewClient(store, uuid="raw")
        self._client.qr(self._on_qr)
        self._client.event(ConnectedEv)(self._on_connected)
        self._client.event(MessageEv)(self._on_message)

    def serve(self) -> None:
        """Connect, and do as told until the other end is closed."""
        threading.Thread(target=self._client.connect, daemon=True).start()
        with self._channel.makefile() as lines:
            for line in lines:
                match json.loads(line):
                    case {"send": messages}:
                        self._write({"sent": self._send(messages)})
                    case {"collect": count}:
                        self._write({"received": self._collect(count)})

    def _send(self, messages: list[tuple[str, str]]) -> list[tuple[float, float]]:
        """The bare loop. The messages are those that a port sends: plain text, with a message secret."""
        times = []
        for to, text in messages:
            begun = time.monotonic()
            message = Message(conversation=text)
            message.messageContextInfo.messageSecret = os.urandom(_SECRET)
            self._client.send_message(build_jid(to), message)
            times.append((begun, time.monotonic()))
        return times

    def _collect(self, count: int) -> list[tuple[str, float]]:
        with self._arrived:
            self._arrived.wait_for(lambda: len(self._received) >= count)
            received, self._received = self._received, []
        return received

    def _on_qr(self, _: Any, code: bytes) -> None:
        self._write({"qr": code.decode()})

    def _on_connected(self, _: Any, _event: Any) -> None:
        at = time.monotonic()
        self._client.set_force_activate_delivery_receipts(True)
        self._write({"connected": at})

    def _on_message(self, _: Any, event: Any) -> None:
        at = time.monotonic()
        with self._arrived:
            self._received.append((event.Message.conversation, at))
            self._arrived.notify_all()

    def _write(self, line: dict[str, Any]) -> None:
        with self._writing:
            self._channel.sendall(json.dumps(line).encode() + b"\n")


def main() -> None:
    """Never returns: a normal exit would wait for neonize's thread for ever."""
    descriptor, root_key, store = sys.argv[1:]
    put_root_key(Path(root_key).read_bytes())
    try:
        RawClient(socket.socket(fileno=int(descriptor)), store).serve()
    finally:
        os._exit(0)


if __name__ == "__main__":
    main()
