"""The words of the NATS protocol that are written and read here, byte by byte; pure.

The client library has them all. Those that come with every command and every event are spelled here because there they
cost several times as much: a task, a future, a regular expression and an object each.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Final

_VERSION: Final = "NATS/1.0"
_LINE_ENDS: Final = str.maketrans("\r\n", "  ")
_DOMAINLESS: Final = 9
"""Tokens of a delivery's reply subject where it names no domain: ``$JS ACK stream consumer deliveries sequence …``."""
_DOMAIN: Final = 2
"""Tokens that it has before ``stream`` where it does name one."""

ACK: Final = b"+ACK"
NAK: Final = b"-NAK"


def header_block(headers: Mapping[str, str]) -> bytes:
    """``headers`` as they stand before a body. A line end in a value becomes a space; names are the caller's own."""
    if not "".join(headers.values()).isprintable():
        headers = {name: value.translate(_LINE_ENDS) for name, value in headers.items()}
    lines = "".join([f"{name}: {value}\r\n" for name, value in headers.items()])
    return f"{_VERSION}\r\n{lines}\r\n".encode()


def publish(subject: str, reply: str, block: bytes, body: bytes) -> bytes:
    """A message with headers (``header_block``), which asks for an answer at ``reply``."""
    sizes = f"HPUB {subject} {reply} {len(block)} {len(block) + len(body)}\r\n"
    return b"%b%b%b\r\n" % (sizes.encode(), block, body)


def answer(subject: bytes, word: bytes) -> bytes:
    """A message without headers and without a reply subject: an acknowledgement."""
    return b"PUB %b %d\r\n%b\r\n" % (subject, len(word), word)


def headers_of(block: bytes | None) -> dict[str, str]:
    """What stands before a body; lines that are no headers are left out, and bytes that are no text replaced."""
    found: dict[str, str] = {}
    for line in (block or b"").split(b"\r\n")[1:]:
        name, colon, value = line.partition(b":")
        if colon and name.isascii():
            found[name.decode().strip()] = value.strip().decode("utf-8", "replace")
    return found


def status_of(block: bytes | None) -> str:
    """What the server says of a request (``404 No Messages``); empty if it says nothing but headers."""
    if not block:
        return ""
    return block.partition(b"\r\n")[0].removeprefix(_VERSION.encode()).strip().decode("utf-8", "replace")


def sequence_of(reply: bytes) -> int:
    """The place in its stream of what was delivered with the reply subject ``reply``."""
    return int(_tokens(reply)[5])


def stored_at(reply: bytes) -> datetime:
    """When the server stored what was delivered with ``reply``, by the server's clock, to the microsecond."""
    return datetime.fromtimestamp(int(_tokens(reply)[7]) / 1e9, UTC)


def left_behind(reply: bytes) -> int:
    """How many more the consumer has behind what was delivered with ``reply``."""
    return int(_tokens(reply)[8])


def _tokens(reply: bytes) -> list[bytes]:
    tokens = reply.split(b".")
    return tokens if len(tokens) == _DOMAINLESS else [*tokens[:2], *tokens[2 + _DOMAIN :]]
