"""One wave after another: kill, wait until everything is as it was, and see that nobody else noticed."""

import asyncio
import os
import signal
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

from config.tree import CLINIC_FLAGS, ROOT_FLAGS
from tests.chaos.bed import Bed
from tests.chaos.hand import HandError, Tree
from tests.chaos.kinds import Counts, How
from tests.chaos.plan import Key, Kill, Wave
from tests.chaos.traffic import Command
from tests.chaos.watch import Event, since

SETTLE_S: Final = 40.0
"""Until those who were hit have sent something, and the board and the tree show nothing unusual."""
_LOOK_S: Final = 0.1
_NOBODY: Final = 1 << 30
"""A pid that there cannot be."""

_SIGNALS: Final = {How.SIGKILL: signal.SIGKILL, How.SIGSTOP: signal.SIGSTOP}


@dataclass(frozen=True, slots=True)
class Recovery:
    """``took`` seconds until it was as before; None: not within ``bound``."""

    kill: Kill
    bound: float
    took: float | None


@dataclass(slots=True)
class Found:
    """What the run has found so far. ``broken`` are the promises that did not hold."""

    recoveries: list[Recovery] = field(default_factory=list)
    changes: list[str] = field(default_factory=list)
    broken: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _Struck:
    """A kill that was done; ``was`` is the actor or the process that it struck."""

    kill: Kill
    was: str | int
    at: float
    wall: datetime


class Game:
    """Watches from its construction on: outside of a wave nobody's state may change at all."""

    def __init__(self, bed: Bed, found: Found, say: Callable[[str], None]) -> None:
        self._bed = bed
        self._watch = bed.watch
        self._found = found
        self._say = say
        self._number = 0
        self._losing: set[Key] = set()
        self._hit: set[str] = set()
        self._since: dict[Key, Event] = {}
        self._tree: Tree = {}
        self._done: deque[tuple[float, tuple[Counts, str]]] = deque()
        self._watch.on_state = self._on_state
        self._watch.on_board = self._on_board
        self._watch.on_result = self._on_result

    def stop(self) -> None:
        """Judge nothing from now on."""
        self._watch.on_state = lambda _key, _event: None
        self._watch.on_board = lambda: None

    # -- judging --

    def broken(self, text: str) -> None:
        """A promise did not hold."""
        self._found.broken.append(f"wave {self._number}: {text}")
        self._say(f"  BROKEN  {text}")

    def _on_state(self, key: Key, event: Event) -> None:
        if key not in self._losing:
            self._found.changes.append(f"{key}")
            self.broken(f"{'/'.join(key)}, not hit, became {event['state']} ({event['reason']})")

    def _on_board(self) -> None:
        for key, channel in self._watch.board.items():
            if key in self._losing or key not in self._since:
                continue
            if (channel["state"], channel["since"]) != (self._since[key]["state"], self._since[key]["since"]):
                self._found.changes.append(f"{key}")
                self.broken(f"{'/'.join(key)}, not hit, is shown as {channel['state']} ({channel['reason']})")
                self._since[key] = channel
        for name, clinic in self._watch.clinics.items():
            if name not in self._hit and clinic["state"] != "running":
                self.broken(f"{name}, not hit, is shown as {clinic['state']} ({clinic['reason']})")

    def _on_result(self, event: Event) -> None:
        command = self._bed.traffic.commands.get(event["id"])
        if command is None:
            return
        if command.done is not None:
            self.broken(f"a second result of {event['id']}: {event}")
            return
        command.done, command.status = time.monotonic(), event["status"]
        if event["status"] != "sent":
            self.broken(f"a command of {'/'.join(command.key)} was not sent: {event}")

    def expect(self, losing: set[Key], hit: set[str]) -> None:
        """From now on these channels may lose their connection, and their clinics and those of ``hit`` may show it."""
        self._losing = losing
        self._hit = hit | {clinic for clinic, _ in losing}
        self._bed.traffic.expose(losing)

    def expect_nothing(self) -> None:
        """From now on nobody's state may change."""
        self._losing, self._hit = set(), set()
        self._since = dict(self._watch.board)
        self._bed.traffic.expose(set())

    # -- a wave --

    async def play(self, wave: Wave) -> None:
        """All of it."""
        self._number += 1
        await self._within_limits(wave)
        await self._watch.until(lambda: all(self._bed.connected(key) for key in self._bed.channels))
        if not await self._watch.look_once():
            self.broken("the admin endpoint does not answer")
        self._since = dict(self._watch.board)
        losing = {key for kill in wave for key in kill.losing(self._bed.channels)}
        self.expect(losing, {kill.clinic for kill in wave})
        self._tree = await self._bed.hand.tree()
        struck = [await self._strike(kill) for kill in wave]
        looking = asyncio.create_task(self._look())
        try:
            recoveries = await asyncio.gather(*(self._recovery(one) for one in struck))
            self._found.recoveries += recoveries
            for recovery in recoveries:
                took = "not back" if recovery.took is None else f"{recovery.took:6.2f} s"
                self._say(f"{self._number:4}  {took}  (bound {recovery.bound:4.1f} s)  {recovery.kill}")
            await self.settle()
        finally:
            looking.cancel()
            await asyncio.gather(looking, return_exceptions=True)
        self.expect_nothing()

    async def _within_limits(self, wave: Wave) -> None:
        """Wait until these restarts are not more than any supervisor may do in its period: what it does then is
        giving up or parking, as it should."""
        given = self._bed.settings.supervision
        quarantine = given.quarantine_restarts, given.quarantine_period
        limits = {
            Counts.ROOT: (ROOT_FLAGS.intensity, ROOT_FLAGS.period_s),
            Counts.INSIDE: (CLINIC_FLAGS.intensity, CLINIC_FLAGS.period_s),
            Counts.CHANNEL: quarantine,
            Counts.CLINIC: quarantine,
        }
        for kill in wave:
            counts = kill.limit
            if counts[0] is Counts.NOTHING:
                continue
            most, period = limits[counts[0]]
            while len(times := [at for at, other in self._done if other == counts]) >= most - 1:
                left = times[0] + period + 1.0 - time.monotonic()
                if left > 0:
                    self._say(f"      waiting {left:.0f} s: one more would be too much for {counts[0].value}")
                    await asyncio.sleep(left)
                self._done.remove((times[0], counts))
            self._done.append((time.monotonic(), counts))

    async def _strike(self, kill: Kill) -> _Struck:
        number = _SIGNALS.get(kill.kind.how)
        at, wall = time.monotonic(), datetime.now(UTC)
        if number is None:
            return _Struck(kill, await self._bed.hand.do(kill.kind.how.value, kill.place), at, wall)
        pid = _pid(self._tree[kill.place])
        try:
            os.kill(pid or _NOBODY, number)
        except ProcessLookupError:
            self.broken(f"{kill}: it was dead already (pid {pid}); the tree: {self._tree[kill.place]}")
        return _Struck(kill, pid, at, wall)

    async def _look(self) -> None:
        while True:
            try:
                self._tree = await self._bed.hand.tree()
            except HandError:  # a part of it is just being replaced
                continue
            finally:
                await asyncio.sleep(_LOOK_S)

    async def _recovery(self, struck: _Struck) -> Recovery:
        kill = struck.kill
        bound = self._bed.bounds.within(kill.kind)
        try:
            await self._watch.until(lambda: self._is_back(struck), bound - (time.monotonic() - struck.at))
            return Recovery(kill, bound, time.monotonic() - struck.at)
        except TimeoutError:
            lost = [
                f"{'/'.join(key)} {(self._watch.states[key] or [{}])[-1].get('state')}"
                for key in sorted(kill.losing(self._bed.channels))
                if not self._watch.connected_since(key, struck.wall)
            ]
            self.broken(f"{kill}: not back within {bound:.1f} s; {lost}; {self._tree.get(kill.place)}")
            return Recovery(kill, bound, None)

    def _is_back(self, struck: _Struck) -> bool:
        kill = struck.kill
        now = self._tree.get(kill.place)
        if now is None or now["phase"] != "up" or _identity(struck.was, now) in (None, struck.was):
            return False
        return all(self._watch.connected_since(key, struck.wall) for key in kill.losing(self._bed.channels))

    async def settle(self) -> None:
        """Until nothing tells of what happened any more."""
        recovered = time.monotonic()
        probes = [self._bed.traffic.send(key) for key in sorted(self._losing)]

        def late() -> list[str]:
            commands = [one for one in self._bed.traffic.open if one in probes or _due(one, recovered)]
            return [
                *(f"{one.id} of {'/'.join(one.key)} has no result" for one in commands),
                *(f"{place} is {node['phase']}" for place, node in self._tree.items() if node["phase"] != "up"),
                *(f"{'/'.join(key)} is not shown as connected" for key in self._bed.channels if not self._shown(key)),
                *(f"{c} is shown as {now['state']}" for c, now in self._watch.clinics.items() if not _runs(now)),
            ]

        try:
            await self._watch.until(lambda: not late(), SETTLE_S)
        except TimeoutError:
            self.broken(f"not settled {SETTLE_S:g} s after the recovery: {late()}")

    def _shown(self, key: Key) -> bool:
        """Whether the board shows what the last event said."""
        shown, events = self._watch.board.get(key), self._watch.states[key]
        return shown is not None and shown["state"] == "connected" and since(shown) == since(events[-1])


def _due(command: Command, recovered: float) -> bool:
    """Whether its result is to be waited for. What a channel that was hit had taken from the queue comes again after
    the time that JetStream gives to acknowledge it, 30 s."""
    return command.begun <= recovered and not command.exposed


def _runs(clinic: Event) -> bool:
    return bool(clinic["state"] == "running")


def _pid(node: dict[str, Any]) -> int:
    """The process of a channel, of the nursery or of the broker; 0 if there is none."""
    facts = node["facts"]
    return int(facts.get("port") or facts.get("pid") or 0)


def _identity(like: str | int, node: dict[str, Any]) -> str | int | None:
    """Of the actor at a place, or of its process."""
    return node["actor"] if isinstance(like, str) else _pid(node) or None
