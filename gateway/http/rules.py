"""What of the admin endpoint's rules may change while it is served."""

from typing import Final

from aiohttp import web

from gateway.http.guard import Guard
from gateway.http.origins import Doorman, Origins


class Rules:
    """Of one application. In any thread; holds for requests that come from then on."""

    def __init__(self, guard: Guard, door: Doorman, *, key_requests: int) -> None:
        self._guard = guard
        self._door = door
        self.key_requests = key_requests
        """Requests an hour (0: no limit) with a key that says nothing else."""

    def change(self, origins: Origins, *, address_requests: int, key_requests: int) -> None:
        """Go by these from now on."""
        self.key_requests = key_requests
        self._guard.limit(address_requests=address_requests, key_requests=key_requests)
        self._door.allow(origins)


RULES: Final = web.AppKey("rules", Rules)
