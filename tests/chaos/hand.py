"""The hand inside a node's process (``inside``), from outside."""

import asyncio
import json
from pathlib import Path
from typing import Any, Self

Tree = dict[str, dict[str, Any]]
"""By place in the tree (``clinics/acme/channels/reception``)."""


class HandError(Exception):
    """The hand could not do what it was told; ``kind`` is the name of the error there."""

    def __init__(self, kind: str, text: str) -> None:
        super().__init__(f"{kind}: {text}")
        self.kind = kind


class Hand:
    """Use with ``async with``; one request at a time."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = asyncio.Lock()

    async def __aenter__(self) -> Self:
        self._reader, self._writer = await asyncio.open_unix_connection(str(self._path), limit=1 << 24)
        return self

    async def __aexit__(self, *_: object) -> None:
        self._writer.close()

    async def do(self, method: str, *arguments: str) -> Any:
        """Call a method of ``inside.Hand``. Raises HandError."""
        # Shielded: an answer that nobody reads would be taken for the next one's.
        said = await asyncio.shield(asyncio.create_task(self._ask([method, *arguments])))
        if "error" in said:
            raise HandError(said["error"], said["text"])
        return said["answer"]

    async def _ask(self, request: list[str]) -> Any:
        async with self._lock:
            self._writer.write(json.dumps(request).encode() + b"\n")
            line = await self._reader.readline()
        return json.loads(line) if line else {"error": "ConnectionError", "text": "the node's process is gone"}

    async def tree(self) -> Tree:
        """The whole tree, by place."""
        found: Tree = {}

        def walk(nodes: list[dict[str, Any]], above: str) -> None:
            for node in nodes:
                place = f"{above}{node['id']}"
                found[place] = node
                walk(node["children"], f"{place}/")

        walk(await self.do("tree"), "")
        return found
