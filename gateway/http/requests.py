"""The edge between bytes and types: bodies and names in, JSON out."""

import asyncio
import re
from collections.abc import Sequence
from enum import StrEnum
from typing import Any, Final, TypeVar

import msgspec
from aiohttp import hdrs, web

from gateway.http.problems import BODY_TIMEOUT, TOO_LARGE, UNSUPPORTED, Refused
from gateway.http.routes import CALLER
from protocol.codec import decode
from protocol.errors import InvalidBodyError, InvalidInputError, NotFoundError
from protocol.ids import check_name

T = TypeVar("T")

BODY_TYPES: Final = frozenset(
    {"application/json", "application/msgpack", "application/x-msgpack", "application/vnd.msgpack"}
)
BODY_LIMIT: Final = web.AppKey("body_limit", int)
"""Largest body of a request, in bytes."""
BODY_TIMEOUT_S: Final = web.AppKey("body_timeout_s", float)
"""How long a body may take to arrive, in seconds."""
CLOSING: Final = web.AppKey("closing", asyncio.Event)
"""Set when the endpoint begins to stop: who waits for something is answered as it is."""
_WHOLE: Final = re.compile(r"[0-9]{1,9}\Z")
_DECIMAL: Final = re.compile(r"[0-9]{1,9}(\.[0-9]{1,9})?\Z")


async def read_body(request: web.Request, most: int | None = None) -> bytes:
    """The whole body, empty if there is none. Its ``Content-Type``, if given, must be JSON or msgpack.

    Raises:
        Refused: of another type, compressed, larger than ``BODY_LIMIT`` or ``most``, or not here within
            ``BODY_TIMEOUT_S``.
    """
    if not request.can_read_body:
        return b""
    limit = request.app[BODY_LIMIT] if most is None else min(most, request.app[BODY_LIMIT])
    if hdrs.CONTENT_TYPE in request.headers and request.content_type not in BODY_TYPES:
        raise Refused(UNSUPPORTED, f"Content-Type must be one of {', '.join(sorted(BODY_TYPES))}")
    if request.headers.get(hdrs.CONTENT_ENCODING, "identity") != "identity":
        raise Refused(UNSUPPORTED, "Content-Encoding is not supported: send the body as it is")
    if (request.content_length or 0) > limit:
        raise _too_large(limit)
    seconds = request.app[BODY_TIMEOUT_S]
    try:
        async with asyncio.timeout(seconds):
            return await (request if most is None else request.clone(client_max_size=limit)).read()
    except TimeoutError as error:
        raise Refused(BODY_TIMEOUT, f"the body must arrive within {seconds:g} seconds", close=True) from error
    except web.HTTPRequestEntityTooLarge as error:
        raise _too_large(limit) from error


def _too_large(limit: int) -> Refused:
    return Refused(TOO_LARGE, f"at most {limit} bytes", close=True)


async def read_as(request: web.Request, kind: type[T], most: int | None = None) -> T:
    """The body, of ``most`` bytes, as a ``kind``.

    Raises:
        InvalidBodyError: there is none, or it is not of that shape; names the field.
        Refused: as ``read_body``.
    """
    body = await read_body(request, most)
    if not body:
        raise InvalidBodyError("body", "a JSON object, got nothing")
    return decode(body, kind, limit=request.app[BODY_LIMIT])


def clinic_of(request: web.Request) -> str:
    """The clinic in the path. Raises InvalidIdError."""
    return check_name("clinic", request.match_info["clinic"])


def asked_clinic(request: web.Request) -> str | None:
    """The clinic in ``?clinic=``, None if it is not given. Raises InvalidIdError, and NotFoundError if the caller has
    no business with it, before anybody is asked whether there is such a clinic."""
    clinic = request.query.get("clinic")
    if clinic is not None and not request[CALLER].sees(check_name("clinic", clinic)):
        raise NotFoundError(f"clinic {clinic}")
    return clinic


def channel_of(request: web.Request) -> tuple[str, str]:
    """Clinic and channel in the path. Raises InvalidIdError."""
    return clinic_of(request), check_name("channel", request.match_info["channel"])


E = TypeVar("E", bound=StrEnum)


def choice(request: web.Request, name: str, among: type[E]) -> E | None:
    """The query parameter ``name`` as one of ``among``; None if it is not given. Raises InvalidInputError."""
    text = request.query.get(name)
    if text is None:
        return None
    try:
        return among(text)
    except ValueError as error:
        raise InvalidInputError(name, f"one of {', '.join(among)}") from error


def number(
    request: web.Request, name: str, default: float, *, least: float = 0, most: float, whole: bool = False
) -> float:
    """The query parameter ``name`` as a number between ``least`` and ``most``. Raises InvalidInputError."""
    text = request.query.get(name)
    if text is None:
        return default
    pattern = _WHOLE if whole else _DECIMAL
    if not pattern.match(text) or not least <= float(text) <= most:
        kind = "a whole number" if whole else "a number"
        raise InvalidInputError(name, f"{kind} from {least:g} to {most:g}")
    return float(text)


def answer(value: Any, *, status: int = 200, location: str | None = None) -> web.Response:
    """``value`` (a Struct or builtins) as JSON."""
    response = web.Response(status=status, body=msgspec.json.encode(value), content_type="application/json")
    if location is not None:
        response.headers[hdrs.LOCATION] = location
    return response


def listing(items: Sequence[Any]) -> web.Response:
    """A list that is complete: it has no next page."""
    return answer({"items": items, "next": None})
