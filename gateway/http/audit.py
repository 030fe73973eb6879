"""``/api/v1/audit``: who did what, and whether that is as it was written."""

from typing import Final

from aiohttp import web

from gateway.audit.verifying import read_since
from gateway.http.requests import answer, asked_clinic, number
from gateway.http.routes import CALLER
from protocol.audit import VerifiedAudit

MOST_LISTED: Final = 500
LISTED: Final = 50
VERIFY_S: Final = 900.0
"""How long a verification may take."""


class AuditRoutes:
    """Handlers; each raises what ``VerifiedAudit`` raises."""

    def __init__(self, audit: VerifiedAudit) -> None:
        self._audit = audit

    async def list(self, request: web.Request) -> web.Response:
        """A page of entries, newest first: of ``?clinic=``, or all that the caller may see; those before ``?before=``,
        which ``next`` says for the next page."""
        asked = asked_clinic(request)
        before = number(request, "before", 0, most=10**9 - 1, whole=True)
        limit = int(number(request, "limit", LISTED, least=1, most=MOST_LISTED, whole=True))
        clinics = request[CALLER].clinics if asked is None else asked
        found = await self._audit.entries(clinics, before=int(before) or None, limit=limit)
        return answer({"items": found, "next": found[-1].seq if len(found) == limit else None})

    async def verify(self, request: web.Request) -> web.Response:
        """Whether it is whole; ``?since=``: and a continuation of what it was then."""
        return answer(await self._audit.verify(read_since(request.query.get("since"), "since")))
