"""OTP's supervisor as OTP itself is written: a process that does one thing at a time and waits for each.

The independent model that ``core`` is held against, from OTP's documentation and the extensions' docstrings. Where the
core remembers in values what it waits for, a task here is a generator that blocks. What it does is said in tuples.
"""

from collections.abc import Generator, Iterable
from typing import Any

from supervisor.api import (
    CountChildren,
    DeleteChild,
    GetChildSpec,
    Process,
    RestartChild,
    StartChild,
    TerminateChild,
    WhichChildren,
)
from supervisor.reasons import ExitReason, FailedToStartChild, Normal, Shutdown
from supervisor.spec import ABANDON, AutoShutdown, ChildSpec, Flags, Restart, Strategy
from supervisor.state import Asked, Begin, Event, Exited, Ignored, RestartDue, Started, Stop, TimedOut, TryAgain
from tests.unit.supervisor.otp_parts import Deed, Kid, Over, Steps, Task, Wanted, fields, named


class Model:
    """Told events, it says what a supervisor does."""

    def __init__(self, flags: Flags, specs: Iterable[ChildSpec]) -> None:
        listed = list(specs)
        self.flags = flags
        self.dynamic = flags.strategy is Strategy.DYNAMIC
        self.template = listed[0] if self.dynamic else None
        self.kids = [] if self.dynamic else [Kid(spec) for spec in listed]
        self.instances = 0
        self.restarts: list[float] = []
        self.mailbox: list[Event] = []
        self.tasks: list[Task] = []
        self.booting = 0
        self.ending = False
        self.now = 0.0
        self.deeds: list[Deed] = []

    # -- the process --

    def hear(self, event: Event, now: float) -> list[Deed]:
        """What it does now that ``event`` has happened."""
        self.now, self.deeds = now, []
        if isinstance(event, Stop):
            self.over(event.reason)
        else:
            task = next((task for task in self.tasks if task.wanted is not None and task.wanted(event)), None)
            if task is not None:
                self.resume(task, event)
            else:
                self.mailbox.append(event)
        while self.goes_on():
            pass
        return self.deeds

    def goes_on(self) -> bool:
        for task in self.tasks:
            if task.wanted is None and self.has_room():
                self.resume(task, None)
                return True
        for event in self.mailbox:
            if not self.busy_for(event):
                self.mailbox.remove(event)
                self.attend(event)
                return True
        return False

    def busy_for(self, event: Event) -> bool:
        if not self.flags.independent or self.ending:
            return bool(self.tasks)
        about = named(event)
        return about is not None and any(task.about == about for task in self.tasks)

    def resume(self, task: Task, event: Event | None) -> None:
        try:
            task.wanted = task.steps.send(event)
        except StopIteration:
            self.tasks.remove(task)
        except Over as over:
            self.tasks.remove(task)
            self.over(over.reason)

    def task(self, steps: Steps, about: str | None = None, to: object = None) -> None:
        task = Task(steps, about, to)
        self.tasks.append(task)
        self.resume(task, None)

    def over(self, reason: ExitReason) -> None:
        if self.ending:
            return
        self.ending = True
        cut, self.tasks = self.tasks, []
        for task in cut:
            if task.to is not None:
                self.reply(task.to, "ended", reason)
        self.task(self.terminate(reason))

    def do(self, *deed: Any) -> None:
        self.deeds.append(deed)

    def reply(self, to: object, *answer: Any) -> None:
        self.do("reply", to, *answer)

    # -- children --

    def kid(self, id: object) -> Kid | None:
        return next((kid for kid in self.kids if kid.id == id), None)

    def rest(self, kid: Kid) -> None:
        kid.state = "down"
        if (kid.never_again or self.dynamic) and kid in self.kids:
            self.kids.remove(kid)

    def has_room(self) -> bool:
        stagger = self.flags.stagger
        return stagger is None or sum(kid.state == "starting" for kid in self.kids) < stagger.at_once

    def start(self, kid: Kid) -> Generator[Wanted | None, Any, Event]:
        if self.flags.stagger is not None:
            yield None
        kid.number += 1
        kid.state, kid.up_at = "starting", None
        self.do("launch", kid.id, kid.number)
        event = yield kid.says(Started, Ignored, Exited)
        if isinstance(event, Started):
            kid.state, kid.pid, kid.up_at = "up", kid.number, self.now
        elif isinstance(event, Ignored):
            self.rest(kid)
        return event  # type: ignore[no-any-return]

    def tell(self, kid: Kid) -> bool:
        """Whether it has to be waited for."""
        if kid.state == "stopping":
            return True
        if kid.state in ("up", "starting"):
            notice = next((event for event in self.mailbox if kid.says(Exited)(event)), None)
            if notice is None:
                kid.state = "stopping"
                self.do("kill" if kid.spec.patience is ABANDON else "tell", kid.id, kid.number)
                return True
            self.mailbox.remove(notice)
        self.rest(kid)
        return False

    def gone(self, kids: list[Kid]) -> Steps:
        """All of these have ended; those that take too long are killed."""
        left = {kid.id: kid for kid in kids}
        while left:
            event = yield lambda event: any(kid.says(Exited, TimedOut)(event) for kid in left.values())
            if isinstance(event, TimedOut):
                self.do("kill", event.id, event.incarnation)
            else:
                self.rest(left.pop(event.id))

    def stop(self, kid: Kid) -> Steps:
        if self.tell(kid):
            yield from self.gone([kid])

    def terminate(self, reason: ExitReason) -> Steps:
        waiting = [kid for kid in list(self.kids) if kid.state == "stopping"]
        waiting += [kid for kid in list(self.kids) if kid.state == "starting" and self.tell(kid)]
        if self.dynamic or self.flags.independent:
            waiting += [kid for kid in reversed(list(self.kids)) if kid not in waiting and self.tell(kid)]
        yield from self.gone(waiting)
        for kid in reversed(list(self.kids)):
            yield from self.stop(kid)
        self.do("exit", reason)
        for event in self.mailbox:
            if isinstance(event, Asked):
                self.reply(event.to, "ended", reason)
        self.mailbox = []

    # -- beginning, and restarting --

    def boot(self, kids: list[Kid]) -> Steps:
        for kid in kids:
            outcome = yield from self.start(kid)
            if isinstance(outcome, Exited):
                self.rest(kid)
                raise Over(Shutdown(FailedToStartChild(kid.id, outcome.reason)))
            self.booting -= 1
        if self.booting == 0:
            self.do("booted")

    def ended(self, kid: Kid, reason: ExitReason) -> Steps:
        normal = isinstance(reason, Normal | Shutdown)
        if kid.spec.restart is Restart.PERMANENT or (kid.spec.restart is Restart.TRANSIENT and not normal):
            yield from self.restart(kid)
            return
        self.rest(kid)
        if not kid.spec.significant:
            return
        others = [other for other in self.kids if other.spec.significant and other.state not in ("down", "quarantined")]
        mode = self.flags.auto_shutdown
        if mode is AutoShutdown.ANY_SIGNIFICANT or (mode is AutoShutdown.ALL_SIGNIFICANT and not others):
            raise Over(Shutdown())

    def restart(self, kid: Kid) -> Steps:
        quarantine, backoff = kid.spec.quarantine, kid.spec.backoff
        if quarantine is not None:
            kid.recent = [at for at in kid.recent if self.now - at <= quarantine.period_s] + [self.now]
            if len(kid.recent) > quarantine.restarts:
                kid.state, kid.recent, kid.failures = "quarantined", [], 0
                self.do("park", kid.id, kid.number)
                return
        if backoff is not None:
            if kid.up_at is not None and self.now - kid.up_at >= backoff.stable_s:
                kid.failures = 0
            kid.failures += 1
            kid.state = "waiting"
            self.do("delay", kid.id, kid.number, kid.failures)
            return
        if not kid.persists:
            self.restarts = [at for at in self.restarts if self.now - at <= self.flags.period_s] + [self.now]
            if len(self.restarts) > self.flags.intensity:
                self.rest(kid)
                raise Over(Shutdown())
        yield from self.revive(kid)

    def revive(self, kid: Kid) -> Steps:
        kid.state = "down"
        place = self.kids.index(kid)
        first = {Strategy.ONE_FOR_ALL: 0, Strategy.REST_FOR_ONE: place}.get(self.flags.strategy)
        group = [kid] if first is None else self.kids[first:]
        for other in reversed(group):
            if other is not kid:
                yield from self.stop(other)
        for each in group:
            if each not in self.kids:
                continue
            outcome = yield from self.start(each)
            if isinstance(outcome, Exited):
                self.failed_again(each)
                return

    def failed_again(self, kid: Kid) -> None:
        if kid.persists:
            self.task(self.restart(kid), kid.id)
        else:
            kid.state = "restarting"
            self.do("again", kid.id)

    # -- attending --

    def attend(self, event: Event) -> None:
        match event:
            case Begin():
                self.booting = len(self.kids)
                if self.flags.independent and self.kids:
                    for kid in list(self.kids):
                        self.task(self.boot([kid]), kid.id)
                else:
                    self.task(self.boot(list(self.kids)))
            case Asked(request, to):
                self.asked(request, to)
            case Exited() | TryAgain() | RestartDue():
                about = self.kid(event.id)
                if about is not None:
                    self.happened(about, event)

    def happened(self, kid: Kid, event: Exited | TryAgain | RestartDue) -> None:
        match event, kid.state:
            case Exited(incarnation=kid.number, reason=reason), "up":
                self.task(self.ended(kid, reason), kid.id)
            case TryAgain(), "restarting":
                self.task(self.restart(kid), kid.id)
            case RestartDue(incarnation=kid.number), "waiting" | "quarantined":
                self.task(self.revive(kid), kid.id)

    def asked(self, request: object, to: object) -> None:
        match request:
            case StartChild() if self.template is not None:
                self.instances += 1
                self.add(ChildSpec(**{**fields(self.template), "id": f"{self.template.id}#{self.instances}"}), to)
            case StartChild(spec):
                self.start_child(spec, to)
            case TerminateChild(target) | GetChildSpec(target):
                self.find(target, to, spec_only=isinstance(request, GetChildSpec))
            case RestartChild(id) | DeleteChild(id):
                self.with_absent(id, to, delete=isinstance(request, DeleteChild))
            case WhichChildren():
                self.reply(to, "children", tuple((kid.id, kid.state) for kid in reversed(self.kids)))
            case CountChildren():
                self.reply(to, "count", tuple(kid.id for kid in reversed(self.kids)))

    def start_child(self, spec: object, to: object) -> None:
        if not isinstance(spec, ChildSpec):
            self.reply(to, "refused", "invalid_spec")
        elif (present := self.kid(spec.id)) is None:
            self.add(spec, to)
        elif present.state in ("up", "starting", "stopping"):
            self.reply(to, "refused", "already_started")
        else:
            self.reply(to, "refused", "already_present")

    def add(self, spec: ChildSpec, to: object) -> None:
        kid = Kid(spec)
        self.kids.append(kid)
        self.task(self.begun(kid, to, new=True), kid.id, to)

    def begun(self, kid: Kid, to: object, *, new: bool) -> Steps:
        match (yield from self.start(kid)):
            case Started():
                self.reply(to, "done", kid.id, kid.number)
            case Ignored():
                self.reply(to, "done", None, 0)
            case _:
                self.reply(to, "refused", "start_failed")
                kid.state = "down"
                if kid.persists:
                    self.task(self.restart(kid), kid.id)
                elif new:
                    self.kids.remove(kid)

    def stopped(self, kid: Kid, to: object) -> Steps:
        yield from self.stop(kid)
        self.reply(to, "done", None, 0)

    def find(self, target: object, to: object, *, spec_only: bool) -> None:
        kid: Kid | None = self.kid(target)
        if self.template is not None:
            if isinstance(target, str):
                if spec_only and target == self.template.id:
                    self.reply(to, "spec", target)
                else:
                    self.reply(to, "refused", "not_found" if spec_only else "simple_one_for_one")
                return
            assert isinstance(target, Process)
            kid = next((kid for kid in self.kids if (kid.id, kid.pid) == (target.id, target.process)), None)
            if kid is None and not target.alive:
                self.reply(to, *(("spec", self.template.id) if spec_only else ("done", None, 0)))
                return
        if kid is None:
            self.reply(to, "refused", "not_found")
        elif spec_only:
            self.reply(to, "spec", kid.id)
        else:
            self.task(self.stopped(kid, to), kid.id, to)

    def with_absent(self, id: str, to: object, *, delete: bool) -> None:
        kid = self.kid(id)
        if self.dynamic:
            self.reply(to, "refused", "simple_one_for_one")
        elif kid is None:
            self.reply(to, "refused", "not_found")
        elif kid.state in ("restarting", "waiting"):
            self.reply(to, "refused", "restarting")
        elif kid.state not in ("down", "quarantined"):
            self.reply(to, "refused", "running")
        elif delete:
            self.kids.remove(kid)
            self.reply(to, "done", None, 0)
        else:
            self.task(self.begun(kid, to, new=False), id, to)
