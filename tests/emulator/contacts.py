"""The emulated people: a phone each, with an inbox, and habits."""

from dataclasses import dataclass, field
from typing import Any

from tests.emulator.addresses import Address, lid, pn
from tests.emulator.api import Auto, InboxItem
from tests.emulator.binary import JID
from tests.emulator.signal.party import Party


@dataclass(slots=True, eq=False)
class Contact:
    """A phone number; ``exists`` tells whether it is on WhatsApp."""

    phone: str
    exists: bool = True
    party: Party[Address] = field(default_factory=Party)
    inbox: list[InboxItem] = field(default_factory=list)
    auto: Auto = field(default_factory=Auto)
    retries: dict[str, int] = field(default_factory=dict)
    """How often it asked for each message it could not read."""

    @property
    def name(self) -> str:
        return f"Contato {self.phone[-4:]}"

    @property
    def pn(self) -> JID:
        return pn(self.phone)

    @property
    def lid(self) -> JID:
        return lid(self.phone)

    def receive(self, message_id: str, sender: str, at: float, seen: dict[str, Any]) -> InboxItem:
        item = InboxItem(id=message_id, sender=sender, at=at, **seen)
        self.inbox.append(item)
        return item

    def reinstall(self) -> None:
        """WhatsApp is installed anew on the phone: another identity, and no conversation is remembered."""
        self.party = Party()
        self.retries.clear()

    def reply_to(self, item: InboxItem) -> str | None:
        """What its habit says to a message; reactions are not answered."""
        if self.auto.reply is None or item.type == "reaction":
            return None
        return self.auto.reply.replace("{text}", item.text)
