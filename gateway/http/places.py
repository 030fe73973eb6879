"""Who is connected: so many at once, and who makes way when every place is taken. Pure.

A connection costs its client nothing, and who it is for is known only with the first key. So a place is held by a
request with a good key while it is answered (``holding``; the guard bounds how many of those a clinic has), and by
nothing else: who waits between two requests, sends a head or a sign-in slowly, does not finish its handshake or takes
no answer makes way for who comes. It is the network with most of such places that gives one up, the one that has
waited longest: nobody is shut out by what another opens.
"""

import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from typing import Final

from aiohttp import web
from aiohttp.typedefs import Handler

from gateway.http.routes import CALLER


@dataclass(eq=False, slots=True, kw_only=True)
class Place:
    """One connection's, ``of`` all. ``cut`` ends it at once; ``since`` when it waits for its client; ``held``: it is
    not to make way; ``gone``: its client has left while it was held."""

    of: "Places"
    network: str
    cut: Callable[[], None]
    since: float
    held: bool = False
    gone: bool = False

    def touch(self) -> None:
        """Its client has sent a whole request head: from now on it waits anew."""
        self.since = self.of.clock()

    @contextmanager
    def hold(self) -> Iterator[None]:
        """It is not to make way meanwhile."""
        self.held = True
        try:
            yield
        finally:
            self.held = False
            self.touch()
            if self.gone:
                self.of.free(self)

    def leave(self) -> None:
        """The connection has ended. While it is held the place is kept: its work is not done."""
        self.gone = True
        if not self.held:
            self.of.free(self)


PLACE: Final = web.RequestKey("place", Place)
"""That of the request's connection."""


class Places:
    """All that are taken, of ``most``; ``refused`` counts when there was none. ``clock`` in seconds. On the loop."""

    def __init__(self, most: int, refused: Counter[str], clock: Callable[[], float] = time.monotonic) -> None:
        self.clock = clock
        self._refused = refused
        self._most = most
        self._taken: set[Place] = set()

    def take(self, network: str, cut: Callable[[], None]) -> Place | None:
        """A place for a connection from ``network``; if all are taken, that of another, which is cut. None: all are
        held."""
        if len(self._taken) >= self._most:
            self._refused["full"] += 1
            if not self._make_way():
                return None
        place = Place(of=self, network=network, cut=cut, since=self.clock())
        self._taken.add(place)
        return place

    def free(self, place: Place) -> None:
        """It is taken no more, if it was."""
        self._taken.discard(place)

    def clear(self) -> None:
        """Cut all that are left."""
        while self._taken:
            self._taken.pop().cut()

    def _make_way(self) -> bool:
        """Whether there was one that could."""
        waiting = [place for place in self._taken if not place.held]
        if not waiting:
            return False
        counts = Counter(place.network for place in waiting)
        first = max(waiting, key=lambda place: (counts[place.network], -place.since))
        self.free(first)
        first.cut()
        return True

    def __len__(self) -> int:
        return len(self._taken)


@web.middleware
async def holding(request: web.Request, handler: Handler) -> web.StreamResponse:
    """A request that the guard has let in with a key holds its place until its handler is done."""
    place = request.get(PLACE) if CALLER in request else None
    with nullcontext() if place is None else place.hold():
        return await handler(request)
