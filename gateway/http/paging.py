"""Lists in pages: of what is in memory, by a place that each item has and keeps, so that nothing is passed over or
shown twice whatever comes and goes between two pages."""

import base64
from collections.abc import Callable, Iterable
from typing import Annotated, Final, TypeVar

import msgspec
from aiohttp import web
from msgspec import Meta, Struct

from gateway.http.requests import answer, number
from gateway.http.routes import Query
from protocol.errors import InvalidInputError

T = TypeVar("T")
Place = tuple[str, ...]
"""Where an item stands: places are compared, and no two items have the same."""

MOST_LISTED: Final = 1000
LONGEST_CURSOR: Final = 1000
Listed = Annotated[int, Meta(ge=1, le=MOST_LISTED)]
Cursor = Annotated[str, Meta(max_length=LONGEST_CURSOR)]

PAGE: Final = (
    Query(name="cursor", kind=Cursor, what="the next of the page before"),
    Query(name="limit", kind=Listed, what=f"how many at most; {MOST_LISTED} if not given"),
)


class Page(Struct, frozen=True, kw_only=True):
    """A part of a list; ``next`` is the cursor for more, None: there is no more."""

    next: str | None


def page(
    request: web.Request, items: Iterable[T], place: Callable[[T], Place], *, newest_first: bool = False
) -> web.Response:
    """So many of ``items`` as the request asks for, after those before its cursor, in order of their places (or, if
    ``newest_first``, from the last).

    Raises:
        InvalidInputError: the cursor or the limit is none.
    """
    limit = int(number(request, "limit", MOST_LISTED, least=1, most=MOST_LISTED, whole=True))
    after = _read(request.query.get("cursor"))
    ordered = sorted(items, key=place, reverse=newest_first)
    if after is not None:
        ordered = [item for item in ordered if (place(item) < after if newest_first else place(item) > after)]
    some = ordered[:limit]
    return answer({"items": some, "next": _written(place(some[-1])) if len(ordered) > limit else None})


def _written(place: Place) -> str:
    return base64.urlsafe_b64encode(msgspec.json.encode(place)).decode().rstrip("=")


def _read(cursor: str | None) -> Place | None:
    if cursor is None:
        return None
    try:
        text = cursor.encode("ascii")
        return msgspec.json.decode(base64.b64decode(text + b"=" * (-len(text) % 4), b"-_", validate=True), type=Place)
    except (ValueError, msgspec.DecodeError) as error:  # ValidationError of msgspec is one of these
        raise InvalidInputError("cursor", "what an earlier answer gave as next") from error
