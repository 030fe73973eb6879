"""Which sends are under way, so that a receipt finds the command behind it. Lives on the loop's thread alone.

A receipt can overtake the answer to the send that it belongs to, and certainly the ledger's record of it. Noted before
that record, it would be lost: so whoever finds no sender waits a little for what is under way.
"""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from time import monotonic
from typing import Final

from protocol.ledger import Ledger, Receipt, Sender

PATIENCE_S: Final = 2.0


class Flights:
    """The sends of one channel: from before the port has them until the ledger has their outcome."""

    def __init__(self) -> None:
        self._under_way: dict[str, float] = {}
        self._waiting: list[tuple[set[str], asyncio.Future[None]]] = []

    def began(self, keys: Iterable[str]) -> None:
        """These attempts are under way."""
        now = monotonic()
        self._under_way.update((key, now) for key in keys)

    def recorded(self, keys: Iterable[str]) -> None:
        """The ledger knows what came of these."""
        for key in keys:
            if key in self._under_way:
                del self._under_way[key]
                for left, done in self._waiting:
                    left.discard(key)
                    if not left and not done.done():
                        done.set_result(None)

    async def receipted(self, ledger: Ledger, channel: str, receipts: Sequence[Receipt]) -> Mapping[str, Sender]:
        """``Ledger.receipted``, but that a receipt which is nobody's waits for the sends that are under way, and is
        noted then; for each until ``PATIENCE_S`` seconds after it began, so that one that hangs holds nothing up.

        Raises:
            StoreUnavailableError
        """
        young = {key for key, began in self._under_way.items() if monotonic() - began < PATIENCE_S}
        found = dict(await ledger.receipted(channel, receipts))
        missing = [receipt for receipt in receipts if receipt.wa_id not in found]
        if missing and young:
            await self._recorded(young & self._under_way.keys())
            found |= await ledger.receipted(channel, missing)
        return found

    async def _recorded(self, keys: set[str]) -> None:
        """Wait until the ledger knows of these, or the youngest of them has been under way for too long."""
        if not keys:
            return
        left = max(self._under_way[key] for key in keys) + PATIENCE_S - monotonic()
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        entry = (keys, done)
        self._waiting.append(entry)
        try:
            async with asyncio.timeout(max(0.0, left)):
                await done
        except TimeoutError:
            pass
        finally:
            self._waiting.remove(entry)
