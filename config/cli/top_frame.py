"""What ``plantao top`` shows, before it is drawn: rows and a summary, from one look at the tree and the one before.

Pure: the tree is as ``GET /api/v1/tree`` answers it, times are arguments.
"""

from collections import Counter, deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import IntEnum
from typing import Any, Final

Tree = Mapping[str, Any]
Path = tuple[str, ...]

MINUTE_S: Final = 60.0
BUSY_S: Final = 1.0
"""At one message for longer than this is worth a notice: no actor ever waits for anything."""
HANGS_S: Final = 10.0
FULL: Final = 100
"""Messages in an inbox that are worth a notice."""

_CROWD: Final = frozenset({"clinics", "channels"})
"""Supervisors that say nothing in a name."""


class Trouble(IntEnum):
    """How much a row wants to be looked at."""

    NONE = 0
    NOTICE = 1
    WARNING = 2
    ALARM = 3


_OF_STATE: Final[Mapping[str, Trouble]] = {
    "starting": Trouble.NOTICE,
    "stopping": Trouble.NOTICE,
    "down": Trouble.WARNING,
    "restarting": Trouble.WARNING,
    "waiting": Trouble.WARNING,
    "quarantined": Trouble.ALARM,
    "initializing": Trouble.NOTICE,
    "pairing": Trouble.NOTICE,
    "qr_required": Trouble.WARNING,
    "reconnecting": Trouble.WARNING,
    "logged_out": Trouble.ALARM,
    "error": Trouble.ALARM,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One node of the tree. ``rate``: messages a second since the look before, None if there was none; ``last``: for
    each level from the second on whether it is the last child there, which is what the lines of a tree are drawn by."""

    path: Path
    last: tuple[bool, ...]
    state: str
    trouble: Trouble
    restarts: int
    inbox: int
    rate: float | None
    busy_s: float
    pid: int | None
    last_exit: str

    @property
    def name(self) -> str:
        """Which one it is, without the tree around it."""
        return "/".join([*(step for step in self.path[1:-1] if step not in _CROWD), self.path[-1]])


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """The node as a whole, but ``clinics`` and ``channels`` (by state) of the part of the tree that was asked for.

    ``restarts`` since the node was started, of all there ever were; ``recent_restarts`` those of the
    last ``recent_s`` seconds: a minute, or since the first look. These and ``messages_per_s`` (between actors) are None
    at the first look."""

    version: str
    uptime_s: float
    clinics: int
    channels: Mapping[str, int]
    restarts: int
    recent_restarts: int | None
    recent_s: float | None
    messages_per_s: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """One look."""

    summary: Summary
    rows: tuple[Row, ...]
    tree: Tree
    """As it was answered, with the ``rate`` of each node."""

    def troubled_first(self) -> tuple[Row, ...]:
        """The rows, those first that want to be looked at."""
        return tuple(sorted(self.rows, key=lambda row: (-row.trouble, -row.restarts, -row.inbox, row.path)))


class Watch:
    """Looks at the same node again and again."""

    def __init__(self) -> None:
        self._at: float | None = None
        self._handled: dict[Path, tuple[int, int]] = {}
        self._restarts: deque[tuple[float, int]] = deque()

    def look(self, tree: Tree, at: float) -> Frame:
        """What there is to see in ``tree`` at ``at`` (monotonic seconds)."""
        elapsed = None if self._at is None else max(at - self._at, 1e-3)
        handled: dict[Path, tuple[int, int]] = {}
        rated = self._rated(tree, (), elapsed, handled)
        rates = [rate for node in _all(rated) if (rate := node["rate"]) is not None]
        facts = tree["facts"]
        channels = Counter(_state(node) for node in _all(tree) if node["kind"] == "channel")
        restarts = int(facts.get("restarts", 0))
        begun, since = self._a_minute_ago(at, restarts)
        summary = Summary(
            version=str(facts.get("version", "")),
            uptime_s=float(facts.get("uptime_s", 0.0)),
            clinics=sum(node["kind"] == "clinic" for node in _all(tree)),
            channels=dict(sorted(channels.items())),
            restarts=restarts,
            recent_restarts=None if elapsed is None else restarts - since,
            recent_s=None if elapsed is None else round(at - begun, 1),
            messages_per_s=None if elapsed is None else round(sum(rates), 1),
        )
        self._at, self._handled = at, handled
        return Frame(summary=summary, rows=tuple(_rows(rated, (), ())), tree=rated)

    def _rated(self, node: Tree, above: Path, elapsed: float | None, handled: dict[Path, tuple[int, int]]) -> Tree:
        path = (*above, node["id"])
        before = self._handled.get(path)
        handled[path] = node["incarnation"], node["handled"]
        rate = None
        if elapsed is not None and before is not None:
            incarnation, count = before
            # Another incarnation, also one in another incarnation of its supervisor, begins with 0.
            goes_on = incarnation == node["incarnation"] and count <= node["handled"]
            rate = round((node["handled"] - (count if goes_on else 0)) / elapsed, 2)
        below = [self._rated(child, path, elapsed, handled) for child in node["children"]]
        return {**node, "rate": rate, "children": below}

    def _a_minute_ago(self, at: float, restarts: int) -> tuple[float, int]:
        past = self._restarts
        if past and restarts < past[-1][1]:
            past.clear()  # another node
        past.append((at, restarts))
        while len(past) > 1 and at - past[1][0] >= MINUTE_S:
            past.popleft()
        return past[0]


def cut(node: Tree, depth: int | None) -> Tree:
    """``node`` with at most ``depth`` levels below it."""
    if depth is None:
        return node
    return {**node, "children": [cut(child, depth - 1) for child in node["children"]] if depth else []}


def _all(node: Tree) -> Iterator[Tree]:
    yield node
    for child in node["children"]:
        yield from _all(child)


def _rows(node: Tree, above: Path, last: tuple[bool, ...]) -> Iterator[Row]:
    path = (*above, str(node["id"]))
    pid = node["facts"].get("pid")
    yield Row(
        path=path,
        last=last,
        state=_state(node),
        trouble=_trouble(node),
        restarts=node["restarts"],
        inbox=node["inbox"],
        rate=None if node["kind"] == "port" else node["rate"],
        busy_s=node["busy_s"],
        pid=pid if isinstance(pid, int) else None,
        last_exit=node["last_exit"],
    )
    for child in node["children"]:
        yield from _rows(child, path, (*last, child is node["children"][-1]))


def _state(node: Tree) -> str:
    """What its supervisor says, and if that is that it is up, what it says of itself."""
    phase = str(node["phase"])
    return str(node["facts"].get("state", phase)) if phase == "up" else phase


def trouble_of(state: str) -> Trouble:
    """How much who is in ``state`` (a phase, or a channel's state) wants to be looked at."""
    return _OF_STATE.get(state, Trouble.NONE)


def _trouble(node: Tree) -> Trouble:
    busy = Trouble.ALARM if node["busy_s"] > HANGS_S else Trouble(node["busy_s"] > BUSY_S)
    return max(trouble_of(_state(node)), busy, Trouble(node["inbox"] >= FULL), Trouble(node["restarts"] > 0))
