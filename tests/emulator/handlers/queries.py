"""Queries (iq): one table by namespace.  What is not in it gets an empty result, which is enough."""

from collections.abc import Callable, Iterable, Mapping

from tests.emulator.addresses import Address, address_of, lid, pn
from tests.emulator.binary import Node, Value
from tests.emulator.certificates import MEDIA_HOSTS
from tests.emulator.clients import Client
from tests.emulator.faults import BundleRefused, IqError, Moment
from tests.emulator.feed import Happening
from tests.emulator.handlers.bundles import bundle_children
from tests.emulator.handlers.pairing import handle_code_query, handle_pairing_answer
from tests.emulator.signal.party import Bundle, OneTimePrekey, SignedPrekey

_PRIVACY = ("groupadd", "last", "status", "profile", "readreceipts", "online", "calladd")


class QueryError(Exception):
    """The query ends in an error with this code and text."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(f"{code} {text}")
        self.code, self.text = code, text


def handle_iq(client: Client, iq: Node) -> None:
    if iq.get("type") in ("result", "error"):
        handle_pairing_answer(client, iq)
        return
    xmlns = iq.get("xmlns")
    fault = client.world.faults.strike(Moment.IQ, client.phone, xmlns)
    try:
        if isinstance(fault, IqError):
            raise QueryError(fault.code, "fault")
        children = QUERIES.get(xmlns, _nothing)(client, iq)
    except QueryError as error:
        client.refuse(iq, error.code, error.text)
        return
    client.answer(iq, children)
    follow_up = _AFTERWARDS.get(xmlns)
    if follow_up is not None:
        follow_up(client, iq)


def _nothing(_client: Client, _iq: Node) -> list[Node]:
    return []


def _encrypt(client: Client, iq: Node) -> list[Node]:
    """Prekeys: the client's own (count, upload) and other people's (key)."""
    if iq.child("count") is not None:
        count = len(client.device.one_time) if client.device else 0
        return [Node("count", {"value": str(count)})]
    asked = iq.child("key")
    if asked is not None:
        fault = client.world.faults.strike(Moment.BUNDLE, client.phone)
        if isinstance(fault, BundleRefused):
            raise QueryError(fault.code, "fault")
        return [Node("list", {}, [_bundle_of(client, user) for user in asked.children])]
    _keep_prekeys(client, iq)
    return []


def _keep_prekeys(client: Client, upload: Node) -> None:
    device, signed = client.device, upload.child("skey")
    keys, registration = upload.child("list"), upload.child("registration")
    if device is None or signed is None or keys is None or registration is None:
        return
    identifier, value, signature = (_data(signed, name) for name in ("id", "value", "signature"))
    device.registration = int.from_bytes(registration.data)
    device.signed = SignedPrekey(int.from_bytes(identifier), value, signature)
    device.one_time.extend(
        OneTimePrekey(int.from_bytes(_data(key, "id")), _data(key, "value")) for key in keys.children
    )


def _data(node: Node, child: str) -> bytes:
    found = node.child(child)
    return found.data if found else b""


def _bundle_of(client: Client, user: Node) -> Node:
    jid = user.jid("jid")
    address = address_of(jid)
    bundle = _take_bundle(client, address) if address else None
    if jid is None or bundle is None:
        return Node("user", user.attrs, [Node("error", {"code": "404", "text": "item-not-found"})])
    return Node("user", {"jid": jid}, bundle_children(bundle))


def _take_bundle(client: Client, address: Address) -> Bundle | None:
    world = client.world
    if address.device:
        device = world.device(address)
        return device.take_bundle() if device else None
    contact = world.contact(address.phone)
    return contact.party.bundle() if contact.exists else None


def _usync(client: Client, iq: Node) -> list[Node]:
    """Who is behind these addresses or numbers, and with which devices?"""
    request = iq.child("usync")
    asked, users = iq.child("usync", "query"), iq.child("usync", "list")
    if request is None or asked is None or users is None:
        raise QueryError(400, "bad-request")
    topics = {topic.tag for topic in asked.children}
    attrs: dict[str, Value] = {name: request.get(name) for name in ("sid", "mode", "context")}
    found = [_user(client, user, topics) for user in users.children]
    answer = Node("usync", attrs | {"index": "0", "last": "true"}, [Node("result"), Node("list", {}, found)])
    return [answer]


def _user(client: Client, user: Node, topics: Iterable[str]) -> Node:
    number = user.child("contact")
    if number is not None:
        return _user_by_number(client, number)
    jid = user.jid("jid")
    address = address_of(jid)
    if jid is None or address is None or not client.world.contact(address.phone).exists:
        return Node("user", user.attrs)
    children = []
    if "lid" in topics:
        children.append(Node("lid", {"val": lid(address.phone)}))
    if "devices" in topics:
        linked = [device.number for device in client.world.devices(address.phone)]
        devices = [Node("device", {"id": str(number)}) for number in (0, *linked)]
        children.append(Node("devices", {}, [Node("device-list", {"hash": "2:emu"}, devices)]))
    return Node("user", {"jid": jid}, children)


def _user_by_number(client: Client, number: Node) -> Node:
    """Is this number on WhatsApp?  The answer repeats the number as it was asked."""
    phone = number.data.decode(errors="replace").lstrip("+").partition("@")[0]
    exists = client.world.contact(phone).exists
    attrs: dict[str, Value] = {"jid": lid(phone), "pn_jid": pn(phone)} if exists else {"jid": pn(phone)}
    return Node("user", attrs, [Node("contact", {"type": "in" if exists else "out"}, number.data)])


def _media(_client: Client, _iq: Node) -> list[Node]:
    attrs = {"auth": "emu", "ttl": "300", "auth_ttl": "21600", "max_buckets": "12"}
    return [Node("media_conn", attrs, [Node("host", {"hostname": host}) for host in MEDIA_HOSTS])]


def _privacy(_client: Client, iq: Node) -> list[Node]:
    if iq.get("type") != "get":
        return []
    return [Node("privacy", {}, [Node("category", {"name": name, "value": "all"}) for name in _PRIVACY])]


def _app_state(_client: Client, iq: Node) -> list[Node]:
    sync = iq.child("sync")
    names = [collection.get("name") for collection in sync.children] if sync else []
    collections = [Node("collection", {"name": name, "version": "0", "type": "result"}) for name in names]
    return [Node("sync", {}, collections)]


def _block_list(_client: Client, _iq: Node) -> list[Node]:
    return [Node("list", {"dhash": "none"})]


def _after_linking(client: Client, iq: Node) -> None:
    removed = iq.child("remove-companion-device")
    if removed is not None and client.device is not None:
        client.world.account(client.phone).unlink(client.device.number)
        client.world.feed.add(Happening.LOGOUT, client.phone, device=client.device.number)


def _after_passive(client: Client, iq: Node) -> None:
    if iq.child("active") is not None and client.device is not None:
        client.world.feed.add(Happening.ONLINE, client.phone, device=client.device.number)


def _after_upload(client: Client, iq: Node) -> None:
    """With its keys there, a new device can be written to."""
    if iq.child("skey") is not None and client.device is not None:
        client.device.post_unwritten()


QUERIES: Mapping[str, Callable[[Client, Node], list[Node]]] = {
    "encrypt": _encrypt,
    "usync": _usync,
    "w:m": _media,
    "privacy": _privacy,
    "w:sync:app:state": _app_state,
    "blocklist": _block_list,
    "md": handle_code_query,
}

_AFTERWARDS: Mapping[str, Callable[[Client, Node], None]] = {
    "encrypt": _after_upload,
    "md": _after_linking,
    "passive": _after_passive,
}
