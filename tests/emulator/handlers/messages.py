"""Messages from a client: acknowledged, then taken to the phones and companions they are encrypted for."""

from tests.emulator.accounts import Delivery, DeliveryKey
from tests.emulator.addresses import Address, address_of, lid, pn
from tests.emulator.api import Arrival, Unreadable
from tests.emulator.binary import Node, Value
from tests.emulator.clients import Client
from tests.emulator.contacts import Contact
from tests.emulator.content import read, write_text
from tests.emulator.faults import AckError, DropInFlight, LateAck, Moment, NoAck, NoDecrypt
from tests.emulator.feed import Happening
from tests.emulator.handlers.outgoing import confirm, request_again, send
from tests.emulator.schemas import Message
from tests.emulator.signal.party import KeyReusedError, RedeliveryError
from tests.emulator.signal.ratchet import DecryptError
from tests.emulator.world import World


def handle_message(client: Client, stanza: Node) -> None:
    world = client.world
    match world.faults.strike(Moment.MESSAGE, client.phone):
        case DropInFlight(how="fin"):
            client.link.close()
            return
        case DropInFlight():
            client.link.reset()
            return
        case AckError(code=code):
            client.send(_ack(world, stanza, error=code))
            return
        case NoAck():
            pass
        case LateAck(seconds=seconds):
            world.later(seconds, lambda: client.send(_ack(world, stanza)))
        case _:
            client.send(_ack(world, stanza))
    if not isinstance(world.faults.strike(Moment.DECRYPT, client.phone), NoDecrypt):
        _distribute(client, stanza)


def _ack(world: World, stanza: Node, error: int | None = None) -> Node:
    attrs: dict[str, Value] = {
        "class": "message",
        "id": stanza.get("id"),
        "from": stanza.attrs.get("to", ""),
        "t": world.seconds(),
    }
    if error is not None:
        attrs["error"] = str(error)
    return Node("ack", attrs)


def _distribute(client: Client, stanza: Node) -> None:
    """To each device its own ciphertext; a single one, without a list, is for the addressee's phone."""
    participants = stanza.child("participants")
    if participants is not None:
        parts = [(part.jid("jid"), part.child("enc")) for part in participants.children]
    else:
        parts = [(stanza.jid("participant") or stanza.jid("to"), stanza.child("enc"))]
    for jid, sealed in parts:
        address = address_of(jid)
        if address is None or sealed is None:
            continue
        if address.device:
            _forward(client, stanza, sealed, address)
        else:
            _deliver(client, stanza, sealed, client.world.contact(address.phone))


def _forward(client: Client, stanza: Node, sealed: Node, to: Address) -> None:
    """To a companion of another account (or another companion of the same one)."""
    device = client.world.device(to)
    if device is None or client.device is None:
        return
    attrs: dict[str, Value] = {
        "from": lid(client.phone, client.device.number),
        "sender_pn": pn(client.phone),
        "addressing_mode": "lid",
        "id": stanza.get("id"),
        "t": client.world.seconds(),
        "type": stanza.get("type"),
        "notify": client.world.contact(client.phone).name,
    }
    identity = stanza.child("device-identity")
    node = Node("message", attrs, [sealed, identity] if identity else [sealed])
    device.post(Delivery(DeliveryKey("message", stanza.get("id")), lambda _count: node))


def _deliver(client: Client, stanza: Node, sealed: Node, contact: Contact) -> None:
    world, device, message_id = client.world, client.device, stanza.get("id")
    if device is None:
        return
    try:
        plain = contact.party.decrypt(device.address, sealed.get("type"), sealed.data)
    except RedeliveryError:
        world.feed.add(Happening.REDELIVERY, client.phone, id=message_id, to=contact.phone)
        return
    except KeyReusedError as error:
        report = f"{client.phone} to {contact.phone}, message {message_id}: {error}"
        world.key_reuse.append(report)
        world.archive.unreadable.append(Unreadable(contact.phone, message_id, client.phone, "key_reuse", world.clock()))
        world.feed.add(Happening.KEY_REUSED, client.phone, id=message_id, to=contact.phone, report=report)
        return
    except DecryptError as error:
        world.feed.add(Happening.UNDECRYPTABLE, client.phone, id=message_id, to=contact.phone, reason=str(error))
        missed = Unreadable(contact.phone, message_id, client.phone, "undecryptable", world.clock())
        world.archive.unreadable.append(missed)
        request_again(world, contact, device, message_id)
        return
    if contact.phone != client.phone:
        _show(client, contact, message_id, Message.FromString(plain))


def _show(client: Client, contact: Contact, message_id: str, message: Message) -> None:
    """Into the inbox; then the contact does what it does by itself."""
    world, device = client.world, client.device
    item = contact.receive(message_id, client.phone, world.clock(), read(message, world.media))
    world.archive.arrivals.append(Arrival(contact.phone, message_id, client.phone, item.text, item.at))
    world.feed.add(Happening.MESSAGE, client.phone, id=message_id, to=contact.phone, type=item.type, text=item.text)
    if device is None:
        return
    if contact.auto.delivered:
        confirm(world, contact, device, message_id, "")
    if contact.auto.read:
        confirm(world, contact, device, message_id, "read")
    reply = contact.reply_to(item)
    if reply is not None:
        _reply(world, contact, client.phone, reply)


def _reply(world: World, contact: Contact, to: str, text: str) -> None:
    def write() -> None:
        if any(world.devices(to)):
            send(world, contact, to, write_text(text, "", to), by_lid=True)

    if contact.auto.after:
        world.later(contact.auto.after, write)
    else:
        write()
