"""Which sends are under way and which WhatsApp ids they have just been given. Lives on the loop's thread alone.

A receipt can overtake the answer to the send that it belongs to, and certainly the ledger's record of it.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Final

from protocol.ledger import Accepted, Ledger, Sender

MOST_RECENT: Final = 1024
PATIENCE_S: Final = 1.0


class Flights:
    """The sends of one channel."""

    def __init__(self) -> None:
        self._under_way: set[asyncio.Future[None]] = set()
        self._recent: OrderedDict[str, Sender] = OrderedDict()

    @contextmanager
    def flying(self) -> Iterator[None]:
        """A send is under way."""
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._under_way.add(done)
        try:
            yield
        finally:
            self._under_way.discard(done)
            done.set_result(None)

    def landed(self, wa_id: str, accepted: Accepted) -> None:
        """``accepted`` was sent under this WhatsApp id."""
        command = accepted.command
        self._recent[wa_id] = Sender(id=command.id, to=command.to, meta=command.meta, headers=accepted.headers)
        if len(self._recent) > MOST_RECENT:
            self._recent.popitem(last=False)

    async def senders(self, ledger: Ledger, channel: str, wa_ids: Sequence[str]) -> Mapping[str, Sender]:
        """The commands behind ``wa_ids``, where they are ours; waits a little for sends that are under way.

        Raises:
            StoreUnavailableError
        """
        found = self._known(wa_ids)
        if missing := [wa_id for wa_id in wa_ids if wa_id not in found]:
            # A send may land while the ledger is asked, so look again before waiting for those that have not.
            found |= await ledger.senders(channel, missing)
            found |= self._known(missing)
        if self._under_way and (missing := [wa_id for wa_id in wa_ids if wa_id not in found]):
            await asyncio.wait(set(self._under_way), timeout=PATIENCE_S)
            found |= self._known(missing)
        return found

    def _known(self, wa_ids: Sequence[str]) -> dict[str, Sender]:
        return {wa_id: self._recent[wa_id] for wa_id in wa_ids if wa_id in self._recent}
