"""``/api/v1/openapi.json``: the API described by the table that runs it, and by the types that check what comes in.

OpenAPI 3.1. What a route takes and gives is in the table; what every route may answer besides follows from what is
around it: a key, its limits, names, bodies.
"""

import asyncio
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Executor
from functools import partial
from http import HTTPStatus
from importlib.metadata import version
from inspect import getdoc
from types import NoneType
from typing import Annotated, Any, Final, get_args

import msgspec
from aiohttp import web
from msgspec import Meta

from gateway.http.problems import CONTENT_TYPE, Problem
from gateway.http.routes import API, Route
from protocol.access import GRANTED, Permission
from protocol.ids import ChannelId, ClinicId, CommandId

PATH: Final = f"{API}/openapi.json"
JSON: Final = "application/json"

_NAMES: Final = re.compile(r"\{(\w+)\}")
_IN_PATH: Final[Mapping[str, Any]] = {"clinic": ClinicId, "channel": ChannelId, "id": CommandId}
_OTHER_NAME: Final = Annotated[str, Meta(min_length=1, max_length=128)]
_DESCRIPTION: Final = (
    "Keeps the WhatsApp sessions of many clinics on duty. Bodies may also be msgpack (`application/msgpack`). Errors "
    "are problem details (RFC 9457). A key that is not for a clinic is answered as if there were no such clinic. "
    "`Plantao-Correlation-Id` names a request: in its answer, in the log, and in all that a command it sends causes."
)
_KEYS: Final = {
    "bearer": {"type": "http", "scheme": "bearer", "description": "An API key"},
    "header": {"type": "apiKey", "in": "header", "name": "X-API-Key", "description": "An API key"},
    "session": {"type": "apiKey", "in": "cookie", "name": "plantao_session", "description": "Of who has signed in"},
}
_WHICH: Final[Mapping[str, str]] = {
    "clinic": "of the clinic",
    "channel": "of the clinic's channel",
    "id": "of the message or job",
    "key": "of the key",
    "name": "of the login",
    "file": "of the page's file",
}
_LOCATION: Final = {"Location": {"description": "Where it is", "schema": {"type": "string"}}}
_RETRY_AFTER: Final = {"Retry-After": {"description": "In how many seconds", "schema": {"type": "integer"}}}


class OpenApiRoutes:
    """The handler that describes ``routes`` and itself. The description is made by ``executor`` when it is first asked
    for: it takes some milliseconds, and most nodes are never asked."""

    def __init__(self, routes: Sequence[Route], executor: Executor) -> None:
        self.route = Route(
            method="GET", path=PATH, handler=self.get, permission=Permission.VIEW, filtered=True, answer=dict[str, Any]
        )
        self._routes = (*routes, self.route)
        self._executor = executor
        self._written: bytes | None = None

    async def get(self, _request: web.Request) -> web.Response:
        """This description of the API, in OpenAPI 3.1."""
        if self._written is None:
            write = partial(_write, self._routes)
            self._written = await asyncio.get_running_loop().run_in_executor(self._executor, write)
        return web.Response(body=self._written, content_type=JSON)


def _write(routes: Sequence[Route]) -> bytes:
    return msgspec.json.encode(describe(routes))


def describe(routes: Sequence[Route]) -> dict[str, Any]:
    """All of ``routes`` as an OpenAPI document."""
    kinds = list(dict.fromkeys(kind for route in routes for kind in _kinds(route)))
    found, components = msgspec.json.schema_components([Problem, *kinds], ref_template="#/components/schemas/{name}")
    problem, schemas = found[0], dict(zip(kinds, found[1:], strict=True))
    refusals = sorted({status for route in routes for status in _refusals(route)})
    modules = dict.fromkeys(_module(route) for route in routes)
    paths: dict[str, dict[str, Any]] = {}
    for route in routes:
        paths.setdefault(route.path, {})[route.method.lower()] = _operation(route, schemas)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Plantão",
            "version": version("plantao"),
            "description": _DESCRIPTION,
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/", "description": "This node"}],
        "tags": [{"name": _tag(module), "description": _said(sys.modules[module])} for module in modules],
        "paths": paths,
        "components": {
            "schemas": components,
            "responses": {str(status): _refusal(status, problem) for status in refusals},
            "securitySchemes": _KEYS,
        },
    }


def _kinds(route: Route) -> Iterator[Any]:
    """The types that a description of ``route`` names."""
    yield from (_parameter_type(name) for name in _NAMES.findall(route.path))
    yield from (query.kind for query in route.query)
    if route.body is not None:
        yield _body_type(route)[0]
    yield from _answers(route)


def _parameter_type(name: str) -> Any:
    return _IN_PATH.get(name, _OTHER_NAME)


def _body_type(route: Route) -> tuple[Any, bool]:
    """What the body is, and whether it must be there: ``Kind | None`` need not."""
    kinds = [kind for kind in get_args(route.body) if kind is not NoneType]
    return (kinds[0], False) if kinds and NoneType in get_args(route.body) else (route.body, True)


def _answers(route: Route) -> Sequence[Any]:
    """The types of what ``route`` answers; a tuple stands for one of several."""
    if route.answer is None:
        return ()
    return route.answer if isinstance(route.answer, tuple) else (route.answer,)


def _operation(route: Route, schemas: Mapping[Any, Any]) -> dict[str, Any]:
    parameters = [
        {
            "name": name,
            "in": "path",
            "required": True,
            "description": _WHICH[name],
            "schema": schemas[_parameter_type(name)],
        }
        for name in _NAMES.findall(route.path)
    ] + [
        {"name": query.name, "in": query.where, "description": query.what, "schema": schemas[query.kind]}
        for query in route.query
    ]
    operation: dict[str, Any] = {
        "operationId": _name(route),
        "tags": [_tag(_module(route))],
        "summary": _said(route.handler),
        "description": _needs(route),
        "x-permission": route.permission.name.lower(),
        "security": [{name: []} for name in _KEYS] + ([{}] if route.permission is Permission.OPEN else []),
        "parameters": parameters,
        "responses": _responses(route, schemas),
    }
    if route.body is not None:
        kind, required = _body_type(route)
        operation["requestBody"] = {"required": required, "content": {JSON: {"schema": schemas[kind]}}}
    return operation


def _name(route: Route) -> str:
    """Of the handler: ``ChannelRoutes.pair`` is ``channel_pair``."""
    owner, _, method = route.handler.__qualname__.rpartition(".")
    return f"{owner.removesuffix('Routes').lower()}_{method}" if owner else method


def _module(route: Route) -> str:
    """Where the handler is: what is in one module belongs together."""
    return route.handler.__module__


def _tag(module: str) -> str:
    return module.rpartition(".")[2].replace("_", " ")


def _said(of: object) -> str:
    """The first sentences of what it says of itself."""
    return " ".join((getdoc(of) or "").partition("\n\n")[0].split()).replace("``", "`")


def _needs(route: Route) -> str:
    if route.permission is Permission.OPEN:
        return "Needs no key."
    least = min((role for role in GRANTED if GRANTED[role] >= route.permission), key=GRANTED.__getitem__)
    if "{clinic}" in route.path:
        return f"Needs the role {least}, for the clinic."
    return f"Needs the role {least}" + ("; shows what the key is for." if route.filtered else ", for all clinics.")


def _responses(route: Route, schemas: Mapping[Any, Any]) -> dict[str, Any]:
    answers = [schemas[kind] for kind in _answers(route)]
    good: dict[str, Any] = {"description": HTTPStatus(route.status).phrase}
    if route.status == HTTPStatus.CREATED:
        good["headers"] = _LOCATION
    if answers:
        good["content"] = {route.content: {"schema": answers[0] if len(answers) == 1 else {"anyOf": answers}}}
    refusals = {str(status): {"$ref": f"#/components/responses/{status}"} for status in sorted(_refusals(route))}
    return {**refusals, **{str(status): good for status in (route.status, *route.also)}}


def _refusal(status: int, problem: Any) -> dict[str, Any]:
    waits = status in (HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE)
    return {
        "description": HTTPStatus(status).phrase,
        **({"headers": _RETRY_AFTER} if waits else {}),
        "content": {CONTENT_TYPE: {"schema": problem}},
    }


def _refusals(route: Route) -> set[int]:
    """The statuses of problems that ``route`` may answer with."""
    found = {400, 401, 417, 421, 429, 500, 503, 504}
    if route.permission is not Permission.OPEN or route.action:
        found.add(403)
    if route.filtered or "{" in route.path:
        found.add(404)
    if route.action:
        found |= {409, 502, 507}
    if route.body is not None or route.stream:
        found |= {408, 413, 415}
    return found
