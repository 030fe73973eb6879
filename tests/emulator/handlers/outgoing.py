"""What goes to the accounts' devices: contacts' messages and their confirmations."""

import os

from tests.emulator.accounts import Delivery, DeliveryKey, Device
from tests.emulator.api import Letter
from tests.emulator.binary import Node, Value
from tests.emulator.contacts import Contact
from tests.emulator.content import Written
from tests.emulator.feed import Happening
from tests.emulator.handlers.bundles import bundle_children
from tests.emulator.world import RequestError, World

_RETRIES = 2
"""How often a contact asks again for a message that it cannot read."""

_SECRET_BYTES = 32
_WITHOUT_SECRET = frozenset({"reaction"})
"""Every other message carries a secret, from which later edits and reactions to it derive their keys."""

_SAME_CONVERSATION = 1
"""How many retries of a client are answered from the conversation as it is; then a new one is begun."""


def send(world: World, contact: Contact, to: str, written: Written, *, by_lid: bool) -> str:
    """A contact writes to the account ``to``; the message's id.  RequestError if no device is linked to it."""
    devices = list(world.devices(to))
    if not devices:
        raise RequestError("to: no device is linked to this number")
    message_id = world.new_message_id()
    if written.stanza_type not in _WITHOUT_SECRET:
        written.message.messageContextInfo.messageSecret = os.urandom(_SECRET_BYTES)
    for device in devices:
        _post(world, contact, device, written, message_id, by_lid)
    text = written.message.conversation or written.message.extendedTextMessage.text
    world.archive.written(Letter(message_id, contact.phone, to, text, world.clock()))
    world.feed.add(Happening.SENT, to, id=message_id, sender=contact.phone)
    return message_id


def _post(world: World, contact: Contact, device: Device, written: Written, message_id: str, by_lid: bool) -> None:
    plain = bytes(written.message.SerializeToString())
    attrs: dict[str, Value] = {
        "id": message_id,
        "t": world.seconds(),
        "type": written.stanza_type,
        "notify": contact.name,
    }
    if written.edit:
        attrs["edit"] = written.edit
    if by_lid:
        attrs |= {"from": contact.lid, "addressing_mode": "lid", "sender_pn": contact.pn}
    else:
        attrs |= {"from": contact.pn, "addressing_mode": "pn", "sender_lid": contact.lid}

    def write(retries: int) -> Node:
        if retries > _SAME_CONVERSATION:
            contact.party.forget(device.address)
        kind, sealed = _encrypt(contact, device, plain)
        sealed_attrs: dict[str, Value] = {"v": "2", "type": kind, "mediatype": written.media_type}
        if retries:
            sealed_attrs["count"] = str(retries)
        return Node("message", attrs, [Node("enc", sealed_attrs, sealed)])

    device.post(Delivery(DeliveryKey("message", message_id), write))


def _encrypt(contact: Contact, device: Device, plain: bytes) -> tuple[str, bytes]:
    if not contact.party.knows(device.address):
        bundle = device.take_bundle()
        if bundle is None:
            raise RuntimeError("a device without keys is not ready")
        contact.party.begin(device.address, bundle)
    return contact.party.encrypt(device.address, plain)


def confirm(world: World, contact: Contact, device: Device, message_id: str, kind: str) -> None:
    """A receipt from the contact: ``kind`` is empty for "delivered", or "read"."""
    attrs: dict[str, Value] = {"from": contact.lid, "id": message_id, "t": world.seconds(), "type": kind}
    node = Node("receipt", attrs)
    device.post(Delivery(DeliveryKey("receipt", message_id, kind), lambda _count: node))


def request_again(world: World, contact: Contact, device: Device, message_id: str) -> None:
    """The contact could not read a message: it asks for it again, the second time with new keys of its own."""
    count = contact.retries[message_id] = contact.retries.get(message_id, 0) + 1
    if count > _RETRIES:
        return
    attrs: dict[str, Value] = {"from": contact.lid, "id": message_id, "t": world.seconds(), "type": "retry"}
    retry: dict[str, Value] = {"count": str(count), "id": message_id, "t": world.seconds(), "v": "1"}
    registration, *keys = bundle_children(contact.party.bundle())
    children = [Node("retry", retry), registration]
    if count > 1:
        children.append(Node("keys", {}, keys))
    node = Node("receipt", attrs, children)
    device.post(Delivery(DeliveryKey("receipt", message_id, "retry"), lambda _count: node))
