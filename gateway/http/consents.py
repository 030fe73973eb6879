"""A channel's consent register over HTTP."""

from collections.abc import Sequence
from typing import Annotated, Final

from aiohttp import web
from msgspec import Meta, Struct

from gateway.http.commands import LISTED, MOST_LISTED
from gateway.http.requests import answer, channel_of, number, read_as
from gateway.http.routes import CHANNEL, Query, Route
from protocol.access import Permission
from protocol.operations import Operations
from protocol.records import MOST_NOTE, ConsentKind, ConsentList, ConsentSource, ConsentView

PATH: Final = f"{CHANNEL}/consents"
Listed = Annotated[int, Meta(ge=1, le=MOST_LISTED)]
_PAGE: Final = (
    Query(name="contact", kind=str, what="only of this person: a number or JID"),
    Query(name="cursor", kind=str, what="go on where an earlier list ended"),
    Query(name="limit", kind=Listed, what="at most so many"),
)


class NewConsent(Struct, frozen=True, kw_only=True):
    """``contact``: a person's number or JID. ``source``: who enters it; that they wrote a word is entered by itself."""

    contact: str
    status: ConsentKind
    source: ConsentSource = ConsentSource.OPERATOR
    note: Annotated[str, Meta(max_length=MOST_NOTE)] = ""


class ConsentRoutes:
    """Handlers; each raises what ``Operations`` raises."""

    def __init__(self, operations: Operations) -> None:
        self._operations = operations

    async def list(self, request: web.Request) -> web.Response:
        """A page of the register, newest first, of all or of ``?contact=``."""
        limit = int(number(request, "limit", LISTED, least=1, most=MOST_LISTED, whole=True))
        contact, cursor = request.query.get("contact"), request.query.get("cursor")
        where = channel_of(request)
        return answer(await self._operations.consents(*where, contact=contact, cursor=cursor, limit=limit))

    async def record(self, request: web.Request) -> web.Response:
        """Enter something: 201."""
        where, new = channel_of(request), await read_as(request, NewConsent)
        entry = await self._operations.record_consent(*where, new.contact, new.status, new.source, new.note)
        return answer(entry, status=201)


def of_consents(consents: ConsentRoutes) -> Sequence[Route]:
    """Their routes."""
    return (
        Route(
            method="GET",
            path=PATH,
            handler=consents.list,
            permission=Permission.VIEW,
            query=_PAGE,
            answer=ConsentList,
        ),
        Route(
            method="POST",
            path=PATH,
            handler=consents.record,
            permission=Permission.OPERATE,
            action="consent.record",
            body=NewConsent,
            answer=ConsentView,
            status=201,
        ),
    )
