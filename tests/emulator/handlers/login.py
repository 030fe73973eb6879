"""The beginning and the end of a connection: login, registration, what strikes whoever is online."""

import base64
import os

from tests.emulator.accounts import Device
from tests.emulator.addresses import Address, lid
from tests.emulator.binary import SERVER, Node, Value
from tests.emulator.clients import Client
from tests.emulator.faults import Drop, Failure, LoginUnanswered, Moment, Mute, QrCodes, StreamError
from tests.emulator.feed import Happening
from tests.emulator.schemas import ClientPayload

_QR_CODES = 6
_UNTIL_CLOSED = 0.2


def arrive(client: Client, payload: ClientPayload) -> None:
    """A client finished its handshake and said who it is (or that it is nobody yet)."""
    if payload.HasField("username"):
        _log_in(client, Address(str(payload.username), payload.device))
    else:
        _register(client)


def depart(client: Client) -> None:
    """A connection ended, from whichever side."""
    world, device = client.world, client.device
    for ref in client.refs:
        world.scannable.pop(ref, None)
    for phone in [phone for phone, pairing in world.codes.items() if pairing.client is client]:
        del world.codes[phone]
    if client.invited is not None:
        world.feed.add(Happening.PAIRING_REFUSED, client.phone, reason="the client left without an answer")
    if device is not None and device.client is client:
        device.client, device.since = None, world.clock()
    world.feed.add(Happening.OFFLINE, client.phone, paired=device is not None)


def _log_in(client: Client, address: Address) -> None:
    world = client.world
    client.phone = address.phone
    world.feed.add(Happening.LOGIN, address.phone, device=address.device)
    if isinstance(world.faults.strike(Moment.STANZA, address.phone), Mute):
        return
    device = world.device(address)
    match world.faults.strike(Moment.LOGIN, address.phone):
        case Failure() as failure:
            _fail(client, failure)
            return
        case LoginUnanswered():
            return
    if device is None:
        _fail(client, Failure(reason=401))
        return
    _replace(device)
    device.client, device.since, client.device = client, world.clock(), device
    device.logins += 1
    client.send(
        Node(
            "success",
            {"t": world.seconds(), "lid": lid(*address), "props": "27", "location": "emu"},
        )
    )
    _send_backlog(client, device)
    strike_online(client)


def _send_backlog(client: Client, device: Device) -> None:
    """Everything not confirmed yet, between a preview and a count."""
    tags = [key.tag for key in device.queue]
    counts = {tag: str(tags.count(tag)) for tag in ("message", "receipt", "notification")}
    if tags:
        preview = {"count": str(len(tags)), "appdata": "0", **counts}
        client.send(Node("ib", {"from": SERVER}, [Node("offline_preview", preview)]))
    sent = device.post_all()
    client.send(Node("ib", {"from": SERVER}, [Node("offline", {"count": str(sent)})]))


def _replace(device: Device) -> None:
    """A second login of the same device ends the first."""
    if device.client is not None:
        _send_stream_error(device.client, StreamError(conflict="replaced"))
        device.client = None


def _register(client: Client) -> None:
    world = client.world
    world.feed.add(Happening.REGISTER)
    if isinstance(world.faults.strike(Moment.STANZA), Mute):
        return
    match world.faults.strike(Moment.REGISTER):
        case Failure() as failure:
            _fail(client, failure)
            return
        case LoginUnanswered():
            return
    fault = world.faults.strike(Moment.QR)
    count = fault.codes if isinstance(fault, QrCodes) else _QR_CODES
    client.refs = [base64.b64encode(os.urandom(24)).decode() for _ in range(count)]
    world.scannable |= dict.fromkeys(client.refs, client)
    refs = [Node("ref", {}, ref.encode()) for ref in client.refs]
    attrs: dict[str, Value] = {"from": SERVER, "type": "set", "id": world.new_iq_id(), "xmlns": "md"}
    client.send(Node("iq", attrs, [Node("pair-device", {}, refs)]))


def _fail(client: Client, failure: Failure) -> None:
    attrs = {"reason": str(failure.reason), "message": failure.message, "location": "emu"}
    if failure.code is not None:
        attrs["code"] = str(failure.code)
    if failure.expire is not None:
        attrs["expire"] = str(failure.expire)
    client.send(Node("failure", attrs))
    client.close_after(_UNTIL_CLOSED)


def strike_online(client: Client) -> None:
    """Let the faults for those who are online strike this client."""
    match client.world.faults.strike(Moment.ONLINE, client.phone):
        case Drop(how="fin"):
            client.link.close()
        case Drop():
            client.link.reset()
        case StreamError() as fault:
            _send_stream_error(client, fault)


def _send_stream_error(client: Client, fault: StreamError) -> None:
    conflict = [Node("conflict", {"type": fault.conflict})] if fault.conflict else None
    client.send(Node("stream:error", {"code": fault.code}, conflict))
    if fault.conflict == "device_removed" and client.device is not None:
        client.world.account(client.phone).unlink(client.device.number)
    if fault.close:
        client.close_after(_UNTIL_CLOSED)
