"""The guard: who asks, how often, and whether that is for them. One for all routes, by what their table says.

A request has a key in a header or, where it has none, the cookie of a session that stands for one. A browser sends
the cookie by itself, so what changes something must also come from a page of ours: ``SameSite`` alone would let in the
pages of whatever else is served under this name, on other ports.

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
from gateway.access.hours import Hours
from gateway.access.key import ApiKey
from gateway.access.sessions import Session, Sessions
from gateway.access.windows import Windows, network_of
from gateway.audit.refusals import Refusals
from gateway.http.origins import HARMLESS, is_own_page
from gateway.http.problems import FORBIDDEN, TOO_MANY, UNAUTHORIZED, Refused
from gateway.http.routes import CALLER, ROUTE, Route
from protocol.access import GRANTED, Caller, Permission
from protocol.errors import ForbiddenError, NotFoundError
from protocol.ids import check_name

AT_ONCE: Final = 32
"""Requests of one clinic's keys that may be under way: all connections together are bounded, too."""
SESSION: Final = web.RequestKey("session", Session)
"""By which session it asks; not there if it has a key in a header."""
_CHALLENGE: Final = {"WWW-Authenticate": 'Bearer realm="plantao"'}
_COOKIE: Final = "plantao_session"


def presented(headers: Mapping[str, str]) -> str | None:
    """The key that a request presents: ``Authorization: Bearer …`` or ``X-API-Key``; None if it presents none."""
    authorization = headers.get("Authorization")
    if authorization is not None:
        scheme, _, key = authorization.partition(" ")
        return key.strip() if scheme.lower() == "bearer" else ""
    return headers.get("X-API-Key")


def cookie_name(request: web.BaseRequest) -> str:
    """Under which name a session is kept."""
    return f"__Host-{_COOKIE}" if request.secure else _COOKIE


class Guard:
    """Middleware: ``admit``. ``refused`` counts by reason, ``refusals`` by address what had no key that is good.
    ``address_requests`` may come from an address without one, in ``address_period_s``; ``key_requests`` an hour with
    one that has no limit of its own (see ``Hours``). ``sessions`` are those of ``keys``."""

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
        self.sessions = Sessions(keys)
        self._keys = keys
        self._refused = refused
        self._refusals = refusals
        self._address_requests = address_requests
        self._addresses = Windows(address_period_s, clock)
        self._probes = Windows(60.0, clock)
        self._hours = Hours(key_requests, clock)
        self._routes: dict[web.AbstractRoute, Route] = {}
        self._open: dict[str, set[asyncio.Task[object]]] = {}
        self._cut: set[asyncio.Task[object]] = set()
        self._busy: Counter[str] = Counter()
        self._stop = keys.on_revoked(self._end)
        self.sessions.on_ended(self._end)

    def watch(self, where: web.AbstractRoute, route: Route) -> None:
        """Requests for ``where`` are for ``route``. What no route was given for is not there: a key is needed even to
        be told that."""
        self._routes[where] = route

    def limit(self, *, address_requests: int, key_requests: int) -> None:
        """Go by these limits from now on. In any thread."""
        self._address_requests = address_requests
        self._hours.key_requests = key_requests

    async def close(self, _app: web.Application) -> None:
        """Nothing is under way any more."""
        self.sessions.close()
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
        signed_in = self._signed_in(request) if secret is None else None
        if signed_in is None:
            key = self._recognise(request, secret)
        else:
            request[SESSION], key = signed_in
        self._count(key, request.match_info.get("clinic"))
        if route is not None:
            self._check(request, route, key.caller)
            request[ROUTE] = route
        request[CALLER] = key.caller
        about = request.match_info.get("clinic")
        with nullcontext() if route is not None and route.endless else self._shared(key.caller, about):
            return await self._follow(key, request, handler)

    @contextmanager
    def _shared(self, caller: Caller, clinic: str | None) -> Iterator[None]:
        """Keys of one clinic together have no more than their share of the connections under way; what a key for
        several asks about ``clinic`` is of that one's, what it asks without naming one is of each one's, and needs
        room in one. Raises Refused."""
        of = caller.clinics or frozenset()
        clinics = {clinic} if clinic in of else of
        if clinics and all(self._busy[each] >= AT_ONCE for each in clinics):
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

    def recognise(self, request: web.Request, secret: str) -> ApiKey:
        """The key that somebody signs in with, as if a header had it. Raises Refused."""
        key = self._recognise(request, secret)
        self._count(key, None)
        return key

    def _signed_in(self, request: web.Request) -> tuple[Session, ApiKey] | None:
        """The session of the request's cookie, and its key; None without a cookie that is good. Raises Refused: it is
        to change something, and no page of ours has sent it."""
        secret = request.cookies.get(cookie_name(request))
        found = None if secret is None else self.sessions.find(secret)
        if found is not None and request.method not in HARMLESS and not is_own_page(request):
            self._refused["origin"] += 1
            raise Refused(FORBIDDEN, "with a session only the page that is served here may change anything")
        return found

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

    def _count(self, key: ApiKey, clinic: str | None) -> None:
        self._keys.used(key.id)
        refusal = self._hours.take(key, clinic)
        if refusal is not None:
            self._too_many(refusal.why, refusal.wait_s, refusal.whose)

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
        """Have the request answered, unless the key or session is revoked or expires meanwhile."""
        task: asyncio.Task[object] | None = asyncio.current_task()
        assert task is not None
        session = request.get(SESSION)
        owners = [key.id] if session is None else [key.id, session.digest]
        for owner in owners:
            self._open.setdefault(owner, set()).add(task)
        expiry = None
        expires_at = key.expires_at if session is None else session.expires_at
        if expires_at is not None:
            left = (expires_at - self._keys.clock()).total_seconds()
            expiry = asyncio.get_running_loop().call_later(left, self._cancel, task)
        try:
            return await handler(request)
        except asyncio.CancelledError:
            if task not in self._cut or request.writer.output_size > 0:
                raise  # the client has gone, or is to see that there is no more
            task.uncancel()
            raise Refused(
                UNAUTHORIZED, "the key or session is not valid any more", headers=_CHALLENGE, close=True
            ) from None
        finally:
            if expiry is not None:
                expiry.cancel()
            self._cut.discard(task)
            for owner in owners:
                self._open[owner].discard(task)
                if not self._open[owner]:
                    del self._open[owner]

    def _end(self, owner: str) -> None:
        """A key or session is good no more: so is what it has under way, but for the request that ends it."""
        for task in self._open.get(owner, set()) - {asyncio.current_task()}:
            self._cancel(task)

    def _cancel(self, task: "asyncio.Task[object]") -> None:
        self._cut.add(task)
        task.cancel()


GUARD: Final = web.AppKey("guard", Guard)
"""For who signs in."""
