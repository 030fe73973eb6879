"""``/api/v1/tree``: every actor of the node, as it is now."""

import asyncio
from collections.abc import Sequence, Set
from concurrent.futures import Executor
from functools import partial
from typing import Annotated, Final

import msgspec
from aiohttp import web
from msgspec import Meta

from gateway.http.health import Health, TreeNode
from gateway.http.requests import asked_clinic
from gateway.http.routes import API, CALLER, OF_CLINIC, Query, Route
from protocol.access import Permission
from protocol.errors import InvalidInputError, NotFoundError

CLINIC: Final = "clinic"
"""The ``kind`` of the nodes whose ``id`` is that of a clinic."""
DEEPEST: Final = 99
Depth = Annotated[int, Meta(ge=0, le=DEEPEST)]
"""Levels that may be asked for."""
_PUBLIC: Final = ("version", "uptime_s")
"""What of the node's own facts a clinic's key is shown."""


class TreeRoutes:
    """Asks no actor, so that it answers when some hang. Trees are walked and written by ``executor``, off the loop."""

    def __init__(self, health: Health, executor: Executor) -> None:
        self._health = health
        self._executor = executor

    async def get(self, request: web.Request) -> web.Response:
        """The tree, to ``?depth=`` levels below the root; of ``?clinic=`` only what is above and below it, and so of
        all that a key is for, if it is not for all."""
        depth, clinic, caller = _depth(request.query.get("depth")), asked_clinic(request), request[CALLER]
        clinics = caller.clinics if clinic is None else frozenset({clinic})
        render = partial(self._render, depth, clinics, whole=caller.sees(None))
        body = await asyncio.get_running_loop().run_in_executor(self._executor, render)
        return web.Response(body=body, content_type="application/json")

    def _render(self, depth: int | None, clinics: Set[str] | None, *, whole: bool) -> bytes:
        tree = self._health.tree()
        if clinics is not None:
            way = ways_to(tree, clinics)
            if way is None:
                raise NotFoundError(" and ".join(f"clinic {clinic}" for clinic in sorted(clinics)))
            tree = way if whole else blank(way)
        return msgspec.json.encode(tree if depth is None else cut(tree, depth), enc_hook=str)


def ways_to(node: TreeNode, clinics: Set[str]) -> TreeNode | None:
    """``node`` with nothing below it but the ways to ``clinics`` and those whole; None if none of them is there."""
    if node.kind == CLINIC:
        return node if node.id in clinics else None
    ways = tuple(way for child in node.children if (way := ways_to(child, clinics)) is not None)
    return msgspec.structs.replace(node, children=ways) if ways else None


def blank(node: TreeNode) -> TreeNode:
    """``node`` without what it says of all clinics together, down to the clinics: counts, and how it last ended."""
    if node.kind == CLINIC:
        return node
    facts = {name: node.facts[name] for name in _PUBLIC if name in node.facts}
    children = tuple(blank(child) for child in node.children)
    return TreeNode(id=node.id, kind=node.kind, type=node.type, phase=node.phase, facts=facts, children=children)


def cut(node: TreeNode, depth: int) -> TreeNode:
    """``node`` with ``depth`` levels below it."""
    below = tuple(cut(child, depth - 1) for child in node.children) if depth else ()
    return msgspec.structs.replace(node, children=below)


def _depth(given: str | None) -> int | None:
    if given is None:
        return None
    if not (given.isascii() and given.isdigit() and len(given) <= len(str(DEEPEST))):
        raise InvalidInputError("depth", f"a whole number from 0 to {DEEPEST}")
    return int(given)


def of_tree(tree: TreeRoutes) -> Sequence[Route]:
    """Its route."""
    depth = Query(name="depth", kind=Depth, what="levels below the root")
    return (
        Route(
            method="GET",
            path=f"{API}/tree",
            handler=tree.get,
            permission=Permission.VIEW,
            filtered=True,
            query=(depth, OF_CLINIC),
            answer=TreeNode,
        ),
    )
