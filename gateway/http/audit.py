"""``/api/v1/audit``: who did what, and whether that is as it was written."""

from collections.abc import Sequence
from typing import Annotated, Final

from aiohttp import web
from msgspec import Meta

from gateway.audit.verifying import SINCE_PATTERN, read_since
from gateway.http.paging import Page
from gateway.http.requests import answer, asked_clinic, number
from gateway.http.routes import API, CALLER, Query, Route
from protocol.access import Permission
from protocol.audit import Entry, Verification, VerifiedAudit
from protocol.ids import ClinicId

HIGHEST: Final = 10**9 - 1
"""Number that can be asked for."""
MOST_LISTED: Final = 500
LISTED: Final = 50
VERIFY_S: Final = 900.0
"""How long a verification may take."""
Before = Annotated[int, Meta(ge=0, le=HIGHEST)]
Listed = Annotated[int, Meta(ge=1, le=MOST_LISTED)]
Since = Annotated[str, Meta(pattern=SINCE_PATTERN)]


class EntryPage(Page, frozen=True, kw_only=True):
    """Entries, newest first."""

    items: list[Entry]


class AuditRoutes:
    """Handlers; each raises what ``VerifiedAudit`` raises."""

    def __init__(self, audit: VerifiedAudit) -> None:
        self._audit = audit

    async def list(self, request: web.Request) -> web.Response:
        """A page of entries, newest first: of `?clinic=`, or all that the caller may see; those before `?before=`."""
        asked = asked_clinic(request)
        bounds = [int(number(request, name, 0, most=HIGHEST, whole=True)) for name in ("before", "cursor")]
        before = min([bound for bound in bounds if bound], default=None)
        limit = int(number(request, "limit", LISTED, least=1, most=MOST_LISTED, whole=True))
        clinics = request[CALLER].clinics if asked is None else asked
        found = await self._audit.entries(clinics, before=before, limit=limit)
        return answer(EntryPage(items=list(found), next=str(found[-1].seq) if len(found) == limit else None))

    async def verify(self, request: web.Request) -> web.Response:
        """Whether it is whole; ``?since=``: and a continuation of what it was then."""
        return answer(await self._audit.verify(read_since(request.query.get("since"), "since")))


def of_audit(audit: AuditRoutes) -> Sequence[Route]:
    """The routes that ``audit`` answers."""
    where, admin = f"{API}/audit", Permission.ADMINISTER
    listed = (
        Query(name="clinic", kind=ClinicId, what="only what concerns this clinic"),
        Query(name="before", kind=Before, what="only entries with a lower number; 0: all"),
        Query(name="cursor", kind=Before, what="the next of the page before"),
        Query(name="limit", kind=Listed, what="at most so many"),
    )
    since = (Query(name="since", kind=Since, what="an entry, as an earlier verification named it, that must be there"),)
    return (
        Route(
            method="GET",
            path=where,
            handler=audit.list,
            permission=admin,
            filtered=True,
            query=listed,
            answer=EntryPage,
        ),
        Route(
            method="GET",
            path=f"{where}/verify",
            handler=audit.verify,
            permission=admin,
            patience_s=VERIFY_S,
            query=since,
            answer=Verification,
        ),
    )
