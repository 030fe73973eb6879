"""Who goes next, pure: the lines of commands before one port. No operation depends on how many wait.

Each chat has a line for each priority, and one of its commands at a time is away. A chat that is free is ready, in the
rank of the line that is next in it (one whose person wrote lately is ready as high, as a whole). Ranks go in order,
chats of one rank in turn. Nothing starves: a rank in which a chat is ready is passed over by at most ``PATIENCE`` + 1
commands of other ranks in a row, and a line of a chat by as many of the chat's other lines.
"""

from collections import OrderedDict
from heapq import heappop, heappush
from itertools import count
from typing import Final

from actors.channel.life import Now
from actors.channel.parcel import Parcel
from protocol.subjects import Priority

PATIENCE: Final = 8
ORDER: Final = (Priority.HIGH, Priority.NORMAL, Priority.BULK)


class Line:
    """The commands of one (chat, priority) in order of acceptance; closed ``until`` (monotonic seconds; 0: open), by
    pacing if ``held``, else for its head's retry."""

    __slots__ = ("held", "parcels", "passed", "until")

    def __init__(self) -> None:
        self.parcels: OrderedDict[str, Parcel] = OrderedDict()
        self.until = 0.0
        self.held = False
        self.passed = 0

    @property
    def head(self) -> Parcel:
        """The first; there is one."""
        return next(iter(self.parcels.values()))

    @property
    def open(self) -> bool:
        """Whether its head may go."""
        return bool(self.parcels) and not self.until

    def put_back(self, parcel: Parcel) -> None:
        """At its place by acceptance, which is the first, unless several were away at once."""
        later = [other for other in self.parcels.values() if other.seq < parcel.seq] if self._behind(parcel) else []
        self.parcels[parcel.id] = parcel
        self.parcels.move_to_end(parcel.id, last=False)
        for other in reversed(later):
            self.parcels.move_to_end(other.id, last=False)

    def _behind(self, parcel: Parcel) -> bool:
        return bool(self.parcels) and self.head.seq < parcel.seq


class Chat:
    """``away``: its commands that are with the port or in doubt; ``favoured_until``: monotonic seconds."""

    __slots__ = ("away", "counted", "doubts", "favoured_until", "jid", "known", "lines", "opted_out", "rank", "waiting")

    def __init__(self, jid: str) -> None:
        self.jid = jid
        self.lines: dict[Priority, Line] = {}
        self.away = 0
        self.doubts = 0
        self.waiting = 0
        self.favoured_until = float("-inf")
        self.known = False
        self.opted_out = False
        self.rank: Priority | None = None
        self.counted = False

    def line(self, priority: Priority) -> Line:
        """The one for a priority."""
        found = self.lines.get(priority)
        if found is None:
            found = self.lines[priority] = Line()
        return found

    def next(self) -> tuple[Priority, Line] | None:
        """The line whose head goes next; None if all are empty or closed."""
        first = None
        for priority in ORDER:
            line = self.lines.get(priority)
            if line is None or not line.open:
                continue
            if first is None:
                first = priority, line
            elif line.passed >= PATIENCE:
                return priority, line
        return first

    def took(self, chosen: Line) -> None:
        """Its head goes: the others are passed over."""
        for line in self.lines.values():
            line.passed = line.passed + 1 if line is not chosen and line.open else 0


class Lines:
    """All chats. Not thread-safe."""

    def __init__(self) -> None:
        self.chats: dict[str, Chat] = {}
        self.soon = 0
        """Chats whose next command could go now, or once the one that is away is back."""
        self._ready: dict[Priority, OrderedDict[str, Chat]] = {priority: OrderedDict() for priority in ORDER}
        self._passed = dict.fromkeys(ORDER, 0)
        self._closed: list[tuple[float, int, Chat, Line]] = []
        self._count = count()

    @property
    def any_ready(self) -> bool:
        """Whether a command could go now."""
        return any(self._ready.values())

    def chat(self, jid: str) -> Chat:
        """The chat with ``jid``."""
        found = self.chats.get(jid)
        if found is None:
            found = self.chats[jid] = Chat(jid)
        return found

    def close(self, chat: Chat, line: Line, until: float, *, held: bool = False) -> None:
        """Let nothing of this line go before ``until``."""
        line.until = until
        line.held = held
        heappush(self._closed, (until, next(self._count), chat, line))

    def wake(self, now: Now) -> None:
        """Open the lines whose time has come."""
        while self._closed and self._closed[0][0] <= now.mono:
            until, _, chat, line = heappop(self._closed)
            if line.until == until:
                line.until = 0.0
                self.place(chat, now)

    def wait(self, now: Now) -> float | None:
        """Seconds until a line opens; None if none is closed."""
        while self._closed and (self._closed[0][3].until != self._closed[0][0] or not self._closed[0][3].parcels):
            _, _, _, line = heappop(self._closed)
            if not line.parcels:
                line.until = 0.0
        return max(0.0, self._closed[0][0] - now.mono) if self._closed else None

    def open_held(self, now: Now) -> None:
        """Open every line that pacing holds: what it went by may have changed."""
        for until, _, chat, line in self._closed:
            if line.held and line.until == until:
                line.until = 0.0
                self.place(chat, now)

    def place(self, chat: Chat, now: Now) -> None:
        """Have ``chat`` stand where it belongs, after anything of it has changed."""
        following = chat.next() if chat.waiting else None
        counted = following is not None and not chat.doubts
        self.soon += counted - chat.counted
        chat.counted = counted
        rank = None
        if following is not None and not chat.away:
            rank = Priority.HIGH if now.mono < chat.favoured_until else following[0]
        if rank is not chat.rank:
            if chat.rank is not None:
                del self._ready[chat.rank][chat.jid]
            if rank is not None:
                self._ready[rank][chat.jid] = chat
            chat.rank = rank
        if not chat.waiting and not chat.away:
            self.chats.pop(chat.jid, None)

    def pick(self) -> Chat | None:
        """The chat that goes next; it is to be taken from, or closed, before the next is picked."""
        chosen: Priority | None = None
        for rank in ORDER:
            if not self._ready[rank]:
                self._passed[rank] = 0
            elif chosen is None or (self._passed[rank] >= PATIENCE and self._passed[chosen] < PATIENCE):
                chosen = rank
        if chosen is None:
            return None
        return next(iter(self._ready[chosen].values()))

    def took(self, rank: Priority) -> None:
        """A command has gone for this rank: the others are passed over."""
        for other in ORDER:
            self._passed[other] = self._passed[other] + 1 if other is not rank and self._ready[other] else 0
