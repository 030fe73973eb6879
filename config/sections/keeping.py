"""Settings of what is kept: how much, how long, under which keys."""

from pathlib import Path
from typing import Annotated

import msgspec
from msgspec import Meta, Struct

from config.sections.bounds import SECONDS, Bytes, Count, Days, Pause


class Limits(Struct, frozen=True, kw_only=True):
    """Bounds of a clinic, of its ports, and of requests. Those that begin with ``nats`` are for the clinic's account on
    NATS."""

    channels_per_clinic: Count = 50
    """Channels of a clinic."""
    commands_per_s: Annotated[float, Meta(ge=0, le=1_000_000)] = 200.0
    """Commands a second that are taken from a clinic's queue; 0: no limit."""
    clinic_bytes: Annotated[int, Meta(ge=64 << 20, le=1 << 40)] = 2 << 30
    """What a clinic may store in all: its database, and with the rest its streams and objects."""
    database_bytes: Annotated[int, Meta(ge=8 << 20, le=1 << 40)] = 256 << 20
    """Of that, its database."""
    spool_bytes: Bytes = 64 << 20
    """Of its database, what waits for NATS."""
    media_bytes: Bytes = 16 << 20
    """The media of one message."""
    body_bytes: Bytes = 1 << 20
    """The body of one HTTP request."""
    port_bytes: Annotated[int, Meta(ge=128 << 20, le=1 << 40)] = 512 << 20
    """The memory of a channel's port (resident): one that takes more is ended in order, and another opened."""
    nats_memory_bytes: Bytes = 16 << 20
    """What its streams may hold in memory."""
    nats_streams: Annotated[int, Meta(ge=8, le=1000)] = 16
    """Streams."""
    nats_consumers: Annotated[int, Meta(ge=256, le=100_000)] = 1000
    """Consumers of each stream."""
    nats_connections: Annotated[int, Meta(ge=4, le=100_000)] = 64
    """Connections at once."""
    nats_subscriptions: Annotated[int, Meta(ge=64, le=1_000_000)] = 4096
    """Subscriptions of all of them."""
    archive_bytes: Annotated[int, Meta(ge=1 << 20, le=1 << 44)] = 16 << 30
    """The body of a request that brings an archive to be restored."""

    @property
    def stream_bytes(self) -> int:
        """What a clinic's streams and objects may store."""
        return max(self.clinic_bytes - self.database_bytes, self.clinic_bytes // 2)


class Ledger(Struct, frozen=True, kw_only=True):
    """How long a clinic's database remembers."""

    keep_days: Days = 30.0
    """Commands, after their end: an id sent again within that time is not sent twice."""
    remember_days: Days = 14.0
    """What came in: a message that WhatsApp gives twice within that time is told once."""
    people_days: Days = 365.0
    """People, after they were last heard of or written to; those who want no messages, for good."""


class Vault(Struct, frozen=True, kw_only=True):
    """How sessions outlive the machine. What is in memory is sealed after pairing, when a channel comes to rest, and,
    if something went in or out, every ``interval``."""

    interval: Pause = 300.0
    """Between two snapshots of a session in use."""
    keep: Annotated[int, Meta(ge=1, le=100)] = 5
    """Snapshots of each channel that stay."""
    require_memory: bool = False
    """Do not start where the runtime directory, in which sessions are in use, is not in memory; else that is only
    warned of."""


class Keys(Struct, frozen=True, kw_only=True):
    """Where the master key comes from, under which the clinics' keys are kept: one of ``master_file``, ``master`` and
    ``master_command``. None of them: one is made in the data directory, which protects nothing.

    A key is 32 bytes, in base64 or as 64 hex digits: ``openssl rand -base64 32``. ``PLANTAO_KEYS__MASTER_FILE`` is the
    first of the three.

    ``next_*``, in the same ways: the one that is to take its place, by ``plantao rotate master``, which reads it then.
    When that is done, it is to be made ``master*`` before the node starts again; until then both are needed.
    """

    master_file: Path | None = None
    """A file that holds it, outside of the data directory."""
    master: str = ""
    """The key itself."""
    master_command: list[str] = msgspec.field(default_factory=list)
    """A program that prints it, and its arguments: for a KMS or HSM."""
    next_master_file: Path | None = None
    """A file that holds the next one."""
    next_master: str = ""
    """The next one itself."""
    next_master_command: list[str] = msgspec.field(default_factory=list)
    """A program that prints the next one, and its arguments."""


class Backup(Struct, frozen=True, kw_only=True):
    """Backups by the clock, one clinic after another, as ``directory``/CLINIC/TIME.backup. They open with the master
    key alone: keep that elsewhere."""

    every: Annotated[float, Meta(ge=0, le=31 * 86_400, extra=SECONDS)] = 0.0
    """Seconds between two of each clinic; 0: none."""
    directory: Path | None = None
    """Where they go; none: ``backups`` in the data directory, which does not outlive its disk."""
    keep: Annotated[int, Meta(ge=1, le=10_000)] = 7
    """The newest of each clinic that stay."""
