"""Every error as RFC 9457 problem details, by one table."""

import logging
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final

import msgspec
from aiohttp import web
from msgspec import Struct

from protocol.errors import (
    AlreadyExistsError,
    BusUnavailableError,
    CallTimeoutError,
    ConflictError,
    ForbiddenError,
    InvalidAddressError,
    InvalidBodyError,
    InvalidIdError,
    InvalidInputError,
    NotFoundError,
    PlantaoError,
    PortError,
    PortGoneError,
    PortStartError,
    StoreFullError,
    StoreGoneError,
    StoreUnavailableError,
    UnavailableError,
    WrongKeyError,
)

log = logging.getLogger(__name__)

CONTENT_TYPE: Final = "application/problem+json"
RETRY_AFTER_S: Final = 5
_URN: Final = "urn:plantao:problem:"


class Problem(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The body of an error. ``field`` names what was wrong in the request and ``expected`` what would be right;
    ``incident`` finds the line in the log."""

    type: str
    title: str
    status: int
    detail: str
    field: str | None = None
    expected: str | None = None
    incident: str | None = None


@dataclass(frozen=True, slots=True)
class Kind:
    """What all problems of a kind have in common; ``slug`` ends their ``type``."""

    status: int
    slug: str
    title: str


INVALID: Final = Kind(400, "invalid-input", "The request is not valid")
UNAUTHORIZED: Final = Kind(401, "unauthorized", "A valid key is needed")
FORBIDDEN: Final = Kind(403, "forbidden", "The key is not good for that")
NOT_FOUND: Final = Kind(404, "not-found", "There is no such thing")
BODY_TIMEOUT: Final = Kind(408, "body-timeout", "The body did not arrive in time")
CONFLICT: Final = Kind(409, "conflict", "Not possible in the present state")
TOO_LARGE: Final = Kind(413, "body-too-large", "The body is too large")
UNSUPPORTED: Final = Kind(415, "unsupported-media-type", "The body is of a type that is not read here")
MISDIRECTED: Final = Kind(421, "misdirected", "Nothing is served here under that name")
TOO_MANY: Final = Kind(429, "too-many-requests", "Too many requests")
INTERNAL: Final = Kind(500, "internal", "An error that Plantão does not know")
UNAVAILABLE: Final = Kind(503, "unavailable", "A part is away for now")
NO_ANSWER: Final = Kind(504, "no-answer", "No answer in time")

KINDS: Final[Mapping[type[PlantaoError], Kind]] = {
    PlantaoError: INTERNAL,
    InvalidInputError: INVALID,
    InvalidIdError: INVALID,
    InvalidAddressError: INVALID,
    InvalidBodyError: INVALID,
    ForbiddenError: FORBIDDEN,
    NotFoundError: NOT_FOUND,
    AlreadyExistsError: Kind(409, "already-exists", "It exists already"),
    ConflictError: CONFLICT,
    UnavailableError: UNAVAILABLE,
    BusUnavailableError: Kind(503, "bus-unavailable", "NATS is away for now"),
    StoreFullError: Kind(507, "store-full", "The database of the clinic is as large as it may be"),
    StoreUnavailableError: Kind(503, "store-unavailable", "The database is not usable for now"),
    WrongKeyError: Kind(503, "wrong-key", "What is stored was sealed with another key"),
    StoreGoneError: Kind(500, "session-gone", "The session that was asked about is not in the session store any more"),
    PortError: Kind(502, "port-failed", "The port did not do what it was asked"),
    PortStartError: Kind(503, "port-not-started", "The port could not be started"),
    PortGoneError: Kind(502, "port-gone", "The port ended before it answered"),
    CallTimeoutError: NO_ANSWER,
}
"""Status and title of every error that may come out of ``Operations``."""


class Refused(Exception):  # noqa: N818 - it refuses a request; nothing here went wrong
    """A request that is answered with a problem of ``kind``. ``close``: its connection is of no more use."""

    def __init__(
        self, kind: Kind, detail: str, *, headers: Mapping[str, str] | None = None, close: bool = False
    ) -> None:
        super().__init__(detail)
        self.kind = kind
        self.detail = detail
        self.headers = headers or {}
        self.close = close


def kind_of(error: PlantaoError) -> Kind:
    """The kind of ``error``, or of the nearest ancestor that the table names."""
    return next(KINDS[ancestor] for ancestor in type(error).__mro__ if ancestor in KINDS)


def respond(
    kind: Kind, detail: str, *, incident: str | None = None, error: BaseException | None = None
) -> web.Response:
    """A problem response. An ``InvalidInputError`` as ``error`` gives its field."""
    field, expected = (error.field, error.expected) if isinstance(error, InvalidInputError) else (None, None)
    problem = Problem(
        type=_URN + kind.slug,
        title=kind.title,
        status=kind.status,
        detail=detail,
        field=field,
        expected=expected,
        incident=incident,
    )
    response = web.Response(status=kind.status, body=msgspec.json.encode(problem), content_type=CONTENT_TYPE)
    if kind.status == HTTPStatus.SERVICE_UNAVAILABLE:
        response.headers["Retry-After"] = str(RETRY_AFTER_S)
    return response


def respond_to(error: Exception) -> web.Response:
    """The problem response for anything that a handler may raise; what is unknown is logged and not described."""
    match error:
        case PlantaoError():
            return respond(kind_of(error), str(error), error=error)
        case Refused():
            response = respond(error.kind, error.detail)
            response.headers.update(error.headers)
            if error.close:
                response.force_close()
            return response
        case web.HTTPException():
            return _of_status(error)
        case web.RequestPayloadError():
            response = respond(INVALID, "the body could not be read: its transfer coding is broken")
            response.force_close()
            return response
        case _:
            incident = uuid.uuid4().hex
            log.error("a request failed in an unknown way", exc_info=error, extra={"incident": incident})
            return respond(INTERNAL, "see the node's log under this incident", incident=incident)


def status_of(error: Exception) -> int:
    """The status of ``respond_to``'s answer."""
    match error:
        case PlantaoError():
            return kind_of(error).status
        case Refused():
            return error.kind.status
        case web.HTTPException():
            return error.status
        case web.RequestPayloadError():
            return INVALID.status
        case _:
            return INTERNAL.status


def of_status(status: int, detail: str) -> web.Response:
    """A problem that is no more than its HTTP status."""
    phrase = HTTPStatus(status).phrase
    return respond(Kind(status, phrase.lower().replace(" ", "-"), phrase), detail)


def _of_status(error: web.HTTPException) -> web.Response:
    match error:
        case web.HTTPNotFound():
            return respond(NOT_FOUND, "there is no such route")
        case web.HTTPMethodNotAllowed():
            allowed = ", ".join(sorted(error.allowed_methods))
            response = of_status(405, f"{error.method} is not possible here, only {allowed}")
            response.headers["Allow"] = allowed
            return response
        case web.HTTPRequestEntityTooLarge():
            response = respond(TOO_LARGE, "the body is larger than this endpoint takes")
            response.force_close()
            return response
        case _:
            return of_status(error.status, error.reason)
