"""The headers that go from a command to everything it causes."""

from collections.abc import Mapping
from typing import Final

from protocol.subjects import HEADER_CORRELATION, HEADER_TRACE

_PASSED_ON: Final = {name.lower(): name for name in (HEADER_CORRELATION, HEADER_TRACE)}
_MAX_VALUE: Final = 1024
"""Bytes."""


def passed_on(headers: Mapping[str, str] | None) -> dict[str, str]:
    """The correlation headers among ``headers`` (their case does not matter), under their proper names; nothing else:
    a sender's other headers, ``Nats-Msg-Id`` above all, are not ours to repeat. A value that is not text in UTF-8 or
    takes more than 1 KiB in it is left out: it could be neither stored nor published."""
    return {
        _PASSED_ON[name.lower()]: value
        for name, value in (headers or {}).items()
        if name.lower() in _PASSED_ON and _storable(value)
    }


def _storable(value: str) -> bool:
    try:
        return len(value.encode()) <= _MAX_VALUE
    except UnicodeEncodeError:
        return False
