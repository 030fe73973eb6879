"""Server-Sent Events, read line by line: pure."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import msgspec

from protocol.errors import PlantaoError


class EventStreamError(PlantaoError):
    """What came is no event of a node's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """``id``: where to go on after it; None if it is not the last of a batch."""

    name: str
    data: dict[str, Any]
    id: str | None = None


def events(lines: Iterable[bytes]) -> Iterator[Event]:
    """The events in ``lines``; what only says that somebody is there is passed over. One that was cut off is none.

    Raises:
        EventStreamError: they are no Server-Sent Events with JSON.
    """
    name, data, last = "", b"", None
    for line in lines:
        field, _, value = line.rstrip(b"\r\n").partition(b":")
        value = value.removeprefix(b" ")
        match field:
            case b"event":
                name = value.decode("ascii", "replace")
            case b"data":
                data += value
            case b"id":
                last = value.decode("ascii", "replace")
            case b"" if not value and line.strip(b"\r\n") == b"" and name:
                yield Event(name=name, data=_object(data), id=last)
                name, data, last = "", b"", None


def _object(data: bytes) -> dict[str, Any]:
    try:
        return msgspec.json.decode(data, type=dict[str, Any])
    except msgspec.DecodeError as error:
        raise EventStreamError(f"an event could not be read: {error}") from error
