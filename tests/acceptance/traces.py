"""Finding a value in files, however it was written there."""

import base64
import json
import zlib
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

_DEFLATED = (b"\x78\x01", b"\x78\x5e", b"\x78\x9c", b"\x78\xda")
_GZIPPED = b"\x1f\x8b\x08"
_SHORTEST = 6
"""Bytes of a pattern below which chance would find it."""


def writings(value: str | bytes) -> dict[str, bytes]:
    """``value`` in every encoding that something may have written it in, by name."""
    raw = value.encode() if isinstance(value, str) else value
    found = {"raw": raw, "hex": raw.hex().encode(), "HEX": raw.hex().upper().encode()}
    for shift in range(3):
        # What stands before and after decides about the characters at the ends: those are left out.
        whole = base64.b64encode(bytes(shift) + raw)
        inner = whole[-(-shift * 4 // 3) : (shift + len(raw)) * 4 // 3]
        found[f"base64 +{shift}"] = inner
        found[f"base64url +{shift}"] = inner.translate(bytes.maketrans(b"+/", b"-_"))
    if isinstance(value, str):
        found["utf-16-le"] = value.encode("utf-16-le")
        found["utf-16-be"] = value.encode("utf-16-be")
        found |= {} if (escaped := json.dumps(value)[1:-1].encode()) == raw else {"json": escaped}
        if value.isdigit():
            found["reversed"] = value[::-1].encode()
    return {name: pattern for name, pattern in found.items() if len(pattern) >= _SHORTEST}


def unpacked(content: bytes) -> Iterator[bytes]:
    """``content``, and what it holds that deflate or gzip made smaller."""
    yield content
    for mark, bits in ((_GZIPPED, 31), *((mark, 15) for mark in _DEFLATED)):
        at = content.find(mark)
        while at >= 0:
            with suppress(zlib.error):
                yield zlib.decompressobj(bits).decompress(content[at:], 64 << 20)
            at = content.find(mark, at + 1)


def _contents(file: Path) -> Iterator[bytes]:
    """What of ``file`` is on its disk: of a link, where it leads to, which may be memory."""
    if file.is_symlink():
        yield str(file.readlink()).encode()
    elif file.is_file():
        yield from unpacked(file.read_bytes())


def traces(directory: Path, values: dict[str, str | bytes]) -> list[str]:
    """Where in the files below ``directory``, and in their names, any of ``values`` stands."""
    patterns = [
        (name, writing, pattern) for name, value in values.items() for writing, pattern in writings(value).items()
    ]
    found = []
    for file in sorted(directory.rglob("*")):
        where = str(file.relative_to(directory))
        contents = [where.encode(), *_contents(file)]
        found += [
            f"{name} as {writing} in {where}"
            for name, writing, pattern in patterns
            if any(pattern in content for content in contents)
        ]
    return found
