"""The node itself: ``/health`` and ``/ready`` for probes, ``/metrics`` for Prometheus."""

import asyncio
import dataclasses
import logging
from collections import Counter
from collections.abc import Awaitable, Mapping, Sequence, Sized
from concurrent.futures import Executor
from typing import Final, TypeVar

from aiohttp import web
from msgspec import Struct
from msgspec.structs import replace

from gateway.http import metrics
from gateway.http.health import Health, HealthReport, Part
from gateway.http.origins import HEALTH
from gateway.http.requests import answer
from gateway.http.routes import CALLER, Route
from protocol.access import Permission
from protocol.channel import ChannelState, ClinicState
from protocol.commands import utc_now
from protocol.errors import PlantaoError
from protocol.meters import Meters
from protocol.operations import Operations

log = logging.getLogger(__name__)

T = TypeVar("T")

VIEW_DEADLINE_S: Final = web.AppKey("view_deadline_s", float)
"""How long each part may take to answer a probe or scrape, in seconds."""


class Alive(Struct, frozen=True, kw_only=True):
    """The answer to a probe for liveness."""

    status: str = "ok"


class ClinicHealth(Struct, frozen=True, kw_only=True):
    """How a clinic is; ``reason`` is empty while it runs."""

    clinic: str
    state: ClinicState
    reason: str


class Readiness(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The answer to a probe for readiness; what is not there could not be found out, or is not for the caller."""

    ready: bool
    draining: bool = False
    version: str | None = None
    uptime_s: float | None = None
    store: Part | None = None
    bus: Part | None = None
    broker: Part | None = None
    nursery: Part | None = None
    audit: Part | None = None
    memory: dict[str, int] | None = None
    disk: dict[str, int] | None = None
    channels: dict[ChannelState, int] | None = None
    queued: int | None = None
    clinics: list[ClinicHealth] | None = None


class NodeRoutes:
    """Handlers that answer also when parts of the node do not. ``refused`` counts requests that were not let in;
    ``streams`` are those of events that are open."""

    def __init__(
        self,
        operations: Operations,
        health: Health,
        meters: Meters,
        executor: Executor,
        refused: Mapping[str, int],
        streams: Sized,
    ) -> None:
        self._operations = operations
        self._health = health
        self._meters = meters
        self._executor = executor
        self._refused = refused
        self._streams = streams

    async def alive(self, _request: web.Request) -> web.Response:
        """Liveness: the loop runs. Depends on nothing else, so that no outage elsewhere gets the node killed."""
        return answer(Alive())

    async def ready(self, request: web.Request) -> web.Response:
        """Readiness: 200 if every part works and the registry has been read, else 503, as while the node drains before
        its end. Clinics are named to who may see them, reasons told to who may see all."""
        view = await self._view(request)
        caller = request.get(CALLER)
        parts = {} if view.report is None else view.report.parts
        ready = (
            not self._health.draining
            and bool(parts)
            and all(part.ok for part in parts.values())
            and None not in (view.clinics, view.channels)
        )
        body = _of_report(view.report, ready=ready, named=caller is not None and caller.sees(None))
        if view.channels is not None:
            count = Counter(snapshot.state for snapshot in view.channels)
            queued = sum(snapshot.queued for snapshot in view.channels)
            body = replace(body, channels={state: count[state] for state in ChannelState}, queued=queued)
        if view.clinics is not None and caller is not None:
            seen = [clinic for clinic in view.clinics if caller.sees(clinic.id)]
            body = replace(body, clinics=[ClinicHealth(clinic=c.id, state=c.state, reason=c.reason) for c in seen])
        return answer(body, status=200 if ready else 503)

    async def scrape(self, request: web.Request) -> web.Response:
        """Prometheus text; also 200 when parts do not answer, which ``plantao_scrape_success`` then says."""
        view = await self._view(request)
        text = await asyncio.get_running_loop().run_in_executor(self._executor, self._render, view)
        return web.Response(body=text, headers={"Content-Type": metrics.CONTENT_TYPE})

    def _render(self, view: metrics.View) -> bytes:
        try:
            tree = self._health.tree()
        except PlantaoError as error:
            log.warning("the tree could not be seen by a scrape: %s", error)
            tree = None
        whole = dataclasses.replace(
            view,
            tree=tree,
            counts=self._health.counts(),
            meters=self._meters.channels(),
            times=self._meters.times(),
            memory={} if tree is None else self._health.port_memory(),
            backups=self._health.backups(),
        )
        return metrics.render(whole)

    async def _view(self, request: web.Request) -> metrics.View:
        deadline = request.app[VIEW_DEADLINE_S]
        report, clinics, channels = await asyncio.gather(
            _in_time(self._health.report(), deadline),
            _in_time(self._operations.clinics(), deadline),
            _in_time(self._operations.channels(), deadline),
        )
        return metrics.View(
            now=utc_now(),
            report=report,
            clinics=clinics,
            channels=channels,
            refused=dict(self._refused),
            streams=len(self._streams),
        )


async def _in_time(work: Awaitable[T], deadline: float) -> T | None:
    try:
        async with asyncio.timeout(deadline):
            return await work
    except (PlantaoError, TimeoutError) as error:
        log.warning("a part did not answer a probe: %s", str(error) or type(error).__name__)
        return None


def _of_report(report: HealthReport | None, *, ready: bool, named: bool) -> Readiness:
    if report is None:
        return Readiness(ready=ready)
    return Readiness(
        ready=ready,
        draining=report.draining,
        version=report.version,
        uptime_s=report.uptime_s,
        store=_told(report.store, named),
        bus=_told(report.bus, named),
        broker=_told(report.broker, named),
        nursery=_told(report.nursery, named),
        audit=_told(report.audit, named),
        memory={"resident_bytes": report.memory_bytes},
        disk={"free_bytes": report.disk_free_bytes, "size_bytes": report.disk_size_bytes},
    )


def _told(part: Part, named: bool) -> Part:
    """``part``, without the reason unless that may be told."""
    return part if named else Part(ok=part.ok)


def of_node(node: NodeRoutes, ready_per_minute: int) -> Sequence[Route]:
    """Its routes. ``ready_per_minute``: how often an address may ask whether it is ready."""
    return (
        Route(method="GET", path=HEALTH, handler=node.alive, permission=Permission.OPEN, per_minute=0, answer=Alive),
        Route(
            method="GET",
            path="/ready",
            handler=node.ready,
            permission=Permission.OPEN,
            per_minute=ready_per_minute,
            answer=Readiness,
            also=(503,),
        ),
        Route(
            method="GET",
            path="/metrics",
            handler=node.scrape,
            permission=Permission.VIEW,
            answer=str,
            content="text/plain",
        ),
    )
