"""What channels that are no more have left behind: queue, ledger, session store and its snapshots. On the loop.

Whoever removed one may have been killed before all of it was gone, so it is looked for whenever channels are served.
"""

import asyncio
import shutil
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Final

from actors.account import AccountOpened
from protocol.vault import Vault

_SUFFIX: Final = ".db"


def store_of(folder: Path, channel: str) -> Path:
    """The session store of a channel, in its clinic's ``folder`` on memory-backed storage."""
    return folder / f"{channel}{_SUFFIX}"


async def serve(account: AccountOpened, channels: Mapping[str, datetime], folder: Path) -> frozenset[str]:
    """Have the account take commands for exactly these, registered at these times; of which others there is something.

    Raises:
        BusUnavailableError, StoreUnavailableError
    """
    await account.bus.serve_channels(frozenset(channels))
    stores = await asyncio.to_thread(lambda: {path.stem for path in folder.glob(f"*{_SUFFIX}")})
    return await account.ledger.register(channels) | (stores - channels.keys())


async def clean_up(account: AccountOpened, vault: Vault, channel: str, folder: Path) -> None:
    """The queue goes first: a command that is still in it would be taken by the next channel of this name. The ledger's
    word that there is something goes last.

    Raises:
        BusUnavailableError, StoreUnavailableError
    """
    store = store_of(folder, channel)

    def delete() -> None:
        for suffix in ("", "-wal", "-shm", "-journal", ".lock"):
            store.with_name(store.name + suffix).unlink(missing_ok=True)
        shutil.rmtree(store.with_name(f"{store.name}.journal"), ignore_errors=True)

    await account.bus.forget_channel(channel)
    await vault.forget(channel)
    await asyncio.to_thread(delete)
    await account.ledger.forget_channel(channel)
