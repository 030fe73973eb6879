"""``/api/v1/jobs``: how what takes longer than a request is getting on, and what it made."""

import asyncio
import logging
from collections.abc import Sequence
from typing import Final

from aiohttp import hdrs, web

from gateway.http.paging import PAGE, Page, page
from gateway.http.requests import answer, asked_clinic, choice
from gateway.http.routes import API, CALLER, OF_CLINIC, Query, Route
from protocol.access import Permission
from protocol.errors import NotFoundError
from protocol.jobs import JobKind, Jobs, JobState, JobView

log = logging.getLogger(__name__)

FETCH_S: Final = 6 * 3600.0
"""How long fetching a file may take in all."""
STALLED_S: Final = 60.0
"""How long a client may take none of it."""


class JobList(Page, frozen=True, kw_only=True):
    """The answer to a look at jobs, newest first."""

    items: list[JobView]


class JobRoutes:
    """Handlers; each raises what ``Jobs`` raises. A job of a clinic that the caller may not see does not exist."""

    def __init__(self, jobs: Jobs) -> None:
        self._jobs = jobs

    async def list(self, request: web.Request) -> web.Response:
        """A page of those that the caller may see, newest first: of `?clinic=`, `?kind=` and `?state=`, or all."""
        caller, clinic = request[CALLER], asked_clinic(request)
        kind, state = choice(request, "kind", JobKind), choice(request, "state", JobState)
        found = [
            view
            for view in self._jobs.all()
            if caller.sees(view.clinic)
            and (clinic in (None, view.clinic) and kind in (None, view.kind) and state in (None, view.state))
        ]
        return page(request, found, lambda view: (view.started_at.isoformat(), view.id), newest_first=True)

    async def get(self, request: web.Request) -> web.Response:
        """One job."""
        return answer(self._seen(request))

    async def fetch(self, request: web.Request) -> web.StreamResponse:
        """What a job made, as fast as the client takes it."""
        view = self._seen(request)
        chunks = self._jobs.fetch(view.id)
        name = f"{view.kind}-{view.clinic or 'node'}-{view.started_at:%Y%m%dT%H%M%SZ}"
        response = web.StreamResponse(
            headers={
                hdrs.CONTENT_TYPE: "application/octet-stream",
                hdrs.CONTENT_DISPOSITION: f'attachment; filename="plantao-{name}"',
            }
        )
        await response.prepare(request)
        if request.method == hdrs.METH_HEAD:
            return response
        try:
            async for chunk in chunks:
                async with asyncio.timeout(STALLED_S):
                    await response.write(chunk)
            await response.write_eof()
        except ConnectionError:
            raise
        except Exception as error:
            # It has begun, so that nothing else can be answered: an end without the last chunk is seen as a failure.
            log.warning("what job %s made was not sent to its end: %r", view.id, error)
            if request.transport is not None:
                request.transport.abort()
            raise ConnectionError("the answer was not sent to its end") from error
        return response

    async def discard(self, request: web.Request) -> web.Response:
        """Delete what a job made, since it is fetched: 204."""
        await self._jobs.discard(self._seen(request).id)
        return web.Response(status=204)

    def _seen(self, request: web.Request) -> JobView:
        view = self._jobs.get(request.match_info["id"])
        if not request[CALLER].sees(view.clinic):
            raise NotFoundError("the job")
        return view


def of_jobs(jobs: JobRoutes) -> Sequence[Route]:
    """The routes that ``jobs`` answers."""
    many, view, admin = f"{API}/jobs", Permission.VIEW, Permission.ADMINISTER
    one, file = f"{many}/{{id}}", f"{many}/{{id}}/file"
    kind = Query(name="kind", kind=JobKind, what="only jobs of this kind")
    state = Query(name="state", kind=JobState, what="only jobs in this state")
    return (
        Route(
            method="GET",
            path=many,
            handler=jobs.list,
            permission=view,
            filtered=True,
            query=(OF_CLINIC, kind, state, *PAGE),
            answer=JobList,
        ),
        Route(method="GET", path=one, handler=jobs.get, permission=view, filtered=True, answer=JobView),
        Route(
            method="GET",
            path=file,
            handler=jobs.fetch,
            permission=admin,
            filtered=True,
            patience_s=FETCH_S,
            answer=bytes,
            content="application/octet-stream",
        ),
        Route(
            method="DELETE",
            path=file,
            handler=jobs.discard,
            permission=admin,
            filtered=True,
            action="job.discard",
            status=204,
        ),
    )
