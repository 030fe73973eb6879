"""Binary XML: the nodes WhatsApp's client and server exchange, and their bytes.

Two laws: what :func:`encode` writes, :func:`decode` reads back equal (attributes that are empty are dropped, as
the client does); whatever bytes come in, :func:`decode` returns a node or raises :class:`DecodeError`.
"""

import re
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from tests.emulator.tokens import FIRST_DICTIONARY_TAG, Tokens, installed_tokens

USER_SERVER = "s.whatsapp.net"
LID_SERVER = "lid"

_LIST_EMPTY, _DEVICE_JID, _LIST_8, _LIST_16, _JID_PAIR, _HEX, _BYTES_8, _BYTES_20, _BYTES_32, _NIBBLE = (
    0, 247, 248, 249, 250, 251, 252, 253, 254, 255,
)  # fmt: skip
_DOMAINS = {USER_SERVER: 0, LID_SERVER: 1, "hosted": 128, "hosted.lid": 129}
_SERVERS = {domain: server for server, domain in _DOMAINS.items()}
_PACKABLE = {_NIBBLE: re.compile(r"[0-9.-]{1,127}"), _HEX: re.compile(r"[0-9A-F]{1,127}")}
"""What fits into half bytes, by the tag that says so."""
_TO_HEX = str.maketrans("-.", "ab")
_FROM_HEX = {_NIBBLE: str.maketrans("ab", "-."), _HEX: str.maketrans("abcdef", "ABCDEF")}
_DEEPEST = 64
_LARGEST = 1 << 24
_COMPRESSED = 2


class DecodeError(ValueError):
    """The bytes are not a node."""


class JID(NamedTuple):
    """An address: ``user`` may be empty (a server), ``device`` 0 is the phone itself."""

    user: str
    server: str
    device: int = 0

    @classmethod
    def parse(cls, text: str) -> "JID":
        """From ``user:device@server``, ``user@server`` or ``server``; ValueError if the device is no number."""
        name, at, server = text.rpartition("@")
        user, _, device = name.partition(":")
        return cls(user, server, int(device or 0)) if at else cls("", text)

    @property
    def bare(self) -> "JID":
        return self if self.device == 0 else JID(self.user, self.server)

    def __str__(self) -> str:
        if not self.user:
            return self.server
        device = f":{self.device}" if self.device else ""
        return f"{self.user}{device}@{self.server}"


Value = str | JID
SERVER = JID("", USER_SERVER)


@dataclass(slots=True)
class Node:
    """A tag with attributes and either children or bytes."""

    tag: str
    attrs: Mapping[str, Value] = field(default_factory=dict)
    content: "list[Node] | bytes | None" = None

    @property
    def children(self) -> "list[Node]":
        return self.content if isinstance(self.content, list) else []

    @property
    def data(self) -> bytes:
        return self.content if isinstance(self.content, bytes) else b""

    def child(self, *path: str) -> "Node | None":
        """The first descendant along ``path`` of tags."""
        node: Node | None = self
        for tag in path:
            node = next((child for child in node.children if child.tag == tag), None) if node else None
        return node

    def get(self, name: str) -> str:
        """The attribute as text; empty if absent."""
        return str(self.attrs.get(name, ""))

    def jid(self, name: str) -> JID | None:
        """The attribute if it is an address."""
        value = self.attrs.get(name)
        return value if isinstance(value, JID) else None


class Codec:
    """Encodes and decodes with one set of dictionaries."""

    def __init__(self, tokens: Tokens) -> None:
        self.tokens = tokens
        self._written = {
            text: bytes([FIRST_DICTIONARY_TAG + dictionary, index])
            for dictionary, texts in enumerate(tokens.double)
            for index, text in enumerate(texts)
        }
        self._written |= {text: bytes([tag]) for tag, text in enumerate(tokens.single) if text}

    def encode(self, node: Node) -> bytes:
        """The flag byte (never compressed) and the node; ValueError for an address that has no bytes."""
        return b"\0" + self._node(node)

    def decode(self, data: bytes) -> Node:
        if not data:
            raise DecodeError("no flag byte")
        body = _inflate(data[1:]) if data[0] & _COMPRESSED else data[1:]
        reader = _Reader(body, self.tokens)
        try:
            node = reader.node(0)
        except (IndexError, KeyError, UnicodeDecodeError) as error:
            raise DecodeError(f"not a node: {error!r}") from error
        if reader.at != len(body):
            raise DecodeError(f"{len(body) - reader.at} bytes after the node")
        return node

    def _node(self, node: Node) -> bytes:
        attrs = {name: value for name, value in node.attrs.items() if value != ""}
        content = node.content if node.content != [] else None
        parts = [_list_size(2 * len(attrs) + 1 + (content is not None)), self._text(node.tag)]
        for name, value in attrs.items():
            parts += self._text(name), self._jid(value) if isinstance(value, JID) else self._text(value)
        if isinstance(content, bytes):
            parts += _sized(content), content
        elif content is not None:
            parts.append(_list_size(len(content)))
            parts += map(self._node, content)
        return b"".join(parts)

    def _jid(self, jid: JID) -> bytes:
        if jid.device or jid.server.startswith("hosted"):
            if jid.server not in _DOMAINS or not 0 <= jid.device < 256:
                raise ValueError(f"{jid} cannot be written: no such device address")
            return bytes([_DEVICE_JID, _DOMAINS[jid.server], jid.device]) + self._text(jid.user)
        user = self._text(jid.user) if jid.user else b"\0"
        return bytes([_JID_PAIR]) + user + self._text(jid.server)

    def _text(self, text: str) -> bytes:
        written = self._written.get(text)
        if written is not None:
            return written
        for tag, packable in _PACKABLE.items():
            if packable.fullmatch(text):
                return _pack(tag, text)
        raw = text.encode()
        return _sized(raw) + raw


class _Reader:
    """One pass over one node's bytes; IndexError means they ended too early."""

    __slots__ = ("_data", "_tokens", "at")

    def __init__(self, data: bytes, tokens: Tokens) -> None:
        self._data, self._tokens, self.at = data, tokens, 0

    def node(self, depth: int) -> Node:
        if depth > _DEEPEST:
            raise DecodeError("nested too deeply")
        size = self._size(self._byte())
        if size == 0:
            raise DecodeError("a node without a tag")
        tag = self._name()
        attrs: dict[str, Value] = {}
        for _ in range((size - 1) >> 1):
            name = self._name()
            attrs[name] = self._value(self._byte())
        return Node(tag, attrs, self._content(depth) if size % 2 == 0 else None)

    def _content(self, depth: int) -> list[Node] | bytes | None:
        tag = self._byte()
        if tag == _LIST_EMPTY:
            return None
        if tag in (_LIST_8, _LIST_16):
            return [self.node(depth + 1) for _ in range(self._size(tag))]
        if tag in (_BYTES_8, _BYTES_20, _BYTES_32):
            return self._sized(tag)
        return str(self._value(tag)).encode()

    def _name(self) -> str:
        value = self._value(self._byte())
        if isinstance(value, JID) or not value:
            raise DecodeError("a tag or attribute name must be a text")
        return value

    def _value(self, tag: int) -> Value:
        if tag < FIRST_DICTIONARY_TAG:
            return self._tokens.single[tag]
        if tag < FIRST_DICTIONARY_TAG + 4:
            return self._tokens.double[tag - FIRST_DICTIONARY_TAG][self._byte()]
        if tag in (_BYTES_8, _BYTES_20, _BYTES_32):
            return self._sized(tag).decode()
        if tag == _JID_PAIR:
            return JID(self._text(), self._text())
        if tag == _DEVICE_JID:
            domain, device = self._byte(), self._byte()
            return JID(self._text(), _SERVERS[domain], device)
        if tag in _PACKABLE:
            return self._packed(tag)
        raise DecodeError(f"no value has tag {tag}")

    def _text(self) -> str:
        tag = self._byte()
        value = self._value(tag)
        if isinstance(value, JID):
            raise DecodeError("an address inside an address")
        return value

    def _packed(self, tag: int) -> str:
        head = self._byte()
        halves = self._take(head & 127).hex()
        text = (halves[:-1] if head & 128 else halves).translate(_FROM_HEX[tag])
        if text and not _PACKABLE[tag].fullmatch(text):
            raise DecodeError("half bytes that stand for nothing")
        return text

    def _size(self, tag: int) -> int:
        if tag == _LIST_EMPTY:
            return 0
        if tag == _LIST_8:
            return self._byte()
        if tag == _LIST_16:
            return int.from_bytes(self._take(2))
        raise DecodeError(f"tag {tag} where a list was expected")

    def _sized(self, tag: int) -> bytes:
        if tag == _BYTES_8:
            return self._take(self._byte())
        if tag == _BYTES_20:
            return self._take(int.from_bytes(self._take(3)) & 0xFFFFF)
        return self._take(int.from_bytes(self._take(4)))

    def _byte(self) -> int:
        byte = self._data[self.at]
        self.at += 1
        return byte

    def _take(self, count: int) -> bytes:
        end = self.at + count
        if end > len(self._data):
            raise DecodeError("cut off")
        taken = self._data[self.at : end]
        self.at = end
        return taken


def _list_size(size: int) -> bytes:
    return bytes([_LIST_8, size]) if size < 256 else bytes([_LIST_16]) + size.to_bytes(2)


def _sized(raw: bytes) -> bytes:
    length = len(raw)
    if length < 256:
        return bytes([_BYTES_8, length])
    return bytes([_BYTES_20]) + length.to_bytes(3) if length < 1 << 20 else bytes([_BYTES_32]) + length.to_bytes(4)


def _pack(tag: int, text: str) -> bytes:
    odd = len(text) % 2
    pairs = bytes.fromhex(text.translate(_TO_HEX) + "f" * odd)
    return bytes([tag, len(pairs) | odd << 7]) + pairs


def _inflate(data: bytes) -> bytes:
    inflater = zlib.decompressobj()
    try:
        body = inflater.decompress(data, _LARGEST)
    except zlib.error as error:
        raise DecodeError(f"not zlib: {error}") from error
    if inflater.unconsumed_tail or not inflater.eof:
        raise DecodeError("cut off or larger than any frame")
    return body


def installed_codec() -> Codec:
    """A codec with the dictionaries of the installed neonize."""
    return Codec(installed_tokens())
