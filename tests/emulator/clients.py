"""One connected client as the model sees it: something that stanzas can be sent to."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from tests.emulator.binary import SERVER, Node, Value
from tests.emulator.faults import Delay, Moment, Mute, Slow

if TYPE_CHECKING:
    from tests.emulator.accounts import Device
    from tests.emulator.world import World


class Link(Protocol):
    """The way to a client.  All of it returns at once and none of it raises, also when the client is gone."""

    def send(self, node: Node, delay: float, second: float | None = None) -> None:
        """Queue a stanza; ``delay`` seconds late, and later by what it takes at so many bytes a ``second``.

        The order is kept.
        """

    def close(self) -> None:
        """End the connection after what was queued."""

    def reset(self) -> None:
        """End it now, with an RST."""


@dataclass(slots=True, eq=False)
class Client:
    """A client from the end of its handshake on.

    ``phone`` is empty until a registering client is scanned; ``device`` is set once it is logged in or paired;
    ``invited`` is the device it will be if it accepts the phone that scanned it.
    """

    world: "World"
    link: Link
    phone: str = ""
    device: "Device | None" = None
    invited: "Device | None" = None
    refs: list[str] = field(default_factory=list)

    def send(self, node: Node) -> None:
        faults = self.world.faults
        if isinstance(faults.holds(Moment.STANZA, self.phone), Mute):
            return
        match faults.holds(Moment.FRAME, self.phone):
            case Slow(latency=latency, second=second):
                self.link.send(node, latency, second)
                return
        fault = faults.strike(Moment.FRAME, self.phone)
        self.link.send(node, fault.seconds if isinstance(fault, Delay) else 0.0)

    def answer(self, request: Node, children: list[Node]) -> None:
        """The result of an iq."""
        attrs: dict[str, Value] = {
            "from": request.jid("to") or SERVER,
            "type": "result",
            "id": request.get("id"),
        }
        self.send(Node("iq", attrs, children))

    def refuse(self, request: Node, code: int, text: str) -> None:
        """The error of an iq."""
        attrs: dict[str, Value] = {
            "from": request.jid("to") or SERVER,
            "type": "error",
            "id": request.get("id"),
        }
        self.send(Node("iq", attrs, [Node("error", {"code": str(code), "text": text})]))

    def close_after(self, seconds: float) -> None:
        """End the connection, later."""
        self.world.later(seconds, self.link.close)
