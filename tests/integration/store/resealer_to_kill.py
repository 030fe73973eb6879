"""A process that gives a clinic one key after another, without an end, and says so on stdout: to be killed.

``python -m tests.integration.store.resealer_to_kill DATA`` prints ``begun`` and the number of the key before, and
``done`` after each. Keys are numbered, so that whoever kills it can have them.
"""

import asyncio
import hashlib
import sys
from itertools import count
from pathlib import Path

from gateway.store import SqliteStore
from gateway.vault.keys import DataKey


def key(number: int) -> DataKey:
    return DataKey(hashlib.sha256(f"key {number}".encode()).digest())


async def work(data: Path) -> None:
    keys = [key(number) for number in range(200)]
    store = SqliteStore(data, lambda _: keys)
    await store.start()
    await store.open_clinic("acme")
    for number in count(1):
        keys.insert(0, key(number))
        print("begun", number, flush=True)
        await store.reseal("acme")
        print("done", number, flush=True)


if __name__ == "__main__":
    asyncio.run(work(Path(sys.argv[1])))
