"""What a request is called, in its answer, in every line of the log that it causes and with the command that it sends.

Whoever asks may name it (``Plantao-Correlation-Id``), so that what they logged is found again; else it gets a name.
"""

import re
import uuid
from collections.abc import Mapping
from typing import Final

import structlog
from aiohttp import web
from aiohttp.typedefs import Handler

from gateway.nats.headers import passed_on
from protocol.subjects import HEADER_CORRELATION

_CORRELATION: Final = web.RequestKey("correlation", str)
_GIVEN: Final = re.compile(r"[!-~]{1,128}\Z")


@web.middleware
async def correlated(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Middleware, the outermost: names the request while it is answered."""
    given = request.headers.get(HEADER_CORRELATION, "")
    name = request[_CORRELATION] = given if _GIVEN.match(given) else uuid.uuid4().hex
    with structlog.contextvars.bound_contextvars(correlation_id=name):
        return await handler(request)


async def tell_correlation(request: web.Request, response: web.StreamResponse) -> None:
    """Signal: the answer says what its request is called."""
    name = request.get(_CORRELATION)
    if name is not None:
        response.headers[HEADER_CORRELATION] = name


def command_headers(request: web.Request) -> Mapping[str, str]:
    """The headers of a command that ``request`` sends."""
    return passed_on(request.headers) | {HEADER_CORRELATION: request[_CORRELATION]}
