"""What can be set, section by section, and what it is when nobody sets it. Durations are seconds.

Every default works on a laptop with nothing installed. The sentence below a setting is what ``deploy/REFERENCE.md``
says of it.

``around`` the endpoint and the broker · ``channels`` ports and connections · ``messages`` how they go out and come in ·
``keeping`` how much, how long, under which keys · ``running`` the node as a program · ``bounds`` what values may be.
"""

from pathlib import Path
from typing import Final

import msgspec
from msgspec import Struct

from config.sections.around import Http, Nats
from config.sections.channels import Boot, Calls, Channel, Pairing, Reconnect, WhatsApp
from config.sections.keeping import Backup, Keys, Ledger, Limits, Vault
from config.sections.messages import Events, Inbox, Media, Outbox, Pacing, Uncertain
from config.sections.running import Log, Shutdown, Supervision, Telemetry, Threads

__all__ = [
    "SECRETS",
    "Backup",
    "Boot",
    "Calls",
    "Channel",
    "Events",
    "Http",
    "Inbox",
    "Keys",
    "Ledger",
    "Limits",
    "Log",
    "Media",
    "Nats",
    "Outbox",
    "Pacing",
    "Pairing",
    "Reconnect",
    "Settings",
    "Shutdown",
    "Supervision",
    "Telemetry",
    "Threads",
    "Uncertain",
    "Vault",
    "WhatsApp",
]


class Settings(Struct, frozen=True, kw_only=True):
    """Everything, as ``config.settings.load`` puts it together. ``data`` and ``runtime`` are absolute.
    ``runtime_in_memory`` is found out, not set: false if working copies of session stores would be written in clear to
    a disk, about which the node warns."""

    data: Path
    """Where everything is kept that has to outlive the node."""
    runtime: Path
    """Where session stores are in use, which belongs in memory."""
    runtime_in_memory: bool
    http: Http = msgspec.field(default_factory=Http)
    nats: Nats = msgspec.field(default_factory=Nats)
    whatsapp: WhatsApp = msgspec.field(default_factory=WhatsApp)
    reconnect: Reconnect = msgspec.field(default_factory=Reconnect)
    pairing: Pairing = msgspec.field(default_factory=Pairing)
    channel: Channel = msgspec.field(default_factory=Channel)
    outbox: Outbox = msgspec.field(default_factory=Outbox)
    uncertain: Uncertain = msgspec.field(default_factory=Uncertain)
    pacing: Pacing = msgspec.field(default_factory=Pacing)
    calls: Calls = msgspec.field(default_factory=Calls)
    media: Media = msgspec.field(default_factory=Media)
    events: Events = msgspec.field(default_factory=Events)
    inbox: Inbox = msgspec.field(default_factory=Inbox)
    limits: Limits = msgspec.field(default_factory=Limits)
    ledger: Ledger = msgspec.field(default_factory=Ledger)
    vault: Vault = msgspec.field(default_factory=Vault)
    keys: Keys = msgspec.field(default_factory=Keys)
    backup: Backup = msgspec.field(default_factory=Backup)
    log: Log = msgspec.field(default_factory=Log)
    telemetry: Telemetry = msgspec.field(default_factory=Telemetry)
    boot: Boot = msgspec.field(default_factory=Boot)
    threads: Threads = msgspec.field(default_factory=Threads)
    supervision: Supervision = msgspec.field(default_factory=Supervision)
    shutdown: Shutdown = msgspec.field(default_factory=Shutdown)


SECRETS: Final = frozenset({"nats.url", "whatsapp.proxy", "keys.master", "keys.next_master"})
"""Settings that hold a key or may hold a password: they may come from a file of their own; no error repeats them."""
