"""Which commands the node recorded as uncertain: by its own view of each, and by its log."""

import asyncio
import re
from collections.abc import Iterable, Sequence
from typing import Any, Final

from aiohttp import ClientError

from protocol.codes import ErrorCode, Permanence
from tests.acceptance.node import Node, NodeError
from tests.storm.evidence import Command

_WORDS: Final = ("doubt", "uncertain", "may have been sent", ErrorCode.OUTCOME_UNKNOWN.value)
_ID: Final = re.compile(r'"id": ?"([^"]+)"')
_AT_ONCE: Final = 8


async def uncertain(node: Node, suspects: Iterable[Command], log: Sequence[str]) -> frozenset[str]:
    """Ids that the log names in a line about doubt, and those of ``suspects`` whose history has an attempt of which
    nobody knows what came of it."""
    doubtful = "\n".join(line for line in log if any(word in line for word in _WORDS))
    by_log = set(_ID.findall(doubtful))
    gate = asyncio.Semaphore(_AT_ONCE)

    async def ask(command: Command) -> str | None:
        async with gate:
            return command.id if _unknown(await _view(node, command)) else None

    asked = await asyncio.gather(*(ask(one) for one in suspects if one.id not in by_log))
    return frozenset(by_log) | {found for found in asked if found is not None}


async def _view(node: Node, command: Command) -> Any:
    """Empty if the node has no view of it."""
    clinic, channel = command.key
    try:
        return await node.request("GET", f"/api/v1/clinics/{clinic}/channels/{channel}/messages/{command.id}")
    except (ClientError, NodeError, OSError, TimeoutError):
        return {}


def _unknown(view: Any) -> bool:
    codes = [attempt["error"]["code"] for attempt in view.get("history", ())] if isinstance(view, dict) else []
    return any(ErrorCode.of(code).permanence is Permanence.UNKNOWN for code in codes)
