"""The model and its handlers, with links that only remember."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace

import pytest

from tests.emulator.addresses import Address, address_of, lid, pn
from tests.emulator.api import Auto
from tests.emulator.binary import JID, SERVER, Node, Value
from tests.emulator.clients import Client
from tests.emulator.contacts import Contact
from tests.emulator.content import write_text
from tests.emulator.curve import KEY_TYPE, KeyPair
from tests.emulator.faults import Delay, Mute
from tests.emulator.handlers import handle
from tests.emulator.handlers.login import arrive, depart
from tests.emulator.handlers.outgoing import confirm, send
from tests.emulator.schemas import ClientPayload
from tests.emulator.signal.party import Party, SignedPrekey
from tests.emulator.signal.wire import FirstMessage
from tests.emulator.world import RequestError, World

PHONE, CONTACT = "5511900000001", "5511888000001"


@dataclass
class RememberingLink:
    sent: list[Node] = field(default_factory=list)
    delays: list[float] = field(default_factory=list)
    ended: str = ""

    def send(self, node: Node, delay: float, second: float | None = None) -> None:
        self.sent.append(node)
        self.delays.append(delay)

    def close(self) -> None:
        self.ended = "closed"

    def reset(self) -> None:
        self.ended = "reset"

    def tags(self) -> list[str]:
        return [node.tag for node in self.sent]


class Setting:
    """A world whose clock stands still and whose timers ring when told."""

    def __init__(self) -> None:
        self.timers: list[tuple[float, Callable[[], None]]] = []
        self.world = World(clock=lambda: 1_700_000_000.0, later=lambda s, f: self.timers.append((s, f)))

    def linked(self, *, keys: bool = True) -> int:
        """A device of PHONE; its number."""
        identity = KeyPair.generate()
        device = self.world.account(PHONE).invite(identity.public)
        self.world.account(PHONE).link(device)
        if keys:
            prekey = KeyPair.generate()
            signature = identity.sign(KEY_TYPE + prekey.public)
            device.signed = SignedPrekey(1, prekey.public, signature)
        return device.number

    def log_in(self, number: int) -> tuple[Client, RememberingLink]:
        link = RememberingLink()
        client = Client(self.world, link)
        arrive(client, ClientPayload(username=int(PHONE), device=number))
        return client, link

    def write(self, text: str) -> str:
        return send(self.world, self.world.contact(CONTACT), PHONE, write_text(text, "", PHONE), by_lid=True)


@pytest.fixture
def setting() -> Setting:
    return Setting()


def test_a_device_nobody_linked_is_refused_and_hung_up_on(setting: Setting) -> None:
    _, link = setting.log_in(1)
    assert [(node.tag, node.get("reason")) for node in link.sent] == [("failure", "401")]
    for _, ring in setting.timers:
        ring()
    assert link.ended == "closed"


def test_a_login_is_told_its_own_device_address(setting: Setting) -> None:
    number = setting.linked()
    _, link = setting.log_in(number)
    assert link.tags() == ["success", "ib"]
    assert link.sent[0].jid("lid") == lid(PHONE, number)


def test_a_second_login_ends_the_first(setting: Setting) -> None:
    number = setting.linked()
    first, link = setting.log_in(number)
    second, _ = setting.log_in(number)
    assert link.sent[-1].child("conflict") == Node("conflict", {"type": "replaced"})
    depart(first)
    [session] = setting.world.sessions()
    assert (session.connected, session.logins) == (True, 2)
    depart(second)
    assert [s.connected for s in setting.world.sessions()] == [False]


def test_what_is_not_confirmed_comes_again_with_the_same_bytes(setting: Setting) -> None:
    number = setting.linked()
    client, link = setting.log_in(number)
    ids = [setting.write(text) for text in ("um", "dois")]
    handle(client, Node("receipt", {"id": ids[0], "to": lid(CONTACT), "type": "inactive"}))
    depart(client)
    ids.append(setting.write("três"))

    _, again = setting.log_in(number)

    assert again.tags() == ["success", "ib", "message", "message", "ib"]
    messages = [node for node in again.sent if node.tag == "message"]
    assert [node.get("id") for node in messages] == ids[1:]
    assert messages[0].content in [node.content for node in link.sent]
    assert [node.get("offline") for node in messages] == ["0", "1"]
    assert all("offline" not in node.attrs for node in link.sent)
    preview, count = (node.children[0] for node in again.sent if node.tag == "ib")
    assert (preview.get("message"), count.get("count")) == ("2", "2")


def test_one_receipt_may_confirm_several_messages(setting: Setting) -> None:
    client, _ = setting.log_in(setting.linked())
    first, *others = [setting.write(text) for text in "abc"]
    listed = [Node("item", {"id": message_id}) for message_id in others]
    handle(client, Node("receipt", {"id": first, "to": lid(CONTACT)}, [Node("list", {}, listed)]))
    assert [s.offline_queue for s in setting.world.sessions()] == [0]


def test_the_archive_tells_what_was_confirmed_and_what_was_asked_for_again(setting: Setting) -> None:
    client, _ = setting.log_in(setting.linked())
    first, second, third = [setting.write(text) for text in "abc"]
    handle(client, Node("receipt", {"id": first, "to": lid(CONTACT), "type": "inactive"}))
    handle(client, Node("receipt", {"id": second, "to": lid(CONTACT), "type": "retry"}, [Node("retry", {})]))
    letters = setting.world.archive.letters
    assert [(one.text, one.receipted is not None, one.retries) for one in letters.values()] == [
        ("a", True, 0),
        ("b", False, 1),
        ("c", False, 0),
    ]
    assert letters[third].sender == CONTACT


def test_receipts_wait_for_their_ack(setting: Setting) -> None:
    number = setting.linked()
    client, link = setting.log_in(number)
    device = setting.world.device(Address(PHONE, number))
    assert device is not None
    confirm(setting.world, setting.world.contact(CONTACT), device, "ID", "read")
    assert link.sent[-1].get("type") == "read"
    assert len(device.queue) == 1
    handle(client, Node("ack", {"class": "receipt", "id": "ID", "type": "read"}))
    assert not device.queue


def test_a_new_device_gets_its_messages_when_its_keys_are_there(setting: Setting) -> None:
    client, link = setting.log_in(setting.linked(keys=False))
    setting.write("cedo")
    assert "message" not in link.tags()
    identity, prekey = KeyPair.generate(), KeyPair.generate()
    assert client.device is not None
    client.device.identity = identity.public
    signed = [
        Node("id", {}, b"\0\0\1"),
        Node("value", {}, prekey.public),
        Node("signature", {}, identity.sign(KEY_TYPE + prekey.public)),
    ]
    upload = [Node("registration", {}, bytes(4)), Node("list"), Node("skey", {}, signed)]
    handle(client, Node("iq", {"id": "1", "type": "set", "xmlns": "encrypt", "to": SERVER}, upload))
    assert link.tags()[-2:] == ["iq", "message"]


def test_nobody_can_write_to_a_number_without_device(setting: Setting) -> None:
    with pytest.raises(RequestError, match="no device"):
        setting.write("oi")


def test_unknown_queries_get_an_empty_result_and_unknown_stanzas_none(setting: Setting) -> None:
    client, link = setting.log_in(setting.linked())
    link.sent.clear()
    handle(client, Node("iq", {"id": "7", "type": "get", "xmlns": "w:p", "to": SERVER}))
    handle(client, Node("presence", {"type": "available"}))
    assert link.sent == [Node("iq", {"from": SERVER, "type": "result", "id": "7"}, [])]


def test_a_mute_world_sends_nothing_and_a_slow_one_late(setting: Setting) -> None:
    client, link = setting.log_in(setting.linked())
    ping = Node("iq", {"id": "7", "type": "get", "xmlns": "w:p", "to": SERVER})
    setting.world.faults.arm(Mute(phone=PHONE))
    link.sent.clear()
    handle(client, ping)
    assert link.sent == []
    setting.world.faults.disarm()
    setting.world.faults.arm(Delay(seconds=2))
    handle(client, ping)
    assert link.delays[-1] == 2


def message(message_id: str, kind: str, sealed: bytes) -> Node:
    part = Node("to", {"jid": lid(CONTACT)}, [Node("enc", {"v": "2", "type": kind}, sealed)])
    attrs: dict[str, Value] = {"id": message_id, "to": lid(CONTACT), "type": "text"}
    return Node("message", attrs, [Node("participants", {}, [part])])


def sealed_text(contact: Contact, text: str) -> tuple[str, bytes]:
    """A companion's first message to the contact."""
    companion = Party[str]()
    companion.begin("contact", contact.party.bundle())
    return companion.encrypt("contact", bytes(write_text(text, "", "").message.SerializeToString()))


def test_a_key_used_twice_is_put_on_record_and_the_same_bytes_again_are_not(setting: Setting) -> None:
    client, _ = setting.log_in(setting.linked())
    contact = setting.world.contact(CONTACT)
    kind, sealed = sealed_text(contact, "oi")
    inner = FirstMessage.decode(sealed)
    other = replace(inner, message=inner.message[:-1] + bytes([inner.message[-1] ^ 1])).encode()
    for message_id, data in (("A", sealed), ("A", sealed), ("B", other)):
        handle(client, message(message_id, kind, data))
    assert [item.id for item in contact.inbox] == ["A"]
    counts = setting.world.feed.counts
    assert (counts["message"], counts["redelivery"], counts["key_reused"]) == (1, 1, 1)
    [report] = setting.world.stats().key_reuse
    assert "message B" in report


def test_a_contact_answers_after_the_time_it_was_told(setting: Setting) -> None:
    client, link = setting.log_in(setting.linked())
    contact = setting.world.contact(CONTACT)
    contact.auto = Auto(reply="eco: {text}", after=2.5)
    handle(client, message("A", *sealed_text(contact, "oi")))
    assert link.tags()[-2:] == ["ack", "receipt"]
    [(seconds, ring)] = setting.timers
    ring()
    assert (seconds, link.tags()[-1]) == (2.5, "message")


def test_numbers_have_two_addresses_and_others_belong_to_nobody() -> None:
    assert address_of(pn(PHONE, 3)) == address_of(lid(PHONE, 3)) == Address(PHONE, 3)
    others = [None, SERVER, JID("120363", "g.us"), JID("1", "lid")]
    assert [address_of(jid) for jid in others] == [None] * 4
