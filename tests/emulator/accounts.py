"""The accounts' linked devices: their keys, and what still has to reach them."""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from tests.emulator.addresses import Address, lid, pn
from tests.emulator.binary import JID, Node
from tests.emulator.signal.party import Bundle, OneTimePrekey, SignedPrekey

if TYPE_CHECKING:
    from tests.emulator.clients import Client


class DeliveryKey(NamedTuple):
    """What a client names when it confirms a stanza; ``kind`` is the receipt's type, empty for messages."""

    tag: str
    id: str
    kind: str = ""


@dataclass(slots=True, eq=False)
class Delivery:
    """A stanza for a device, kept until it is confirmed.

    ``write`` makes the stanza (its argument: how many times the client asked for it again).  That happens at
    the first attempt and not before, because a device that has just been linked has no keys yet.
    """

    key: DeliveryKey
    write: Callable[[int], Node]
    node: Node | None = None

    def stanza(self) -> Node:
        """The same bytes at each attempt."""
        if self.node is None:
            self.node = self.write(0)
        return self.node


@dataclass(slots=True, eq=False)
class Device:
    """A companion linked to an account; ``identity`` is its Signal identity, 32 bytes.

    ``since`` is the time of its last login, or of its end.
    """

    phone: str
    number: int
    identity: bytes
    client: "Client | None" = None
    since: float = 0.0
    logins: int = 0
    registration: int = 0
    signed: SignedPrekey | None = None
    one_time: deque[OneTimePrekey] = field(default_factory=deque)
    queue: dict[DeliveryKey, Delivery] = field(default_factory=dict)

    @property
    def address(self) -> Address:
        return Address(self.phone, self.number)

    @property
    def lid(self) -> JID:
        return lid(self.phone, self.number)

    @property
    def pn(self) -> JID:
        return pn(self.phone, self.number)

    def take_bundle(self) -> Bundle | None:
        """Its keys, with one of its one-time prekeys used up; None before it uploaded any."""
        if self.signed is None:
            return None
        one_time = self.one_time.popleft() if self.one_time else None
        return Bundle(self.registration, self.identity, self.signed, one_time)

    def post(self, delivery: Delivery) -> None:
        """Queue, and send at once if that is possible."""
        self.queue[delivery.key] = delivery
        if self.ready:
            self._transmit(delivery)

    def post_all(self) -> int:
        """Send everything that is not confirmed yet, marked as having waited; how much that is."""
        if self.client is None or not self.ready:
            return 0
        for place, delivery in enumerate(tuple(self.queue.values())):
            node = delivery.stanza()
            self.client.send(Node(node.tag, {**node.attrs, "offline": str(place)}, node.content))
        return len(self.queue)

    def post_unwritten(self) -> None:
        """Send what had to wait for the device's keys."""
        for delivery in tuple(self.queue.values()):
            if delivery.node is None:
                self._transmit(delivery)

    def confirm(self, key: DeliveryKey) -> Delivery | None:
        return self.queue.pop(key, None)

    @property
    def ready(self) -> bool:
        return self.client is not None and self.signed is not None

    def _transmit(self, delivery: Delivery) -> None:
        if self.client is not None:
            self.client.send(delivery.stanza())


@dataclass(slots=True, eq=False)
class Account:
    """A phone number with linked devices; the phone itself is the contact of the same number."""

    phone: str
    devices: dict[int, Device] = field(default_factory=dict)
    last: int = 0
    """The number of the device linked last."""

    def invite(self, identity: bytes) -> Device:
        """A device under the next number, not linked yet."""
        self.last += 1
        return Device(self.phone, self.last, identity)

    def link(self, device: Device) -> None:
        self.devices[device.number] = device

    def unlink(self, number: int) -> None:
        self.devices.pop(number, None)
