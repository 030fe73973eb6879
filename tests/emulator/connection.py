"""A client's connection: WebSocket, frames, Noise; stanzas to and from the handlers.

The only place where the model's :class:`~tests.emulator.clients.Link` meets a socket.
"""

import asyncio
import contextlib
import socket
import struct
import traceback
from collections import deque
from collections.abc import Callable

from cryptography.exceptions import InvalidTag

from tests.emulator import websocket
from tests.emulator.binary import Codec, DecodeError, Node
from tests.emulator.certificates import NoiseAuthority
from tests.emulator.clients import Client
from tests.emulator.faults import HandshakeLie, Moment
from tests.emulator.handlers import handle
from tests.emulator.handlers.login import arrive, depart
from tests.emulator.noise import PROLOGUE, Greeting, HandshakeError, Responder
from tests.emulator.websocket import Opcode, WebSocketError
from tests.emulator.world import World

_CHUNK = 1 << 16
_UNTIL_ABORTED = 1.0
_GARBAGE = b"\xff" * 40


class ConnectionEnded(Exception):  # noqa: N818 - an ending, not an error
    """The other side closed."""


class Wire:
    """Frames over a WebSocket.  Each frame goes whole into one message: the client miscounts split ones."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer
        self._messages = websocket.Reader()
        self._bytes = bytearray()
        self._out: list[bytes] = []
        self._waiting = False
        self.open = True

    async def prologue(self) -> bytes:
        """The bytes before the first frame."""
        while len(self._bytes) < len(PROLOGUE):
            await self._receive()
        prologue = bytes(self._bytes[: len(PROLOGUE)])
        del self._bytes[: len(PROLOGUE)]
        return prologue

    async def frame(self) -> bytes:
        """The next frame's payload; ConnectionEnded or an OSError when there is none."""
        data = self._bytes
        while len(data) < 3 or len(data) < 3 + int.from_bytes(data[:3]):
            await self._receive()
        end = 3 + int.from_bytes(data[:3])
        frame = bytes(data[3:end])
        del data[:end]
        return frame

    def write(self, payload: bytes) -> None:
        """Queue a frame; what is queued while a chunk is worked on, or in one turn of the loop, leaves together."""
        self._write(Opcode.BINARY, len(payload).to_bytes(3) + payload)

    def _write(self, opcode: Opcode, payload: bytes) -> None:
        if not self.open:
            return
        if self._waiting and not self._out:
            asyncio.get_running_loop().call_soon(self.flush)
        self._out.append(websocket.encode(opcode, payload))

    def flush(self) -> None:
        if self._out and self.open:
            with contextlib.suppress(OSError, RuntimeError):
                self._writer.write(b"".join(self._out))
        self._out.clear()

    async def _receive(self) -> None:
        self.flush()
        self._waiting = True
        await self._writer.drain()
        chunk = await self._reader.read(_CHUNK)
        self._waiting = False
        if not chunk:
            raise ConnectionEnded
        for opcode, payload in self._messages.feed(chunk):
            if opcode is Opcode.CLOSE:
                self._write(Opcode.CLOSE, payload)
                raise ConnectionEnded
            if opcode is Opcode.PING:
                self._write(Opcode.PONG, payload)
            elif opcode is not Opcode.PONG:
                self._bytes += payload

    def close(self) -> None:
        """FIN, after what is queued; a client that does not close its side gets an RST a second later."""
        self.flush()
        if self.open:
            self.open = False
            with contextlib.suppress(OSError, RuntimeError):
                self._writer.close()
            asyncio.get_running_loop().call_later(_UNTIL_ABORTED, self._writer.transport.abort)

    def reset(self) -> None:
        """RST."""
        self.open = False
        self._out.clear()
        raw = self._writer.get_extra_info("socket")
        if raw is not None:
            with contextlib.suppress(OSError):
                raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._writer.transport.abort()


class SealedLink:
    """A wire after the handshake."""

    def __init__(self, wire: Wire, greeting: Greeting, codec: Codec) -> None:
        self._wire, self._greeting, self._codec = wire, greeting, codec
        self._late: deque[tuple[float, bytes]] = deque()

    def send(self, node: Node, delay: float, second: float | None = None) -> None:
        frame = self._codec.encode(node)
        if not delay and second is None and not self._late:
            self._transmit(frame)
            return
        loop = asyncio.get_running_loop()
        due = max(loop.time() + delay, self._late[-1][0] if self._late else 0.0)
        if second is not None:
            due += len(frame) / second
        self._late.append((due, frame))
        if len(self._late) == 1:
            loop.call_at(due, self._send_late)

    def _send_late(self) -> None:
        loop = asyncio.get_running_loop()
        while self._late and self._late[0][0] <= loop.time():
            self._transmit(self._late.popleft()[1])
        if self._late:
            loop.call_at(self._late[0][0], self._send_late)

    def _transmit(self, frame: bytes) -> None:
        if self._wire.open:
            self._wire.write(self._greeting.sending.encrypt(frame))

    async def receive(self) -> Node:
        return self._codec.decode(self._greeting.receiving.decrypt(await self._wire.frame()))

    def close(self) -> None:
        self._wire.close()

    def reset(self) -> None:
        self._wire.reset()


async def serve(world: World, authority: NoiseAuthority, codec: Codec, wire: Wire, log: Callable[[str], None]) -> None:
    """Serve one upgraded connection until it ends; it raises nothing but cancellation."""
    client: Client | None = None
    try:
        greeting = await _shake_hands(world, authority, wire)
        if greeting is None:
            return
        link = SealedLink(wire, greeting, codec)
        client = Client(world, link)
        arrive(client, greeting.payload)
        while wire.open:
            stanza = await link.receive()
            try:
                handle(client, stanza)
            except Exception:  # noqa: BLE001 - a stanza that cannot be handled must not end the connection
                log(f"{client.phone or 'a new client'} sent <{stanza.tag}>: {traceback.format_exc()}")
    except (ConnectionEnded, OSError, EOFError):
        pass
    except (HandshakeError, WebSocketError, DecodeError, InvalidTag) as error:
        log(f"a client broke the protocol: {error!r}")
    finally:
        wire.close()
        if client is not None:
            depart(client)


async def _shake_hands(world: World, authority: NoiseAuthority, wire: Wire) -> Greeting | None:
    """The handshake, honest or not; None if a lie ended it."""
    prologue = await wire.prologue()
    fault = world.faults.strike(Moment.HANDSHAKE)
    lie = fault.lie if isinstance(fault, HandshakeLie) else ""
    hello = await wire.frame()
    certificate = authority.chain(world.clock())
    match lie:
        case "wrong_root":
            certificate = authority.chain_of_another_root(world.clock())
        case "bad_certificate":
            certificate = authority.chain_with_bad_leaf(world.clock())
        case "close":
            return None
        case "silent" | "garbage":
            if lie == "garbage":
                wire.write(_GARBAGE)
            while True:
                await wire.frame()
    responder = Responder(prologue, authority.static, certificate)
    wire.write(responder.answer(hello))
    return responder.finish(await wire.frame())
