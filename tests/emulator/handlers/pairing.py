"""Linking a device: by QR code, and by a code typed on the phone."""

import base64
import binascii
import os
import random

from tests.emulator.adv import Invitation, accepted, vouch
from tests.emulator.binary import SERVER, Node, Value
from tests.emulator.clients import Client
from tests.emulator.curve import KeyPair
from tests.emulator.faults import Moment, PairingLie, PairingRestart
from tests.emulator.feed import Happening
from tests.emulator.pair_code import CodeExchange, WrongCodeError
from tests.emulator.world import CodePairing, RequestError, World

_REF, _IDENTITY, _ADV = 0, 2, 3
_REGISTRATION = "link_code_companion_reg"


def scan(world: World, qr: str, phone: str) -> None:
    """A human scans the QR code with that phone; RequestError if nobody shows it."""
    fields = qr.partition("#")[2].split(",") if "#" in qr else qr.split(",")
    if len(fields) < 4:
        raise RequestError("qr: expected the text of a WhatsApp QR code: ref,noise,identity,adv,...")
    try:
        identity, secret = (base64.b64decode(fields[i], validate=True) for i in (_IDENTITY, _ADV))
    except binascii.Error as error:
        raise RequestError("qr: the keys in it are not base64") from error
    client = world.scannable.get(fields[_REF])
    if client is None:
        raise RequestError("qr: no client shows this code (any more)")
    invite(client, Invitation(identity, secret), phone)


def invite(client: Client, invitation: Invitation, phone: str) -> None:
    """Tell the client that the phone accepted it."""
    world = client.world
    device = world.account(phone).invite(invitation.companion_identity)
    client.phone, client.invited = phone, device
    identity = world.contact(phone).party.identity
    lie = world.faults.strike(Moment.PAIRING, phone)
    word = vouch(
        invitation,
        identity,
        key_index=device.number,
        raw_id=random.getrandbits(31),
        now=world.clock(),
        signer=KeyPair.generate() if isinstance(lie, PairingLie) and lie.lie == "bad_signature" else None,
        secret=os.urandom(32) if isinstance(lie, PairingLie) and lie.lie == "bad_hmac" else None,
    )
    children = [
        Node("device-identity", {}, word),
        Node("biz", {"name": f"Conta {phone[-4:]}"}),
        Node("device", {"jid": device.pn, "lid": device.lid}),
        Node("platform", {"name": "android"}),
    ]
    attrs: dict[str, Value] = {
        "from": SERVER,
        "type": "set",
        "id": world.new_iq_id(),
        "xmlns": "md",
        "t": world.seconds(),
    }
    client.send(Node("iq", attrs, [Node("pair-success", {}, children)]))


def handle_pairing_answer(client: Client, iq: Node) -> None:
    """The client's result or error to what it was told."""
    world, device = client.world, client.invited
    if device is None:
        return
    client.invited = None
    signed = iq.child("pair-device-sign", "device-identity")
    phone_identity = world.contact(device.phone).party.identity.public
    if signed is None or not accepted(signed.data, device.identity, phone_identity):
        error = iq.child("error")
        reason = error.get("text") if error else "the device's signature is wrong"
        world.feed.add(Happening.PAIRING_REFUSED, device.phone, reason=reason)
        return
    client.device = device
    world.account(device.phone).link(device)
    world.feed.add(Happening.PAIRED, device.phone, device=device.number)
    fault = world.faults.strike(Moment.PAIRED, device.phone)
    restart = fault if isinstance(fault, PairingRestart) else PairingRestart()
    if restart.send_515:
        client.send(Node("stream:error", {"code": "515"}))
    if restart.close_after == 0:
        client.link.close()
    elif restart.close_after is not None:
        client.close_after(restart.close_after)


def handle_code_query(client: Client, query: Node) -> list[Node]:
    """The client's two requests when it pairs by code: hello, and finish."""
    registration = query.child(_REGISTRATION)
    if registration is None:
        return []
    if registration.get("stage") == "companion_hello":
        return _await_code(client, registration)
    client.world.later(0, lambda: _finish(client, registration))
    return []


def _await_code(client: Client, hello: Node) -> list[Node]:
    jid = hello.jid("jid")
    wrapped = hello.child("link_code_pairing_wrapped_companion_ephemeral_pub")
    if jid is None or wrapped is None:
        return []
    ref = base64.b64encode(os.urandom(16))
    client.world.codes[jid.user] = CodePairing(client, ref, wrapped.data)
    return [Node(_REGISTRATION, {"stage": "companion_hello"}, [Node("link_code_pairing_ref", {}, ref)])]


def type_code(world: World, code: str, phone: str) -> None:
    """A human types the code on that phone; RequestError if no client waits for one there."""
    pairing = world.codes.get(phone)
    if pairing is None:
        raise RequestError("phone: no client asked for a pairing code for this number")
    exchange = pairing.exchange = CodeExchange(code, pairing.wrapped)
    children = [
        Node("link_code_pairing_ref", {}, pairing.ref),
        Node("link_code_pairing_wrapped_primary_ephemeral_pub", {}, exchange.answer()),
        Node("primary_identity_pub", {}, world.contact(phone).party.identity.public),
    ]
    attrs: dict[str, Value] = {"from": SERVER, "type": _REGISTRATION, "id": world.new_iq_id(), "t": world.seconds()}
    pairing.client.send(Node("notification", attrs, [Node(_REGISTRATION, {"stage": "primary_hello"}, children)]))


def _finish(client: Client, finish: Node) -> None:
    world = client.world
    bundle = finish.child("link_code_pairing_wrapped_key_bundle")
    identity = finish.child("companion_identity_public")
    for phone, pairing in tuple(world.codes.items()):
        if pairing.client is client and pairing.exchange and bundle and identity:
            del world.codes[phone]
            try:
                invitation = pairing.exchange.open_bundle(
                    bundle.data, identity.data, world.contact(phone).party.identity
                )
            except WrongCodeError as error:
                world.feed.add(Happening.PAIRING_REFUSED, phone, reason=str(error))
            else:
                invite(client, invitation, phone)
