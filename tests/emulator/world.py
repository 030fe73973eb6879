"""The emulated WhatsApp: who exists, which devices are linked, what happened.  It knows no socket."""

import itertools
import os
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from tests.emulator.accounts import Account, Device
from tests.emulator.addresses import Address
from tests.emulator.api import SessionInfo, Stats
from tests.emulator.archive import Archive
from tests.emulator.clients import Client
from tests.emulator.contacts import Contact
from tests.emulator.faults import Faults
from tests.emulator.feed import Feed
from tests.emulator.media_store import MediaStore
from tests.emulator.pair_code import CodeExchange


class RequestError(Exception):
    """What was asked for cannot be done; the text tells the caller why."""


@dataclass(slots=True, eq=False)
class CodePairing:
    """A client that showed a pairing code and waits for a human to type it on the phone."""

    client: Client
    ref: bytes
    wrapped: bytes
    exchange: CodeExchange | None = None


@dataclass(eq=False)
class World:
    """Everything there is.  ``clock`` gives unix seconds; ``later`` calls a function after some seconds."""

    clock: Callable[[], float]
    later: Callable[[float, Callable[[], None]], object]
    accounts: dict[str, Account] = field(default_factory=dict)
    contacts: dict[str, Contact] = field(default_factory=dict)
    media: MediaStore = field(default_factory=MediaStore)
    scannable: dict[str, Client] = field(default_factory=dict)
    """Registering clients by the ref in their QR codes."""
    codes: dict[str, CodePairing] = field(default_factory=dict)
    """Clients that wait for their pairing code, by phone."""
    key_reuse: list[str] = field(default_factory=list)
    archive: Archive = field(default_factory=Archive)

    def __post_init__(self) -> None:
        self.feed = Feed(self.clock)
        self.faults = Faults(self.feed)
        self._iq_numbers = itertools.count(random.getrandbits(28))
        self._started = self.clock()

    def contact(self, phone: str) -> Contact:
        """The contact of that number; any number has one."""
        contact = self.contacts.get(phone)
        if contact is None:
            contact = self.contacts[phone] = Contact(phone)
        return contact

    def account(self, phone: str) -> Account:
        """The account of that number, made if need be."""
        return self.accounts.setdefault(phone, Account(phone))

    def device(self, address: Address) -> Device | None:
        account = self.accounts.get(address.phone)
        return account.devices.get(address.device) if account else None

    def devices(self, phone: str | None = None) -> Iterator[Device]:
        """All linked devices, or those of one account."""
        for account in tuple(self.accounts.values()):
            if phone is None or account.phone == phone:
                yield from tuple(account.devices.values())

    def seconds(self) -> str:
        """The time as stanzas write it."""
        return str(int(self.clock()))

    def new_iq_id(self) -> str:
        return str(next(self._iq_numbers))

    def new_message_id(self) -> str:
        return "3A" + os.urandom(9).hex().upper()

    def sessions(self) -> list[SessionInfo]:
        return [
            SessionInfo(
                phone=device.phone,
                device=device.number,
                connected=device.client is not None,
                since=device.since,
                offline_queue=len(device.queue),
                logins=device.logins,
            )
            for device in self.devices()
        ]

    def stats(self) -> Stats:
        return Stats(
            uptime=self.clock() - self._started,
            connected=sum(device.client is not None for device in self.devices()),
            media_files=len(self.media),
            events=dict(self.feed.counts),
            key_reuse=self.key_reuse,
        )
