"""The guard: who asks, how often, and whether that is for them. One for all routes, by what their table says.

The order is the point. Of a clinic that a key is not for nothing is looked up, read or waited for: whether there is one
makes no difference to the answer or to the time it takes. A key that is good is never held up by what others do from
the same address.
"""

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from math import ceil
from typing import Final, NoReturn

from aiohttp import web
from aiohttp.typedefs import Handler

from gateway.access.api_keys import ApiKeys
from gateway.access.key import ApiKey
from gateway.access.windows import Windows, network_of
from gateway.audit.refusals import Refusals
from gateway.http.problems import TOO_MANY, UNAUTHORIZED, Refused
from gateway.http.routes import CALLER, ROUTE, Route
from protocol.access import GRANTED, Caller, Permission
from protocol.errors import ForbiddenError, NotFoundError
from protocol.ids import check_name

HOUR_S: Final = 3600.0
AT_ONCE: Final = 32
"""Requests of one clinic's keys that may be under way: all connections together are bounded, too."""
_CHALLENGE: Final = {"WWW-Authenticate": 'Bearer realm="plantao"'}


def presented(headers: Mapping[str, str]) -> str | None:
    """The key that a request presents: ``Authorization: Bearer …`` or ``X-API-Key``; None if it presents none."""
    authorization = headers.get("Authorization")
    if authorization is not None:
        scheme, _, key = authorization.partition(" ")
        return key.strip() if scheme.lower() == "bearer" else ""
    return headers.get("X-API-Key")


class Guard:
    """Middleware: ``admit``. ``refused`` counts by reason, ``refusals`` by address what had no key that is good.
    ``address_requests`` may come from an address without one, in ``address_period_s``; ``key_requests`` an hour with
    one that has no limit of its own."""

    def __init__(
        self,
        keys: ApiKeys,
        refused: Counter[str],
        refusals: Refusals,
        *,
        address_requests: int,
        address_period_s: float,
        key_requests: int,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._keys = keys
        self._refused = refused
        self._refusals = refusals
        self._address_requests = address_requests
        self._key_requests = key_requests
        self._addresses = Windows(address_period_s, clock)
        self._probes = Windows(60.0, clock)
        self._hours = Windows(HOUR_S, clock)
        self._routes: dict[web.AbstractRoute, Route] = {}
        self._open: dict[str, set[asyncio.Task[object]]] = {}
        self._cut: set[asyncio.Task[object]] = set()
        self._busy: Counter[str] = Counter()
        self._stop = keys.on_revoked(self._end)

    def watch(self, where: web.AbstractRoute, route: Route) -> None:
        """Requests for ``where`` are for ``route``. What no route was given for is not there: a key is needed even to
        be told that."""
        self._routes[where] = route

    def limit(self, *, address_requests: int, key_requests: int) -> None:
        """Go by these limits from now on. In any thread."""
        self._address_requests = address_requests
        self._key_requests = key_requests

    async def close(self, _app: web.Application) -> None:
        """Nothing is under way any more."""
        self._stop()
        await self._refusals.close()

    @web.middleware
    async def admit(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Let in whom the route is for.

        Raises:
            Refused: there is no key that is good, or it has asked too often.
            NotFoundError, ForbiddenError: the route is not for this key.
        """
        route = self._routes.get(request.match_info.route)
        secret = presented(request.headers)
        if secret is None and route is not None and route.permission is Permission.OPEN:
            self._count_stranger(request, route)
            return await handler(request)
        key = self._recognise(request, secret)
        self._count(key)
        if route is not None:
            self._check(request, route, key.caller)
            request[ROUTE] = route
        request[CALLER] = key.caller
        with nullcontext() if route is not None and route.endless else self._shared(key.caller):
            return await self._follow(key, request, handler)

    @contextmanager
    def _shared(self, caller: Caller) -> Iterator[None]:
        """Keys of one clinic together have no more than their share of the connections under way. Raises Refused."""
        clinics = caller.clinics or ()
        if any(self._busy[clinic] >= AT_ONCE for clinic in clinics):
            self._refused["busy"] += 1
            raise Refused(TOO_MANY, f"{AT_ONCE} requests of this clinic are under way", headers={"Retry-After": "1"})
        self._busy.update(clinics)
        try:
            yield
        finally:
            self._busy.subtract(clinics)
            for clinic in clinics:
                if not self._busy[clinic]:
                    del self._busy[clinic]

    def _recognise(self, request: web.Request, secret: str | None) -> ApiKey:
        """The key with this secret. One that is not good counts for the address, as none does."""
        key = None if secret is None else self._keys.find(secret)
        if key is not None and not key.expired(self._keys.clock()):
            return key
        why, what = "no_key", "no key was presented"
        if secret is not None:
            why, what = ("expired", "the key has expired") if key is not None else ("unknown", "the key is not valid")
        self._refusals.count(network_of(request.remote) or "unknown", why)
        wait = self._addresses.take(network_of(request.remote), self._address_requests)
        if wait is not None:
            self._too_many("address", wait, "from this address without a key that is good")
        self._refused[why] += 1
        detail = f"{what}: send one as Authorization: Bearer … or X-API-Key"
        raise Refused(UNAUTHORIZED, detail, headers=_CHALLENGE)

    def _count_stranger(self, request: web.Request, route: Route) -> None:
        if route.per_minute is None:
            wait = self._addresses.take(network_of(request.remote), self._address_requests)
        else:
            wait = self._probes.take(network_of(request.remote), route.per_minute)
        if wait is not None:
            self._too_many("address", wait, "from this address without a key")

    def _count(self, key: ApiKey) -> None:
        self._keys.used(key.id)
        limit = self._key_requests if key.per_hour is None else key.per_hour
        wait = self._hours.take(key.id, limit)
        if wait is not None:
            self._too_many("key", wait, f"with this key, which may make {limit} an hour")

    def _too_many(self, why: str, wait: float, whose: str) -> NoReturn:
        self._refused[f"{why}_limit"] += 1
        seconds = max(1, ceil(wait))
        raise Refused(
            TOO_MANY, f"too many requests {whose}; again in {seconds} seconds", headers={"Retry-After": str(seconds)}
        )

    def _check(self, request: web.Request, route: Route, caller: Caller) -> None:
        if caller.clinics is not None:
            self._check_clinic(request.match_info.get("clinic"), route, caller)
        if not caller.may(route.permission):
            self._refused["role"] += 1
            least = min((role for role in GRANTED if GRANTED[role] >= route.permission), key=GRANTED.__getitem__)
            raise ForbiddenError(f"this takes a key with the role {least}; this one has the role {caller.role}")

    def _check_clinic(self, clinic: str | None, route: Route, caller: Caller) -> None:
        if clinic is not None:
            if not caller.sees(check_name("clinic", clinic)):
                self._refused["clinic"] += 1
                raise NotFoundError(f"clinic {clinic}")
        elif not route.filtered and route.permission is not Permission.OPEN:
            self._refused["node"] += 1
            raise ForbiddenError("this concerns all clinics, and takes a key for all of them")

    async def _follow(self, key: ApiKey, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Have the request answered, unless the key is revoked or expires meanwhile."""
        task: asyncio.Task[object] | None = asyncio.current_task()
        assert task is not None
        under_way = self._open.setdefault(key.id, set())
        under_way.add(task)
        expiry = None
        if key.expires_at is not None:
            left = (key.expires_at - self._keys.clock()).total_seconds()
            expiry = asyncio.get_running_loop().call_later(left, self._cancel, task)
        try:
            return await handler(request)
        except asyncio.CancelledError:
            if task not in self._cut or request.writer.output_size > 0:
                raise  # the client has gone, or is to see that there is no more
            task.uncancel()
            raise Refused(UNAUTHORIZED, "the key is not valid any more", headers=_CHALLENGE, close=True) from None
        finally:
            if expiry is not None:
                expiry.cancel()
            self._cut.discard(task)
            under_way.discard(task)
            if not under_way and self._open.get(key.id) is under_way:
                del self._open[key.id]

    def _end(self, id: str) -> None:
        """The key ``id`` is revoked: so is what it has under way, but for the request that revokes it."""
        for task in self._open.get(id, set()) - {asyncio.current_task()}:
            self._cancel(task)

    def _cancel(self, task: "asyncio.Task[object]") -> None:
        self._cut.add(task)
        task.cancel()
