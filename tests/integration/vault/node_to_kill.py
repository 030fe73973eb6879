"""A process that restores, uses and seals one session store without an end: to be killed.

``python -m tests.integration.vault.node_to_kill DATA STORE LIFE`` prints ``restored HOW`` after each restoration and
``used N`` after the ratchet has moved to N, which stands for a message under that key. A new ratchet begins above all
that were there in this life and the earlier ones.
"""

import asyncio
import sys
from itertools import count
from pathlib import Path
from random import Random

from gateway.vault import Vaults
from protocol.vault import Restoration
from tests.integration.vault import session_stores
from tests.integration.vault.conftest import MASTER


async def work(data: Path, store: Path, life: int) -> None:
    """Lives of a channel, one after another; now and then the memory is lost between two."""
    vault, dice = Vaults(data, MASTER, keep=3).clinic("north"), Random(life)
    for ratchet in count(life * 1000):
        restoration = await vault.restore("desk", str(store))
        print("restored", restoration.name, flush=True)
        if restoration is Restoration.NONE:
            session_stores.make(store)
        counter = session_stores.counter_of(store) or ratchet * 1000
        for _ in range(dice.randrange(1, 4)):
            counter += 1
            session_stores.use(store, counter)
            print("used", counter, flush=True)
            await vault.snapshot("desk", str(store), clean=False)
        await vault.snapshot("desk", str(store), clean=True)
        if dice.random() < 0.7:
            session_stores.lose(store)


if __name__ == "__main__":
    asyncio.run(work(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])))
