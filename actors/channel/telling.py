"""How what was claimed is told on NATS: one attempt, from receipts matched to commands to the acknowledgement. On the
loop. Every attempt may be repeated, if the items are then marked as tried."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from actors.channel import media, way
from actors.channel.context import Context
from actors.channel.fitting import publish_fitting
from actors.channel.inbound import Teller, receipts_of
from actors.channel.inbox import Item
from actors.channel.optout import NO_WORDS, OptOut
from protocol.errors import UnavailableError
from protocol.events import EventMedia
from protocol.inbound import Inbound
from protocol.interfaces import Port
from protocol.ledger import Sender
from protocol.port_events import MessageReceived, ReceiptReceived

PUBLISH_TIMEOUT_S: Final = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ReceivingPolicy:
    """``from_me``: publish what the clinic's own phone sent. ``media_timeout_s``, ``media_limit`` (bytes): inbound
    media that takes longer or is larger is published with ``media.error``. ``in_memory``: claims that are held in
    memory until NATS has them; beyond that they are read back from the database. ``backlog_s``: after so long the
    channel takes a backlog that nobody announced to be empty."""

    from_me: bool = False
    media_timeout_s: float = 30.0
    media_limit: int = 16 * 1024 * 1024
    in_memory: int = 256
    backlog_s: float = 10.0
    optout: OptOut = NO_WORDS


@dataclass(frozen=True, slots=True)
class Tried:
    """An attempt to publish. ``senders``: by WhatsApp id, of the receipts in it, as far as it came to ask for them."""

    senders: Mapping[str, Sender] | None
    error: UnavailableError | None = None


def wanted(policy: ReceivingPolicy, what: Inbound) -> bool:
    """Whether ``what`` is published at all."""
    return policy.from_me or not (isinstance(what, MessageReceived) and what.from_me)


async def senders_of(context: Context, receipts: Sequence[ReceiptReceived]) -> Mapping[str, Sender]:
    """Note these receipts; the commands that they are about, by WhatsApp id. Raises StoreUnavailableError."""
    noted = [receipt for received in receipts for receipt in receipts_of(received)]
    senders = await context.flights.receipted(context.ledger, context.channel, noted)
    way.delivered(context, context.count.receipted(noted, senders))
    return senders


async def fetch_and_publish(
    context: Context,
    policy: ReceivingPolicy,
    teller: Teller,
    items: Sequence[Item],
    port: Port,
    begun: Callable[[], None],
) -> Tried:
    """Publish one message whose media is to be got through ``port``, in the clinic's turn; ``begun`` is told when that
    has come.

    Raises:
        PortGoneError: another port may get it.
        TimeoutError: what has deadlines of its own hangs.
    """
    (item,) = items
    assert isinstance(item.what, MessageReceived)
    deadline, limit = policy.media_timeout_s, policy.media_limit
    async with context.media_turns.of(context.clinic):
        begun()
        async with asyncio.timeout(deadline + PUBLISH_TIMEOUT_S):
            found = await media.fetch(context, port, item.what, deadline=deadline, limit=limit)
    async with asyncio.timeout(PUBLISH_TIMEOUT_S):
        return await publish(context, policy, teller, items, found)


async def publish(
    context: Context, policy: ReceivingPolicy, teller: Teller, items: Sequence[Item], found: EventMedia | None
) -> Tried:
    """Publish these in order; ``found``: the media of the only one. Raises StoreUnavailableError."""
    receipts = [item.what for item in items if isinstance(item.what, ReceiptReceived)]
    senders = await senders_of(context, receipts) if receipts else {}
    publications = [
        publication
        for item in items
        if wanted(policy, item.what)
        for publication in teller.publications(item, senders=senders, optout=policy.optout, media=found)
    ]
    try:
        if publications:
            await publish_fitting(context, publications)
    except UnavailableError as error:
        return Tried(senders, error)
    return Tried(senders)
