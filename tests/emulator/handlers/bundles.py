"""Key bundles as stanzas write them."""

from tests.emulator.binary import Node
from tests.emulator.signal.party import Bundle


def bundle_children(bundle: Bundle) -> list[Node]:
    """Registration, type and identity first, then the prekeys."""
    children = [
        Node("registration", {}, bundle.registration.to_bytes(4)),
        Node("type", {}, b"\x05"),
        Node("identity", {}, bundle.identity),
    ]
    if bundle.one_time:
        one_time = [Node("id", {}, bundle.one_time.id.to_bytes(3)), Node("value", {}, bundle.one_time.public)]
        children.append(Node("key", {}, one_time))
    signed = [
        Node("id", {}, bundle.signed.id.to_bytes(3)),
        Node("value", {}, bundle.signed.public),
        Node("signature", {}, bundle.signed.signature),
    ]
    return [*children, Node("skey", {}, signed)]
