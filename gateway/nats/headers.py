"""The headers that go from a command to everything it causes."""

from collections.abc import Mapping
from typing import Final

from protocol.subjects import HEADER_CORRELATION, HEADER_TRACE

_PASSED_ON: Final = {name.lower(): name for name in (HEADER_CORRELATION, HEADER_TRACE)}
_MAX_VALUE: Final = 512


def passed_on(headers: Mapping[str, str] | None) -> dict[str, str]:
    """The correlation headers among ``headers`` (their case does not matter), under their proper names; nothing else:
    a sender's other headers, ``Nats-Msg-Id`` above all, are not ours to repeat."""
    return {
        _PASSED_ON[name.lower()]: value[:_MAX_VALUE]
        for name, value in (headers or {}).items()
        if name.lower() in _PASSED_ON
    }
