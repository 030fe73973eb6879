"""What the machine lets a node have: descriptors, threads, processors, memory."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from config.cli.client import running_pid
from config.doctor.finding import Finding, fine, unknown, warning, wrong
from config.sections import Settings

_PROC: Final = Path("/proc")
_CGROUPS: Final = Path("/sys/fs/cgroup")
_MIB: Final = 1 << 20

OWN_DESCRIPTORS: Final = 256
"""What a node has open without channels, with room for requests."""
CHANNEL_DESCRIPTORS: Final = 3
OWN_THREADS: Final = 64
"""Of a node without channels, its broker and its nursery."""
CHANNEL_THREADS: Final = 16
"""Ten of its port, most of them of the Go runtime in it (measured on two processors), and those of its actors."""
FEW_CHANNELS: Final = 100
"""Room for fewer is worth a warning."""
LEAST_MEMORY: Final = 512 << 20


def look(settings: Settings) -> Iterator[Finding]:
    """The limits of the node that runs, or else our own. Raises OSError."""
    pid = running_pid(settings.data)
    who = "self" if pid is None else str(pid)
    limits = _limits((_PROC / who / "limits").read_text(encoding="ascii"))
    groups = _groups((_PROC / who / "cgroup").read_text(encoding="ascii"))
    yield descriptors(limits.get("Max open files"))
    yield threads(_least(limits.get("Max processes"), _bound(groups, "pids.max")))
    yield processors(len(os.sched_getaffinity(0)), _share(groups))
    yield memory(_available((_PROC / "meminfo").read_text(encoding="ascii")), _bound(groups, "memory.max"))


def descriptors(most: int | None) -> Finding:
    """Whether enough files can be open; the node takes as many as it may have. None: no limit."""
    mend = "LimitNOFILE=65536 in the systemd unit, ulimits in compose, or /etc/security/limits.conf"
    return _room("descriptors", "open files", most, OWN_DESCRIPTORS, CHANNEL_DESCRIPTORS, mend)


def threads(most: int | None) -> Finding:
    """Whether there may be enough processes and threads."""
    mend = "TasksMax=infinity in the systemd unit, pids_limit in compose, podPidsLimit of the kubelet"
    return _room("processes", "processes and threads", most, OWN_THREADS, CHANNEL_THREADS, mend)


def _room(check: str, of: str, most: int | None, own: int, each: int, mend: str) -> Finding:
    if most is None:
        return fine(check, f"no limit of {of}")
    channels = max(0, (most - own) // each)
    told = f"{most} {of}: room for about {channels} channels"
    if channels == 0:
        return wrong(check, told, mend)
    return fine(check, told) if channels >= FEW_CHANNELS else warning(check, told, mend)


def processors(count: int, share: float | None) -> Finding:
    """Whether there is enough to compute with. ``share``: what the control group may use of them; None: all."""
    usable = min(float(count), count if share is None else share)
    told = f"{usable:g} processors"
    if usable < 1:
        return warning("cpu", told, "give it one at least: CPUQuota in systemd, cpus in compose, limits.cpu")
    return fine("cpu", told)


def memory(available: int | None, most: int | None) -> Finding:
    """Whether there is memory. ``most``: what the control group may have; None: no limit."""
    if available is None:
        return unknown("memory", "the kernel does not say how much there is")
    usable = _least(available, most) or 0
    told = f"{usable // _MIB} MiB of memory"
    if usable < LEAST_MEMORY:
        return warning("memory", told, "give it more; each channel is a process of some 30 MiB")
    return fine("memory", told)


def _least(*limits: int | None) -> int | None:
    return min((limit for limit in limits if limit is not None), default=None)


def _limits(text: str) -> dict[str, int]:
    """The hard limits in ``/proc/…/limits``; those that there are not are left out."""
    found = {}
    for line in text.splitlines()[1:]:
        name, hard = line[:26].strip(), line[26:].split()[1]
        if hard.isdigit():
            found[name] = int(hard)
    return found


def _groups(text: str) -> list[Path]:
    """The control group (version 2) that ``/proc/…/cgroup`` names, and all above it."""
    names = [line[3:] for line in text.splitlines() if line.startswith("0::/")]
    if not names:
        return []
    path = Path(names[0])
    return [_CGROUPS / each.relative_to("/") for each in (path, *path.parents)]


def _bound(groups: list[Path], name: str) -> int | None:
    """The least of a limit in these groups."""
    return _least(*(int(text) for group in groups if (text := _read(group / name)).isdigit()))


def _share(groups: list[Path]) -> float | None:
    """How many processors a group may use, such as 1.5."""
    pairs = [text.split() for group in groups if (text := _read(group / "cpu.max"))]
    return min((int(quota) / int(period) for quota, period in pairs if quota.isdigit()), default=None)


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii").strip()
    except OSError:
        return ""


def _available(text: str) -> int | None:
    for line in text.splitlines():
        name, _, rest = line.partition(":")
        if name == "MemAvailable":
            return int(rest.split()[0]) << 10
    return None
