"""The kinds of kill: what is done to whom, and who may notice. Tables."""

from dataclasses import dataclass
from enum import Enum
from typing import Final


class How(Enum):
    """What is done to it. A hung one is given up by its supervisor; a killed one was given up already."""

    SIGKILL = "SIGKILL"
    SIGSTOP = "SIGSTOP"
    CRASH = "crash"
    HANG = "hang"
    KILL = "kill"


class Loses(Enum):
    """Whose channels lose their connection: all others must not notice."""

    NOBODY = "nobody"
    CHANNEL = "the channel"
    CLINIC = "the clinic"
    ALL = "all"


class Counts(Enum):
    """Against which limit the restart counts, beyond which giving up or parking is what is promised."""

    NOTHING = "nothing"
    CHANNEL = "its channel's quarantine"
    INSIDE = "its clinic's intensity"
    CLINIC = "its clinic's quarantine"
    ROOT = "the root's intensity"


@dataclass(frozen=True, slots=True)
class Victim:
    """``place`` in the tree. For processes: the actor whose process it is."""

    name: str
    place: str
    loses: Loses
    counts: Counts


_CLINIC: Final = "clinics/{clinic}"
_CHANNEL: Final = "clinics/{clinic}/channels/{channel}"

PORT: Final = Victim("port", _CHANNEL, Loses.CHANNEL, Counts.NOTHING)
NURSERY: Final = Victim("nursery", "processes/nursery", Loses.NOBODY, Counts.NOTHING)
BROKER: Final = Victim("broker", "processes/broker", Loses.NOBODY, Counts.NOTHING)
CHANNEL: Final = Victim("channel", _CHANNEL, Loses.CHANNEL, Counts.CHANNEL)
RECONCILER: Final = Victim("reconciler", f"{_CLINIC}/reconciler", Loses.NOBODY, Counts.INSIDE)
ACCOUNT: Final = Victim("account", f"{_CLINIC}/account", Loses.CLINIC, Counts.INSIDE)
CHANNELS: Final = Victim("channels", f"{_CLINIC}/channels", Loses.CLINIC, Counts.INSIDE)
CLINIC: Final = Victim("clinic", _CLINIC, Loses.CLINIC, Counts.CLINIC)
REGISTRAR: Final = Victim("registrar", "registrar", Loses.NOBODY, Counts.ROOT)
ADMIN: Final = Victim("admin", "admin", Loses.NOBODY, Counts.ROOT)
STORE: Final = Victim("store", "store", Loses.ALL, Counts.ROOT)
BUS: Final = Victim("bus", "bus", Loses.ALL, Counts.ROOT)
CLINICS: Final = Victim("clinics", "clinics", Loses.ALL, Counts.ROOT)
PROCESSES: Final = Victim("processes", "processes", Loses.ALL, Counts.ROOT)


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of kill. ``weight``: how often it is drawn, beside the others."""

    how: How
    victim: Victim
    weight: int

    @property
    def name(self) -> str:
        """For people."""
        what = "actor" if self.victim in (NURSERY, BROKER) and self.how not in (How.SIGKILL, How.SIGSTOP) else ""
        return " ".join(filter(None, (self.victim.name, what, self.how.value)))

    @property
    def alone(self) -> bool:
        """It concerns the whole node, so nothing else is killed at the same time."""
        return "{clinic}" not in self.victim.place


KINDS: Final = (
    Kind(How.SIGKILL, PORT, 30),
    Kind(How.SIGSTOP, PORT, 12),
    Kind(How.CRASH, CHANNEL, 14),
    Kind(How.HANG, CHANNEL, 8),
    Kind(How.KILL, CHANNEL, 6),
    Kind(How.CRASH, RECONCILER, 6),
    Kind(How.HANG, RECONCILER, 4),
    Kind(How.KILL, RECONCILER, 4),
    Kind(How.CRASH, ACCOUNT, 6),
    Kind(How.HANG, ACCOUNT, 4),
    Kind(How.CRASH, CHANNELS, 4),
    Kind(How.KILL, CHANNELS, 3),
    Kind(How.CRASH, CLINIC, 4),
    Kind(How.KILL, CLINIC, 3),
    Kind(How.SIGKILL, NURSERY, 6),
    Kind(How.SIGSTOP, NURSERY, 3),
    Kind(How.CRASH, NURSERY, 2),
    Kind(How.SIGKILL, BROKER, 6),
    Kind(How.SIGSTOP, BROKER, 3),
    Kind(How.CRASH, BROKER, 2),
    Kind(How.CRASH, REGISTRAR, 2),
    Kind(How.HANG, REGISTRAR, 1),
    Kind(How.CRASH, ADMIN, 1),
    Kind(How.HANG, ADMIN, 1),
    Kind(How.CRASH, STORE, 1),
    Kind(How.HANG, STORE, 1),
    Kind(How.CRASH, BUS, 2),
    Kind(How.HANG, BUS, 1),
    Kind(How.CRASH, CLINICS, 1),
    Kind(How.KILL, CLINICS, 1),
    Kind(How.CRASH, PROCESSES, 1),
)
"""All of them. Not in it: the loop, which cannot be restarted, with which the node ends; hanging a supervisor, which is
not watched."""

ESSENTIAL: Final = (
    Kind(How.SIGKILL, PORT, 1),
    Kind(How.SIGSTOP, PORT, 1),
    Kind(How.SIGKILL, NURSERY, 1),
    Kind(How.SIGKILL, BROKER, 1),
    Kind(How.CRASH, CHANNEL, 1),
    Kind(How.HANG, CHANNEL, 1),
    Kind(How.KILL, CHANNEL, 1),
    Kind(How.CRASH, RECONCILER, 1),
    Kind(How.HANG, ACCOUNT, 1),
    Kind(How.CRASH, CHANNELS, 1),
    Kind(How.KILL, CLINIC, 1),
    Kind(How.CRASH, REGISTRAR, 1),
    Kind(How.HANG, ADMIN, 1),
    Kind(How.CRASH, BUS, 1),
    Kind(How.CRASH, CLINICS, 1),
)
"""For the short form: every way to die, every level of the tree."""
