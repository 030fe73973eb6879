"""The metrics that there are: their names, what they say, and their labels. What is not here cannot be exposed.

Labels are bounded by what is registered (``clinic``, ``channel``) and by closed lists: states, breakers, error codes,
result statuses, types of receipts, kinds of actors, reasons. The names are those that Prometheus reads: histograms add
``_bucket``, ``_sum`` and ``_count``.
"""

from collections.abc import Iterable, Iterator
from enum import StrEnum
from math import inf
from typing import Final, NamedTuple

from protocol.meters import Distribution


class Kind(StrEnum):
    """What a metric is to Prometheus."""

    COUNTER = "counter"
    GAUGE = "gauge"
    HISTOGRAM = "histogram"


class Described(NamedTuple):
    """A metric. ``labels``: in the order in which their values are given."""

    name: str
    kind: Kind
    labels: tuple[str, ...]
    help: str


_C, _G, _H = Kind.COUNTER, Kind.GAUGE, Kind.HISTOGRAM
_ROLE: Final = ("kind", "clinic")
_CLINIC: Final = ("clinic",)
_CHANNEL: Final = ("clinic", "channel")

# fmt: off
CATALOGUE: Final[tuple[Described, ...]] = (
    # -- the node --
    Described("plantao_scrape_success", _G, (), "1 if every part answered this scrape"),
    Described("plantao_build_info", _G, ("version",), "The version that runs; always 1"),
    Described("plantao_uptime_seconds", _G, (), "Seconds since the node was started"),
    Described("plantao_part_up", _G, ("part",), "1 if this part of the node works"),
    Described("plantao_draining", _G, (), "1 while the node takes nothing on before its end"),
    Described("plantao_disk_free_bytes", _G, (), "Free where the data directory is"),
    Described("plantao_disk_size_bytes", _G, (), "The size of the file system where the data directory is"),
    Described("plantao_http_refused_total", _C, ("reason",),
              "Requests that were not let in, by reason; full: connections that made way or found no place"),
    Described("plantao_event_streams", _G, (), "Streams of events that are open"),
    # -- the tree --
    Described("plantao_actors", _G, ("kind",), "Actors and ports that run"),
    Described("plantao_actor_restarts_total", _C, _ROLE, "Actors and ports that were started again"),
    Described("plantao_actor_hung_total", _C, _ROLE, "Actors that were given up because they hung"),
    Described("plantao_actor_exits_total", _C, (*_ROLE, "reason"), "Actors and ports that ended, by how they did"),
    Described("plantao_quarantined", _G, _ROLE, "Clinics and channels that are parked after too many restarts"),
    Described("plantao_inbox_messages", _G, _ROLE, "Messages that wait in the inboxes of a kind of actors, summed"),
    Described("plantao_inbox_messages_max", _G, _ROLE, "Messages that wait in the fullest inbox of a kind of actors"),
    # -- clinics --
    Described("plantao_clinics", _G, (), "Registered clinics"),
    Described("plantao_clinic_state", _G, ("clinic", "state"), "1 for the state a clinic is in"),
    Described("plantao_backup_last_success_timestamp_seconds", _G, _CLINIC,
              "When the newest backup by the clock was begun; 0: there is none yet; no series without such backups"),
    # -- channels: how they are --
    Described("plantao_channels", _G, ("clinic", "state"), "Channels of a clinic by state"),
    Described("plantao_channel_state", _G, (*_CHANNEL, "state"), "1 for the state a channel is in"),
    Described("plantao_channel_since_timestamp_seconds", _G, _CHANNEL, "Since when a channel is in its state"),
    Described("plantao_channel_restricted", _G, _CHANNEL, "1 while WhatsApp restricts a number: new contacts wait"),
    Described("plantao_session_unsealed", _G, _CHANNEL, "1 while a session cannot be sealed in the vault"),
    Described("plantao_breaker_state", _G, (*_CHANNEL, "breaker", "state"), "1 for the state a circuit breaker is in"),
    Described("plantao_reconnects_total", _C, _CHANNEL,
              "Lost sessions that came back by themselves, and ports opened to get one back"),
    Described("plantao_port_memory_bytes", _G, _CHANNEL,
              "Resident memory of a channel's port, with what it shares with others"),
    # -- channels: what goes out --
    Described("plantao_queued_commands", _G, _CHANNEL, "Commands a channel has taken and not finished"),
    Described("plantao_oldest_command_age_seconds", _G, _CHANNEL,
              "How long the oldest command waits that could be sent by now; 0: none waits"),
    Described("plantao_commands_accepted_total", _C, _CHANNEL, "Commands taken into the ledger; repeats do not count"),
    Described("plantao_commands_ended_total", _C, (*_CHANNEL, "status"),
              "Results by status; refused commands are among those that failed"),
    Described("plantao_commands_failed_total", _C, (*_CHANNEL, "code"),
              "Commands that failed, by error code, refused bodies without an id among them"),
    Described("plantao_dead_letters_total", _C, _CHANNEL, "Commands that will not be tried again"),
    Described("plantao_receipts_total", _C, (*_CHANNEL, "type"),
              "Messages sent by commands that were delivered, read, played: by the first receipt of each type"),
    Described("plantao_queue_seconds", _H, _CLINIC,
              "From the queue, or not_before, until it was known that WhatsApp has the message"),
    Described("plantao_send_seconds", _H, _CLINIC, "How long a port took to send"),
    Described("plantao_delivery_seconds", _H, _CLINIC, "From WhatsApp's acknowledgement to the recipient's phone"),
    # -- channels: what comes in --
    Described("plantao_inbound_messages_total", _C, _CHANNEL, "Messages that came in from others"),
    Described("plantao_inbound_last_timestamp_seconds", _G, _CHANNEL,
              "When the last message came in since the node was started; no series before that"),
    Described("plantao_inbound_lost_total", _C, _CHANNEL, "Messages that a gap report names as lost"),
    Described("plantao_undecryptable_total", _C, _CHANNEL, "Messages that could not be decrypted; most come again"),
    Described("plantao_spooled_events", _G, _CHANNEL, "Events of a channel that wait for NATS"),
)
# fmt: on


class Samples:
    """What a scrape found, gathered in any order, as lines of Prometheus' text format (0.0.4).

    Lines at once, and not the client library's samples: those of a thousand channels are some 60 000 objects, which
    the garbage collector goes through with all threads waiting (0.2 s were seen; and three times the time besides).
    """

    def __init__(self) -> None:
        self._lines: dict[str, list[str]] = {}
        self._known = {each.name: each for each in CATALOGUE}

    def put(self, name: str, value: float, *labels: str) -> None:
        """One value. Raises KeyError: the catalogue has no such metric."""
        described = self._known[name]
        self._of(name).append(f"{name}{_labelled(described.labels, labels)} {_number(value)}\n")

    def put_times(self, name: str, times: Distribution, *labels: str) -> None:
        """A histogram. Raises KeyError as ``put``."""
        names, lines, count = self._known[name].labels, self._of(name), 0
        for bound, more in zip((*times.bounds, inf), times.counts, strict=True):
            count += more
            lines.append(f"{name}_bucket{_labelled((*names, 'le'), (*labels, _number(bound)))} {_number(count)}\n")
        lines.append(f"{name}_count{_labelled(names, labels)} {_number(count)}\n")
        lines.append(f"{name}_sum{_labelled(names, labels)} {_number(times.sum)}\n")

    def none_yet(self, *names: str) -> None:
        """Expose these also without a sample."""
        for name in names:
            self._of(name)

    def text(self) -> str:
        """As Prometheus reads it, in the order of the catalogue."""
        parts: list[str] = []
        for each in CATALOGUE:
            if each.name in self._lines:
                parts.append(f"# HELP {each.name} {each.help}\n# TYPE {each.name} {each.kind}\n")
                parts += self._lines[each.name]
        return "".join(parts)

    def _of(self, name: str) -> list[str]:
        return self._lines.setdefault(self._known[name].name, [])


def _labelled(names: tuple[str, ...], values: tuple[str, ...]) -> str:
    """By name, as the client library has them."""
    pairs = ",".join(f'{name}="{_escaped(value)}"' for name, value in sorted(zip(names, values, strict=True)))
    return f"{{{pairs}}}" if pairs else ""


def _escaped(value: str) -> str:
    return value.replace("\\", r"\\").replace("\n", r"\n").replace('"', r"\"")


def _number(value: float) -> str:
    return "+Inf" if value == inf else repr(float(value))


def exposed(metrics: Iterable[Described] = CATALOGUE) -> Iterator[str]:
    """The names of all series that ``metrics`` make."""
    for each in metrics:
        if each.kind is Kind.HISTOGRAM:
            yield from (f"{each.name}{suffix}" for suffix in ("_bucket", "_sum", "_count"))
        else:
            yield each.name
