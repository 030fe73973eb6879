"""A channel's receiving part, with a port that hears, and its sending part played by the test."""

from collections.abc import Sequence

from actors.channel.receiving import Receiving
from actors.channel.telling import ReceivingPolicy
from protocol.events import MessageEvent, ReceiptEvent
from protocol.inbound import Inbound
from protocol.ledger import Sender
from protocol.subjects import EventKind
from tests.fakes.scripted_port import ScriptedPort, obliging
from tests.unit.actors.channel.answers import spec
from tests.unit.actors.channel.bench import CHANNEL, Bench

OTHER = "5511977776666@s.whatsapp.net"


class Ear(Bench):
    """The receiving part, and a port that hears. ``wrote`` and ``receipted``: what the sending part was told."""

    def __init__(self, policy: ReceivingPolicy | None = None, before: Bench | None = None) -> None:
        super().__init__(before)
        self.wrote_: list[tuple[tuple[str, ...], bool | None]] = []
        self.receipted_: list[tuple[str, str, str | None]] = []
        self.part = Receiving(self.context, policy or ReceivingPolicy(), self)
        self.handlers = self.part.handlers
        self.port = self.new_port()
        self.part.opened(self.port)
        self.part.use(self.port)
        self.part.begin()

    def wrote(self, people: Sequence[str], opted_out: bool | None) -> None:
        self.wrote_.append((tuple(people), opted_out))

    def receipted(self, wa_id: str, kind: str, sender: Sender | None) -> None:
        self.receipted_.append((wa_id, kind, sender.id if sender else None))

    def new_port(self, incarnation: int = 1) -> ScriptedPort:
        return ScriptedPort(spec(incarnation), lambda _: None, self.bus.bell, obliging, self.remains)

    async def hear(self, *whats: Inbound, incarnation: int = 1) -> None:
        self.part.take([self.remains.write(what) for what in whats], incarnation)
        await self.run()

    @property
    def messages(self) -> list[MessageEvent]:
        return self.bus.events(EventKind.MESSAGE)

    @property
    def receipts(self) -> list[ReceiptEvent]:
        return self.bus.events(EventKind.RECEIPT)

    @property
    def left(self) -> list[str]:
        """What the ledger has and believes NATS not to have."""
        return [key for key, came in self.ledger.channel(CHANNEL).claims.items() if came.what is not None]

    async def fire_all(self) -> None:
        for name in list(self.timers):
            if name in self.timers and not name.startswith("media-"):
                await self.fire(name)
