"""The processes of a scenario: children that behave as they are told, and supervisors that are watched."""

import threading
from collections import Counter
from dataclasses import dataclass, field, replace
from typing import Any

from pykka import ActorRef

from supervisor.actor import Actor, Link, of
from supervisor.reasons import Crash, ExitReason, Killed, Shutdown
from supervisor.shell import Supervisor
from supervisor.spec import Flags
from tests.otp.wording import Json, StartError, exit_reason, how


@dataclass(slots=True)
class Record:
    """What happened, in order, and who was started; written by many threads."""

    events: list[Json] = field(default_factory=list)
    attempts: Counter[str] = field(default_factory=Counter)
    latest: dict[str, ActorRef[Any]] = field(default_factory=dict)
    everyone: list[ActorRef[Any]] = field(default_factory=list)
    now: float = 1000.0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def add(self, ev: str, **fields: Any) -> None:
        with self.lock:
            self.events.append({"ev": ev, **fields})

    def attempt(self, id: str) -> int:
        with self.lock:
            self.attempts[id] += 1
            return self.attempts[id]

    def started(self, id: str, ref: ActorRef[Any]) -> None:
        with self.lock:
            self.latest[id] = ref

    def supervisors(self) -> list["Watched"]:
        return [actor for actor in map(of, list(self.everyone)) if isinstance(actor, Watched)]

    def take(self) -> list[Json]:
        with self.lock:
            taken, self.events = self.events, []
            return taken


@dataclass(frozen=True, slots=True)
class EndYourself:
    """End for this reason."""

    reason: ExitReason


@dataclass(frozen=True, slots=True)
class _NowEnd:
    """The delay is over."""


class Worker(Actor):
    """A child of a scenario: ``given`` is its spec there."""

    def __init__(self, link: Link, record: Record, given: Json, incarnation: int) -> None:
        super().__init__(link)
        self._record = record
        self._given = given
        self.names: Json = {"child": given["id"], "incarnation": incarnation}
        self._args: Json = {"args": given["args"]} if "args" in given else {}

    def initialize(self) -> bool:
        behaviour = self._given.get("start_behaviour", "ok")
        nth = self.names["incarnation"]
        if isinstance(behaviour, dict) and nth in behaviour.get("ignore_on_nth_start", ()):
            self._record.add("start_ignored", **self.names, **self._args)
            self.ignore()
            return False
        if isinstance(behaviour, dict) and nth in behaviour.get("fail_on_nth_start", ()):
            reason = "EXIT:start_raised" if behaviour.get("how") == "raise" else "start_failed"
            self._record.add("start_failed", **self.names, **self._args, reason=reason)
            self.exit(Crash(StartError(reason)))
            return False
        self._record.add("start", **self.names, **self._args)
        self._record.started(self.names["child"], self.actor_ref)
        self.started(self._given.get("start_info"))
        return False

    def handle(self, message: Any) -> None:
        match message:
            case EndYourself(reason):
                self._go(reason)
            case _NowEnd():
                self._go(Shutdown())
            case _:
                super().handle(message)

    def shut_down(self, reason: ExitReason) -> None:
        match self._given.get("on_shutdown", "die"):
            case "die":
                self._go(reason)
                return
            case "trap":
                self._record.add("signal", **self.names, reason=how(reason))
                self._go(reason)
            case "ignore":
                self._record.add("signal", **self.names, reason=how(reason))
            case {"delay_ms": delay}:
                self._record.add("signal", **self.names, reason=how(reason))
                self.timer("end", delay / 1000, _NowEnd())
            case {"exit_reason": word}:
                self._record.add("signal", **self.names, reason=how(reason))
                self._go(exit_reason(word))

    def given_up(self) -> None:
        self._record.add("terminate", **self.names, how="killed")

    def _go(self, reason: ExitReason) -> None:
        self._record.add("terminate", **self.names, how=how(reason))
        self.exit(reason)


class Watched(Supervisor):
    """A supervisor whose life is recorded: the top one (no ``id``) or a nested one."""

    def __init__(self, link: Link, record: Record, id: str | None, incarnation: int, specs: Any, flags: Flags) -> None:
        def exited(reason: ExitReason) -> None:
            link.exited(reason)
            self.reported.set()

        self.reported = threading.Event()
        super().__init__(replace(link, exited=exited), id or "top", specs, flags, clock=lambda: record.now)
        self._record = record
        self._id = id
        self.names: Json = {"child": id, "incarnation": incarnation}
        self._up = False

    @property
    def level(self) -> int:
        """How many supervisors are above it."""
        return 0 if self._id is None else 1 + self._id.count(".")

    def started(self, info: object = None) -> None:
        self._up = True
        if self._id is not None:
            self._record.add("start", **self.names)
            self._record.started(self._id, self.actor_ref)
        super().started(info)

    def cleanup(self, reason: ExitReason) -> None:
        super().cleanup(reason)
        if self._id is None:
            if self._up:
                self._record.add("supervisor_exit", reason=how(reason))
        elif self._up:
            self._record.add("terminate", **self.names, how=how(reason))
        else:
            self._record.add("start_failed", **self.names, reason=how(reason))

    def given_up(self) -> None:
        killed = self.actor_ref.is_alive() is False and isinstance(self._reason, Killed)
        if killed and self._id is not None:
            self._record.add("terminate", **self.names, how="killed")
        super().given_up()
        if killed and self._id is None:
            self._record.add("supervisor_exit", reason="killed")


def label(ref: ActorRef[Any]) -> str:
    """The name of a process in a trace."""
    actor = of(ref)
    assert isinstance(actor, Worker | Watched)
    return f"{actor.names['child']}#{actor.names['incarnation']}"
