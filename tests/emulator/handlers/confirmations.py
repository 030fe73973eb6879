"""Receipts and acks from a client: what it confirms leaves its queue."""

from tests.emulator.accounts import DeliveryKey
from tests.emulator.binary import Node, Value
from tests.emulator.clients import Client
from tests.emulator.feed import Happening

_RETRY = "retry"


def handle_receipt(client: Client, receipt: Node) -> None:
    """Delivered or read by the client's user, or asked for again."""
    kind = receipt.get("type")
    attrs: dict[str, Value] = {
        "class": "receipt",
        "id": receipt.get("id"),
        "from": receipt.attrs.get("to", ""),
        "type": kind,
    }
    client.send(Node("ack", attrs))
    to = receipt.jid("to")
    for message_id in _ids(receipt):
        client.world.feed.add(Happening.RECEIPT, client.phone, id=message_id, type=kind, to=str(to) if to else "")
        if client.device is None:
            continue
        key = DeliveryKey("message", message_id)
        if kind == _RETRY:
            client.world.archive.retried(message_id)
            _write_again(client, key, receipt)
        else:
            client.world.archive.receipted(message_id, client.world.clock())
            client.device.confirm(key)


def handle_ack(client: Client, ack: Node) -> None:
    """An ack confirms receipts and notifications; that of a message says it cannot be read, and is not enough."""
    if client.device is not None and ack.get("class") != "message":
        client.device.confirm(DeliveryKey(ack.get("class"), ack.get("id"), ack.get("type")))


def _ids(receipt: Node) -> list[str]:
    more = receipt.child("list")
    return [receipt.get("id"), *(item.get("id") for item in (more.children if more else []))]


def _write_again(client: Client, key: DeliveryKey, receipt: Node) -> None:
    """The client could not read a message: encrypt it anew and send it under the same id."""
    device, retry = client.device, receipt.child("retry")
    delivery = device.queue.get(key) if device else None
    if device is None or delivery is None or retry is None:
        return
    delivery.node = delivery.write(int(retry.get("count") or 1))
    device.post(delivery)
