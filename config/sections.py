"""What can be set, section by section, and what it is when nobody sets it. Durations are seconds.

Every default works on a laptop with nothing installed.
"""

import sys
from pathlib import Path
from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta, Struct

from protocol.codec import Encoding

Seconds = Annotated[float, Meta(ge=0, le=86_400)]
Pause = Annotated[float, Meta(gt=0, le=86_400)]
Deadline = Annotated[float, Meta(ge=1, le=600)]
Count = Annotated[int, Meta(ge=1, le=1_000_000)]
PerMinute = Annotated[float, Meta(gt=0, le=10_000)]
PerDay = Annotated[int, Meta(ge=0, le=1_000_000)]
Burst = Annotated[int, Meta(ge=1, le=1000)]
WarmUp = Annotated[list[PerDay], Meta(max_length=60)]
Clock = Annotated[str, Meta(pattern=r"^([01][0-9]|2[0-3]):[0-5][0-9]$(?!\n)")]
TypingSpeed = Annotated[float, Meta(ge=0, le=1000)]
Bytes = Annotated[int, Meta(ge=1024, le=1 << 30)]
HostName = Annotated[str, Meta(pattern=r"^[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?$(?!\n)")]
Origin = Annotated[str, Meta(pattern=r"^https?://[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?(:[1-9][0-9]{0,4})?$(?!\n)")]
Requests = Annotated[int, Meta(ge=0, le=1_000_000_000)]
Word = Annotated[str, Meta(min_length=1, max_length=50)]


class Http(Struct, frozen=True, kw_only=True):
    """The admin endpoint. ``port`` 0 takes a free one.

    ``certificate`` (with its chain) and its private ``key``, PEM files, switch TLS on; without it ``host`` must be
    loopback. It answers under the loopback's names, the address that was connected to, ``host``, and ``hosts``. Web
    pages from ``allowed_origins`` (``https://painel.example``) may use it; those of any other may not.

    Limits of requests (0: none): ``requests_per_address`` in 15 minutes without a key that is good (``/health`` has
    none, ``/ready`` ``ready_per_minute``), ``requests_per_key`` an hour with one that was made without a limit of its
    own. The key in ``admin.key`` has none.
    """

    host: str = "127.0.0.1"
    port: Annotated[int, Meta(ge=0, le=65_535)] = 8080
    certificate: Path | None = None
    key: Path | None = None
    hosts: Annotated[list[HostName], Meta(max_length=100)] = msgspec.field(default_factory=list)
    allowed_origins: Annotated[list[Origin], Meta(max_length=100)] = msgspec.field(default_factory=list)
    requests_per_address: Requests = 100
    requests_per_key: Requests = 1000
    ready_per_minute: Requests = 1200


class Nats(Struct, frozen=True, kw_only=True):
    """The broker. An empty ``url`` starts the embedded one on loopback at ``port`` (-1 takes a free one).

    Where it listens, ``host``, must be loopback unless ``certificate`` (with its chain) and its private ``key``, PEM
    files, switch TLS on. ``accounts_file`` holds the credentials of each account on an external broker (in clear: it is
    the operator's), and ``ca`` the authorities that vouch for it at a ``tls`` URL (none: those of this machine).
    """

    url: str = ""
    host: str = "127.0.0.1"
    certificate: Path | None = None
    key: Path | None = None
    ca: Path | None = None
    port: Annotated[int, Meta(ge=-1, le=65_535)] = 4222
    accounts_file: Path | None = None


class WhatsApp(Struct, frozen=True, kw_only=True):
    """How ports are started and what the phone shows.

    ``port_command`` starts the nursery and ``env`` is added to its environment. ``device_name`` is what the phone
    lists under linked devices. ``proxy`` (``http://``, ``https://`` or ``socks5://``, empty: none) may hold a password.
    """

    port_command: list[str] = msgspec.field(default_factory=lambda: [sys.executable, "-m", "gateway.whatsapp.nursery"])
    env: dict[str, str] = msgspec.field(default_factory=dict)
    device_name: Annotated[str, Meta(min_length=1, max_length=50)] = "Plantão"
    proxy: str = ""


class Reconnect(Struct, frozen=True, kw_only=True):
    """When a lost session is given a new port.

    whatsmeow may redial by itself for ``patience`` seconds. Then new ports are opened after pauses of ``base`` ×
    ``factor`` … up to ``cap``, with full jitter, at most ``max_attempts`` times (0: for ever). ``breaker_failures`` in
    a row open the circuit breaker for ``breaker_pause_s``.
    """

    patience: Seconds = 10.0
    base: Pause = 1.0
    factor: Annotated[float, Meta(ge=1, le=10)] = 2.0
    cap: Pause = 30.0
    max_attempts: Annotated[int, Meta(ge=0)] = 0
    breaker_failures: Count = 5
    breaker_pause_s: Seconds = 60.0


class Pairing(Struct, frozen=True, kw_only=True):
    """At most ``max_codes`` QR codes are shown; once a phone has accepted, the session must be up within
    ``connect_patience``."""

    max_codes: Annotated[int, Meta(ge=1, le=6)] = 6
    connect_patience: Seconds = 10.0


class Channel(Struct, frozen=True, kw_only=True):
    """When a channel holds a connection. A suspended one receives nothing: WhatsApp keeps it until the next connection.

    ``start``: ``eager`` connects every channel when the node starts; ``lazy`` leaves it suspended until there is
    something to send, or an operator connects it. A channel without messages, receipts or commands for ``idle_after``
    is suspended in the same way (0: never). Whatever an operator suspends or disconnects stays so.
    """

    start: Literal["eager", "lazy"] = "eager"
    idle_after: Seconds = 0.0


class Outbox(Struct, frozen=True, kw_only=True):
    """How a channel works off its commands.

    It takes commands from the queue while less than ``window`` of those it has could be sent now, at most ``backlog``
    in all, or ``bytes`` of what they say, and hands at most ``in_flight`` to its port at once. A command is tried
    ``attempts`` times, after pauses from ``backoff_base`` doubling to ``backoff_cap``. ``on_uncertain`` says what
    becomes of one that may have been sent already. If of at least ``breaker_minimum`` attempts in the last
    ``breaker_window`` the part ``breaker_rate`` failed, the circuit breaker lets nothing through for ``breaker_pause``,
    and then one command that probes.
    """

    window: Count = 64
    backlog: Count = 10_000
    bytes: Bytes = 32 << 20
    in_flight: Annotated[int, Meta(ge=1, le=1000)] = 16
    attempts: Annotated[int, Meta(ge=1, le=100)] = 5
    backoff_base: Pause = 1.0
    backoff_cap: Pause = 60.0
    on_uncertain: Literal["resend", "hold"] = "resend"
    breaker_rate: Annotated[float, Meta(gt=0, le=1)] = 0.5
    breaker_window: Pause = 60.0
    breaker_minimum: Count = 10
    breaker_pause: Seconds = 30.0


class Uncertain(Struct, frozen=True, kw_only=True):
    """What may have been sent when something died: a receipt that names it is waited for, ``wait`` seconds from when
    WhatsApp has delivered what came in meanwhile. Then ``outbox.on_uncertain`` decides."""

    wait: Seconds = 30.0


class Pacing(Struct, frozen=True, kw_only=True):
    """How fast a channel sends, so that WhatsApp does not take it for a machine; a channel can have its own.

    Of all that is sent: ``per_minute`` on average, ``burst`` at once, ``per_day``, and less on a number's first days
    (``warm_up``: the first day's, the second's …). ``new_per_day`` is for people who never wrote and were never written
    to. Between ``quiet_from`` and ``quiet_until`` (the clinic's time; equal: never) only high priority goes out, and
    to who wrote in the last 24 hours. When WhatsApp itself restricts the number, new people wait for ``restriction``
    seconds. Before a text the channel is shown typing at ``typing_per_s`` characters a second (0: not), for at most
    ``typing_most`` seconds.
    """

    enabled: bool = True
    per_minute: PerMinute = 20.0
    burst: Burst = 5
    per_day: PerDay = 200
    new_per_day: PerDay = 50
    warm_up: WarmUp = msgspec.field(default_factory=lambda: [20, 30, 45, 65, 90, 120, 160])
    quiet_from: Clock = "00:00"
    quiet_until: Clock = "00:00"
    restriction: Pause = 21_600.0
    typing_per_s: TypingSpeed = 0.0
    typing_most: Seconds = 5.0


class Calls(Struct, frozen=True, kw_only=True):
    """How long a call into a port may take; a port that takes longer is killed (but for media).

    WhatsApp's own limit for a send is 75 s, so ``send_deadline`` stays above it. A port has ``connect_deadline`` to
    start, from its turn on (``boot.parallel``), and as long again to connect once it is there.
    """

    send_deadline: Deadline = 80.0
    connect_deadline: Deadline = 60.0
    media_timeout: Deadline = 30.0


class Media(Struct, frozen=True, kw_only=True):
    """Media that a command names by its ``media.url``.

    It is fetched from public servers over https alone, within ``deadline``, ``at_once`` of one clinic at the same time.
    ``allow_networks`` opens others (``10.1.2.0/24``), such as a media server of your own, and http there: every service
    that may send can then reach all that answers in them.
    """

    allow_networks: Annotated[list[Annotated[str, Meta(min_length=1, max_length=64)]], Meta(max_length=100)] = (
        msgspec.field(default_factory=list)
    )
    deadline: Annotated[float, Meta(ge=1, le=50)] = 30.0
    at_once: Annotated[int, Meta(ge=1, le=32)] = 4


class Events(Struct, frozen=True, kw_only=True):
    """How events are written; ``from_me``: also publish what the account's owner sends from other devices."""

    encoding: Encoding = Encoding.MSGPACK
    from_me: bool = False


class Inbox(Struct, frozen=True, kw_only=True):
    """How what comes in is dealt with.

    A person whose whole message is one of ``opt_out_words`` is sent nothing more until one of their messages is one of
    ``opt_in_words``; case, accents and punctuation make no difference. At most ``in_memory`` events of a channel that
    NATS does not have are held in memory, the others in the clinic's database. A backlog that WhatsApp does not
    announce within ``backlog_wait`` of a connection is taken to be empty.
    """

    opt_out_words: list[Word] = msgspec.field(default_factory=lambda: ["SAIR", "PARAR", "STOP"])
    opt_in_words: list[Word] = msgspec.field(default_factory=lambda: ["VOLTAR", "START"])
    in_memory: Annotated[int, Meta(ge=16, le=10_000)] = 256
    backlog_wait: Pause = 10.0


class Limits(Struct, frozen=True, kw_only=True):
    """Bounds. ``media_bytes`` is for one message's media, ``body_bytes`` for one HTTP request, ``archive_bytes`` for
    one that brings an archive to be restored.

    Of a clinic's commands at most ``commands_per_s`` a second are taken from its queue (0: no limit). It may store
    ``clinic_bytes``: in its database ``database_bytes``, of which what waits for NATS may take ``spool_bytes``; its
    streams and objects have the rest. The others are for its account on NATS: what streams may hold in memory, how many
    streams, consumers of each, connections, and subscriptions of all of them.
    """

    channels_per_clinic: Count = 50
    commands_per_s: Annotated[float, Meta(ge=0, le=1_000_000)] = 200.0
    clinic_bytes: Annotated[int, Meta(ge=64 << 20, le=1 << 40)] = 2 << 30
    database_bytes: Annotated[int, Meta(ge=8 << 20, le=1 << 40)] = 256 << 20
    spool_bytes: Bytes = 64 << 20
    media_bytes: Bytes = 16 << 20
    body_bytes: Bytes = 1 << 20
    nats_memory_bytes: Bytes = 16 << 20
    nats_streams: Annotated[int, Meta(ge=8, le=1000)] = 16
    nats_consumers: Annotated[int, Meta(ge=256, le=100_000)] = 1000
    nats_connections: Annotated[int, Meta(ge=4, le=100_000)] = 64
    nats_subscriptions: Annotated[int, Meta(ge=64, le=1_000_000)] = 4096
    archive_bytes: Annotated[int, Meta(ge=1 << 20, le=1 << 44)] = 16 << 30

    @property
    def stream_bytes(self) -> int:
        """What a clinic's streams and objects may store."""
        return max(self.clinic_bytes - self.database_bytes, self.clinic_bytes // 2)


class Ledger(Struct, frozen=True, kw_only=True):
    """How long a clinic's database remembers: commands for ``keep_days`` after their end (an id sent again within that
    time is not sent twice), what came in for ``remember_days`` (the same for a message that WhatsApp gives twice),
    people for ``people_days`` after they were last heard of or written to, and for good if they do not want to be."""

    keep_days: Annotated[float, Meta(ge=1, le=3650)] = 30.0
    remember_days: Annotated[float, Meta(ge=1, le=3650)] = 14.0
    people_days: Annotated[float, Meta(ge=1, le=3650)] = 365.0


class Vault(Struct, frozen=True, kw_only=True):
    """How sessions outlive the machine. What is in memory is sealed after pairing, when a channel comes to rest, and,
    if something went in or out, every ``interval``; of each channel ``keep`` snapshots stay. ``require_memory``: do not
    start where the runtime directory, in which they are in use, is not in memory; else that is only warned of."""

    interval: Pause = 300.0
    keep: Annotated[int, Meta(ge=1, le=100)] = 5
    require_memory: bool = False


class Keys(Struct, frozen=True, kw_only=True):
    """Where the master key comes from, under which the clinics' keys are kept: one of ``master_file`` (a file outside
    of the data directory), ``master`` (the key itself, a secret) and ``master_command`` (a program that prints it, and
    its arguments: for a KMS or HSM). None of them: one is made in the data directory, which protects nothing.

    A key is 32 bytes, in base64 or as 64 hex digits: ``openssl rand -base64 32``. ``PLANTAO_KEYS__MASTER_FILE`` is the
    first of the three.

    ``next_*``, in the same ways: the one that is to take its place, by ``plantao rotate master``, which reads it then.
    When that is done, it is to be made ``master*`` before the node starts again; until then both are needed.
    """

    master_file: Path | None = None
    master: str = ""
    master_command: list[str] = msgspec.field(default_factory=list)
    next_master_file: Path | None = None
    next_master: str = ""
    next_master_command: list[str] = msgspec.field(default_factory=list)


class Backup(Struct, frozen=True, kw_only=True):
    """Backups by the clock: one of each clinic ``every`` so many seconds (0: none), one clinic after another, as
    ``directory``/CLINIC/TIME.backup (none: ``backups`` in the data directory, which does not outlive its disk). The
    newest ``keep`` of each clinic stay. They open with the master key alone: keep that elsewhere."""

    every: Annotated[float, Meta(ge=0, le=31 * 86_400)] = 0.0
    directory: Path | None = None
    keep: Annotated[int, Meta(ge=1, le=10_000)] = 7


class Log(Struct, frozen=True, kw_only=True):
    """The log on stderr: ``json`` for machines, ``console`` for a person; ``auto``: console if it is a terminal."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    format: Literal["auto", "json", "console"] = "auto"


class Boot(Struct, frozen=True, kw_only=True):
    """At most ``parallel`` channels open ports at once, each after a random pause of up to ``jitter_s``."""

    parallel: Annotated[int, Meta(ge=1, le=64)] = 4
    jitter_s: Annotated[float, Meta(ge=0, le=60)] = 0.2


class Threads(Struct, frozen=True, kw_only=True):
    """``one_cpu``: the node's own threads share one CPU (``supervisor.affinity`` says why), and move when others need
    it. Ports and the broker use all there are."""

    one_cpu: bool = True


class Supervision(Struct, frozen=True, kw_only=True):
    """When actors are given up and parked.

    One that is at a single message for ``hang`` seconds is replaced. A clinic or channel that had to be restarted more
    than ``quarantine_restarts`` times within ``quarantine_period`` is quarantined, and released after
    ``quarantine_release`` (0: by a person alone).
    """

    hang: Deadline = 30.0
    quarantine_restarts: Count = 5
    quarantine_period: Pause = 60.0
    quarantine_release: Seconds = 600.0


class Shutdown(Struct, frozen=True, kw_only=True):
    """How the node ends when it is told to (SIGTERM). First it drains: it takes no more commands, and what is with
    WhatsApp already may come to its end, for ``drain_s`` at most (0: it does not). Then all parts end, and what has not
    ended in an orderly way after another ``deadline_s`` is ended by force. Whoever stops the node should give it a
    little more than both together."""

    drain_s: Seconds = 10.0
    deadline_s: Deadline = 20.0


class Settings(Struct, frozen=True, kw_only=True):
    """Everything, as ``config.settings.load`` puts it together.

    ``data`` and ``runtime`` are absolute. ``runtime_in_memory`` is found out, not set: false if working copies of
    session stores would be written in clear to a disk, about which the node warns.
    """

    data: Path
    runtime: Path
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
    boot: Boot = msgspec.field(default_factory=Boot)
    threads: Threads = msgspec.field(default_factory=Threads)
    supervision: Supervision = msgspec.field(default_factory=Supervision)
    shutdown: Shutdown = msgspec.field(default_factory=Shutdown)


SECRETS: Final = frozenset({"nats.url", "whatsapp.proxy", "keys.master", "keys.next_master"})
"""Settings that hold a key or may hold a password: they may come from a file of their own; no error repeats them."""
