"""What the server does with each stanza: one table by tag here, one by namespace for queries in ``queries``.

Handlers are plain functions of a client and a stanza; they send through the client and return nothing.
"""

from collections.abc import Callable, Mapping

from tests.emulator.api import Datum
from tests.emulator.binary import Node
from tests.emulator.clients import Client
from tests.emulator.faults import Moment, Mute
from tests.emulator.feed import Happening
from tests.emulator.handlers.confirmations import handle_ack, handle_receipt
from tests.emulator.handlers.messages import handle_message
from tests.emulator.handlers.queries import handle_iq

STANZAS: Mapping[str, Callable[[Client, Node], None]] = {
    "iq": handle_iq,
    "message": handle_message,
    "receipt": handle_receipt,
    "ack": handle_ack,
}
"""Other tags (presence, chat state, ib, the answers to what nobody asked) need no answer."""


def handle(client: Client, stanza: Node) -> None:
    """Do what WhatsApp does with a stanza from a logged-in or pairing client."""
    world = client.world
    data: dict[str, Datum] = {"tag": stanza.tag, "id": stanza.get("id"), "type": stanza.get("type")}
    if stanza.tag == "iq":
        data["xmlns"] = stanza.get("xmlns")
    world.feed.add(Happening.STANZA, client.phone, **data)
    if isinstance(world.faults.strike(Moment.STANZA, client.phone), Mute):
        return
    handler = STANZAS.get(stanza.tag)
    if handler is not None:
        handler(client, stanza)
