"""What a node's process has more of than before: threads, descriptors, child processes, tasks."""

import asyncio
import time
from collections import Counter
from collections.abc import Mapping
from typing import Any, Final

from tests.chaos.hand import Hand

SETTLED_S: Final = 30.0
"""How long what is ending already may take."""
_LOOK_S: Final = 0.5

TOLERATED: Final[Mapping[tuple[str, str], int]] = {
    ("threads", "asyncio"): 8,
    ("descriptors", "socket"): 1,
    ("tasks", "RequestHandler.start"): 1,
}
"""How many more there may be. The threads of asyncio's executor are made when they are needed, up to a limit, and stay;
a client's connection to the admin endpoint is kept for its next request."""

Counts = Mapping[str, Any]
"""As ``inside.Hand.count`` says."""


def grown(before: Counts, after: Counts) -> list[str]:
    """What there is more of than before, beyond what is tolerated, and without the threads that were made to hang.
    Those hold actors that would be gone without them, so actors are only counted when none hangs."""
    found = []
    for kind in ("threads", "descriptors", "processes", "tasks", *(() if after["hung"] else ("actors",))):
        more = Counter[str](after[kind])
        more.subtract(before[kind])
        if kind == "threads":
            more.subtract(after["hung"])
        found += [f"{count} {name} ({kind})" for name, count in more.items() if count > TOLERATED.get((kind, name), 0)]
    return found


def shrunk(before: Counts, after: Counts) -> list[str]:
    """Whose number is smaller than before: a part that did not come back."""
    less = Counter[str](before["processes"])
    less.subtract(after["processes"])
    return [f"{count} {name} (processes)" for name, count in less.items() if count > 0]


async def settled(hand: Hand, before: Counts) -> tuple[Counts, list[str]]:
    """The counts when nothing is left over, or when it has had its time; and what is left over."""
    deadline = time.monotonic() + SETTLED_S
    while True:
        after = await hand.do("count")
        left = grown(before, after) + shrunk(before, after)
        if not left or time.monotonic() > deadline:
            return after, left
        await asyncio.sleep(_LOOK_S)
