"""A process that fills its clinic's file up to a limit on the size of files, and goes on when the limit is lifted.

``python -m tests.integration.store.writer_without_space DATA`` prints how many commands were accepted before the limit,
the error at the limit, what the ledger says then, and what it says after the limit was lifted, as one JSON object.
"""

import asyncio
import json
import resource
import sys
from itertools import count
from pathlib import Path

from gateway.store import SqliteStore
from gateway.store.ledger import SqliteLedger
from protocol.errors import StoreUnavailableError
from tests.integration.store.samples import CHANNEL, NOW, keys_of, offer

ROOM = 300_000
"""Bytes to which a file may grow; the write-ahead log reaches it first."""
TEXT = "x" * 5000


async def fill(ledger: SqliteLedger) -> tuple[int, str]:
    """Accept batches of two until it fails; how many commands were accepted, and the error."""
    for batch in count():
        try:
            await ledger.accept(CHANNEL, [offer(f"{batch}-{n}", TEXT) for n in range(2)], NOW)
        except StoreUnavailableError as error:
            return batch * 2, str(error)
    raise AssertionError("unreachable")


async def work(data: Path) -> dict[str, object]:
    """The whole story."""
    store = SqliteStore(data, keys_of)
    await store.start()
    ledger = await store.open_clinic("acme")
    resource.setrlimit(resource.RLIMIT_FSIZE, (ROOM, resource.RLIM_INFINITY))
    accepted, error = await fill(ledger)
    there = len(await ledger.unfinished(CHANNEL))
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    await ledger.accept(CHANNEL, [offer("after", TEXT)], NOW)
    after = len(await ledger.unfinished(CHANNEL))
    await store.stop(timeout=5)
    return {"accepted": accepted, "error": error, "there": there, "after": after}


if __name__ == "__main__":
    print(json.dumps(asyncio.run(work(Path(sys.argv[1])))))
