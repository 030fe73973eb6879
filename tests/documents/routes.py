"""The HTTP API, as its table of routes has it."""

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from inspect import getdoc

from gateway.http import problems
from gateway.http.app import table as routes
from gateway.http.problems import Kind
from gateway.http.routes import Route
from gateway.http.surround import HttpLimits
from protocol.access import GRANTED, Permission, Role
from tests.documents.tables import marked, table
from tests.unit.gateway.http.fake_node import fake_backends


def text() -> str:
    """All routes, and the problems that they answer with."""
    with ThreadPoolExecutor(1) as executor:
        found = routes(fake_backends(), HttpLimits(), executor, {})
    return "\n".join(
        [
            table(("route", "for", "what it does"), [_row(route) for route in found]),
            "A refusal is a problem (RFC 9457); its `type` is `urn:plantao:problem:` and one of:\n",
            table(("problem", "status", "what it means"), [_problem(kind) for kind in _kinds()]),
        ]
    )


def _row(route: Route) -> tuple[str, ...]:
    query = "".join(f"&{each.name}=" for each in route.query)
    where = f"{route.method} {route.path}" + (f"?{query[1:]}" if query else "")
    return f"`{where}`", _who(route.permission), marked((getdoc(route.handler) or "").split("\n\n")[0])


def _who(permission: Permission) -> str:
    """The least role that a key must have."""
    if permission is Permission.OPEN:
        return "anybody"
    return min((role for role in Role if GRANTED[role] >= permission), key=GRANTED.__getitem__).value


def _kinds() -> Iterable[Kind]:
    named = [kind for kind in vars(problems).values() if isinstance(kind, Kind)]
    return sorted({*named, *problems.KINDS.values()}, key=lambda kind: (kind.status, kind.slug))


def _problem(kind: Kind) -> tuple[str, ...]:
    return f"`{kind.slug}`", str(kind.status), kind.title
