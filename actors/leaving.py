"""What is deleted with a channel, and with a clinic. On the loop."""

import asyncio
import shutil
from pathlib import Path

from actors.account import AccountOpened
from protocol.vault import Vault, Vaults


async def clean_up(account: AccountOpened, vault: Vault | None, channel: str, store: Path) -> None:
    """The queue goes first: a command that is still in it would be taken by the next channel of this name."""

    def delete() -> None:
        for suffix in ("", "-wal", "-shm", "-journal", ".lock"):
            store.with_name(store.name + suffix).unlink(missing_ok=True)
        shutil.rmtree(store.with_name(f"{store.name}.journal"), ignore_errors=True)

    await account.bus.forget_channel(channel)
    if vault is not None:
        await vault.forget(channel)
    await account.ledger.forget_channel(channel)
    await asyncio.to_thread(delete)


async def forget(vaults: Vaults | None, clinic: str) -> None:
    """A clinic that is no more: what its channels' sessions could be restored from."""
    if vaults is not None:
        await vaults.forget_clinic(clinic)
