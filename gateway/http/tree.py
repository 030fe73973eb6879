"""``/api/v1/tree``: every actor of the node, as it is now."""

import asyncio
from concurrent.futures import Executor
from typing import Final

import msgspec
from aiohttp import web

from gateway.http.health import Health, TreeNode
from protocol.errors import InvalidInputError, NotFoundError
from protocol.ids import check_name

CLINIC: Final = "clinic"
"""The ``kind`` of the nodes whose ``id`` is that of a clinic."""
_DEEPEST: Final = 99


class TreeRoutes:
    """Asks no actor, so that it answers when some hang. Trees are walked and written by ``executor``, off the loop."""

    def __init__(self, health: Health, executor: Executor) -> None:
        self._health = health
        self._executor = executor

    async def get(self, request: web.Request) -> web.Response:
        """The tree, to ``?depth=`` levels below the root; of ``?clinic=`` only what is above and below it."""
        depth, clinic = _depth(request.query.get("depth")), request.query.get("clinic")
        if clinic is not None:
            check_name("clinic", clinic)
        body = await asyncio.get_running_loop().run_in_executor(self._executor, self._render, depth, clinic)
        return web.Response(body=body, content_type="application/json")

    def _render(self, depth: int | None, clinic: str | None) -> bytes:
        tree = self._health.tree()
        if clinic is not None:
            way = way_to(tree, clinic)
            if way is None:
                raise NotFoundError(f"clinic {clinic}")
            tree = way
        return msgspec.json.encode(tree if depth is None else cut(tree, depth), enc_hook=str)


def way_to(node: TreeNode, clinic: str) -> TreeNode | None:
    """``node`` with nothing below it but the way to ``clinic`` and that clinic whole; None if it is not there."""
    if node.kind == CLINIC:
        return node if node.id == clinic else None
    found = (way for child in node.children if (way := way_to(child, clinic)) is not None)
    way = next(found, None)
    return None if way is None else msgspec.structs.replace(node, children=(way,))


def cut(node: TreeNode, depth: int) -> TreeNode:
    """``node`` with ``depth`` levels below it."""
    below = tuple(cut(child, depth - 1) for child in node.children) if depth else ()
    return msgspec.structs.replace(node, children=below)


def _depth(given: str | None) -> int | None:
    if given is None:
        return None
    if not (given.isascii() and given.isdigit() and len(given) <= len(str(_DEEPEST))):
        raise InvalidInputError("depth", f"a whole number from 0 to {_DEEPEST}")
    return int(given)
