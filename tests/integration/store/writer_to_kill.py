"""A process that works on a ledger without an end and says on stdout what was acknowledged to it: to be killed.

``python -m tests.integration.store.writer_to_kill DATA PREFIX`` prints ``accepted``, ``begun``, ``finished``,
``claimed`` or ``stored``, and the number of a batch, after the call for that batch has returned.
"""

import asyncio
import sys
from itertools import count
from pathlib import Path

from gateway.store import SqliteStore
from tests.integration.store.samples import CHANNEL, NOW, begun, claim, keys_of, offer, sent, settled

BATCH = 20


def batch_ids(prefix: str, number: int) -> list[str]:
    """The ids of the commands of a batch."""
    return [f"{prefix}-{number}-{n}" for n in range(BATCH)]


async def work(data: Path, prefix: str) -> None:
    """Accept a batch, begin it, and finish all but its first half; claim a batch, and have its first half stored, for
    ever."""
    store = SqliteStore(data, keys_of)
    await store.start()
    ledger = await store.open_clinic("acme")
    for number in count():
        ids = batch_ids(prefix, number)
        await ledger.accept(CHANNEL, [offer(key) for key in ids], NOW)
        print("accepted", number, flush=True)
        await ledger.record(CHANNEL, begun(*ids))
        print("begun", number, flush=True)
        await ledger.record(CHANNEL, settled(*(sent(key) for key in ids[BATCH // 2 :])))
        print("finished", number, flush=True)
        await ledger.claim(CHANNEL, [claim(key) for key in ids], NOW)
        print("claimed", number, flush=True)
        await ledger.stored(CHANNEL, ids[: BATCH // 2])
        print("stored", number, flush=True)


if __name__ == "__main__":
    asyncio.run(work(Path(sys.argv[1]), sys.argv[2]))
