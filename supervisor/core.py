"""The decisions of a supervisor, pure: ``step(state, event, now) -> (state, effects)``.

OTP's supervisor waits for each child that it starts or stops, and what arrives meanwhile stays in its mailbox. Here the
waiting is a value: a ``Work`` says what is still to be stopped, then started, and what for. The laws:

- one work at a time, and the mailbox in order; with ``independent`` children, one work at a time for each child;
- within a work one child after another: stops in reverse start order, starts in start order, each when the one before
  it is done; but independent children are all started at once, and they and dynamic ones all told to end at once;
- a child has at most one process that has not been heard to end; what a past incarnation says is dropped;
- an end noticed while its child is being stopped anyway is absorbed by that.
"""

from collections.abc import Iterable
from dataclasses import replace
from typing import assert_never

from supervisor import restarts
from supervisor.api import Answer, Done, Ended, Phase, Refused, Request, Why
from supervisor.reasons import ExitReason, FailedToStartChild, Shutdown
from supervisor.requests import consider, subject
from supervisor.restarts import Verdict
from supervisor.spec import ABANDON, ChildSpec, Flags, Restart, Strategy
from supervisor.state import (
    Asked,
    Begin,
    Boot,
    Booted,
    Child,
    Count,
    Defer,
    DelayRestart,
    Effect,
    End,
    Event,
    Exit,
    Exited,
    Ignored,
    KillChild,
    Launch,
    Park,
    Reply,
    RestartDue,
    Revive,
    Serve,
    SignalShutdown,
    Started,
    State,
    Stop,
    TimedOut,
    TryAgain,
    Work,
)


def begin(flags: Flags, specs: Iterable[ChildSpec]) -> State:
    """A supervisor before its first event, ``Begin``. ``specs`` have been checked."""
    listed = list(specs)
    if flags.strategy is Strategy.DYNAMIC:
        return State(flags=flags, template=listed[0])
    return State(flags=flags, children={spec.id: Child(spec=spec) for spec in listed})


def step(state: State, event: Event, now: float) -> tuple[State, list[Effect]]:
    """What follows from ``event`` at ``now`` (monotonic seconds)."""
    return _Step(state, now).take(event)


class _Step:
    """One step: a cursor over the state as it changes, and the effects gathered on the way.

    With many children, the dictionary of them is copied once a step and not at each change; how many of them are
    starting is counted once.
    """

    def __init__(self, state: State, now: float) -> None:
        self.state = state
        self.now = now
        self.effects: list[Effect] = []
        self.copied = False
        self.starting: int | None = None

    def take(self, event: Event) -> tuple[State, list[Effect]]:
        if isinstance(event, Stop):
            self.end(event.reason)
        elif not self.awaited(event):
            self.state = replace(self.state, mailbox=(*self.state.mailbox, event))
        self.go_on()
        return self.state, self.effects

    # -- the mailbox --

    def go_on(self) -> None:
        """Advance what is under way; then attend to the mailbox, as far as that leaves room."""
        while True:
            for work in self.state.works:
                if work.stop or (self.may_start if work.start else not work.waiting):
                    self.advance(work)
            event = next((event for event in self.state.mailbox if not self.must_wait(event)), None)
            if event is None:
                return
            self.take_out(event)
            self.attend(event)

    def must_wait(self, event: Event) -> bool:
        works = self.state.works
        if not works or not self.state.flags.independent or self.state.ending:
            return bool(works)
        child = _subject(event)
        return child is not None and any(work.concerns(child) for work in works)

    def take_out(self, event: Event) -> None:
        mailbox = list(self.state.mailbox)
        del mailbox[next(place for place, waiting in enumerate(mailbox) if waiting is event)]
        self.state = replace(self.state, mailbox=tuple(mailbox))

    def attend(self, event: Event) -> None:
        match event:
            case Begin():
                self.work(Work(goal=Boot(), start=tuple(self.state.children)))
            case Exited(id, incarnation, reason):
                child = self.state.children.get(id)
                if child is not None and child.phase is Phase.UP and child.incarnation == incarnation:
                    self.child_ended(self.put(replace(child, last_exit=str(reason))), reason)
            case TryAgain(id):
                child = self.state.children.get(id)
                if child is not None and child.phase is Phase.RESTARTING:
                    self.restart(child)
            case RestartDue(id, incarnation):
                child = self.state.children.get(id)
                if child is not None and child.incarnation == incarnation:
                    self.restart_due(child)
            case Asked(request, to):
                self.serve(request, to)
            case Started() | Ignored() | TimedOut() | Stop():
                pass  # of a past incarnation; a stop never gets here
            case _:
                assert_never(event)

    # -- what a work waits for --

    def awaited(self, event: Event) -> bool:
        """Whether ``event`` is what the work that concerns its child waits for; if so, it is dealt with."""
        if not isinstance(event, Started | Ignored | Exited | TimedOut):
            return False
        child = self.state.children.get(event.id)
        if child is None or child.incarnation != event.incarnation:
            return False
        match event, child.phase:
            case Started(info=info), Phase.STARTING:
                self.came_up(child, info)
            case Ignored(), Phase.STARTING | Phase.STOPPING:
                self.rest(child)
                self.done_with(child, Done())
            case Exited(reason=reason), Phase.STARTING:
                self.start_failed(self.put(replace(child, last_exit=str(reason))), reason)
            case Exited(reason=reason), Phase.STOPPING:
                self.rest(self.put(replace(child, last_exit=str(reason))))
                self.done_with(child, Done())
            case TimedOut(), Phase.STOPPING:
                self.effects.append(KillChild(event.id, event.incarnation))
            case _:
                return False
        return True

    def came_up(self, child: Child, info: object) -> None:
        self.put(replace(child, phase=Phase.UP, process=child.incarnation, up_since=self.now))
        self.done_with(child, Done(id=child.spec.id, incarnation=child.incarnation, info=info))

    def start_failed(self, child: Child, reason: ExitReason) -> None:
        work = self.work_of(child)
        match work.goal:
            case Boot():
                self.rest(child)
                self.end(Shutdown(FailedToStartChild(child.spec.id, reason)))
                return
            case Serve(to, new):
                self.effects.append(Reply(to, Refused(why=Why.START_FAILED, detail=reason)))
                if new and not child.spec.persists:
                    self.drop(child)
                elif not child.spec.persists:
                    self.put(replace(child, phase=Phase.DOWN))
            case Revive():
                if not child.spec.persists:
                    self.put(replace(child, phase=Phase.RESTARTING))
                    self.effects.append(Defer(TryAgain(child.spec.id)))
            case End():
                raise AssertionError("nothing is started by a supervisor that ends")
            case _:
                assert_never(work.goal)
        self.over(work)
        if child.spec.persists:
            self.restart(child)

    def done_with(self, child: Child, answer: Answer) -> None:
        work = self.work_of(child)
        self.change(work, replace(work, waiting=work.waiting - {child.spec.id}, answer=answer))

    # -- works --

    def work(self, work: Work) -> None:
        self.state = replace(self.state, works=(*self.state.works, work))

    def change(self, work: Work, to: Work) -> Work:
        self.state = replace(self.state, works=tuple(to if each is work else each for each in self.state.works))
        return to

    def over(self, work: Work) -> None:
        self.state = replace(self.state, works=tuple(each for each in self.state.works if each is not work))

    def work_of(self, child: Child) -> Work:
        return next(work for work in self.state.works if child.spec.id in work.waiting)

    def advance(self, work: Work) -> None:
        if work.stop and isinstance(work.goal, End) and self.all_at_once:
            told = [each for each in work.stop if self.tell_to_end(each)]
            work = self.change(work, replace(work, stop=(), waiting=work.waiting.union(told)))
        while work.stop and not work.waiting:
            first = work.stop[0]
            told = [first] if self.tell_to_end(first) else []
            work = self.change(work, replace(work, stop=work.stop[1:], waiting=frozenset(told)))
        while work.start and not work.stop and (self.state.flags.independent or not work.waiting) and self.may_start:
            first = work.start[0]
            begun = [first] if self.launch(first) else []
            work = self.change(work, replace(work, start=work.start[1:], waiting=work.waiting.union(begun)))
        if not (work.stop or work.start or work.waiting):
            self.finish(work)

    def finish(self, work: Work) -> None:
        match work.goal:
            case Boot():
                self.effects.append(Booted())
            case Revive():
                pass
            case Serve(to):
                assert work.answer is not None
                self.effects.append(Reply(to, work.answer))
            case End(reason):
                self.effects.append(Exit(reason))
                unanswered = [event.to for event in self.state.mailbox if isinstance(event, Asked)]
                self.effects += [Reply(to, Ended(reason)) for to in unanswered]
                self.state = replace(self.state, mailbox=())
            case _:
                assert_never(work.goal)
        self.over(work)

    @property
    def all_at_once(self) -> bool:
        return self.state.flags.independent or self.state.flags.strategy is Strategy.DYNAMIC

    @property
    def may_start(self) -> bool:
        stagger = self.state.flags.stagger
        if stagger is None:
            return True
        if self.starting is None:
            self.starting = sum(map(_is_starting, self.state.children.values()))
        return self.starting < stagger.at_once

    def end(self, reason: ExitReason) -> None:
        """Whatever is under way is cut short: what is starting is told to end at once."""
        if self.state.ending:
            return
        cut = [work.goal.to for work in self.state.works if isinstance(work.goal, Serve)]
        self.effects += [Reply(to, Ended(reason)) for to in cut]
        for child in list(self.state.children.values()):
            if child.phase is Phase.STARTING:
                self.tell_to_end(child.spec.id)
        stopping = (child for child in self.state.children.values() if child.phase is Phase.STOPPING)
        waiting = frozenset(child.spec.id for child in stopping)
        stop = tuple(each for each in reversed(self.state.children) if each not in waiting)
        self.state = replace(self.state, works=(Work(goal=End(reason), stop=stop, waiting=waiting),))

    # -- children --

    @property
    def children(self) -> dict[str, Child]:
        """To be changed; the state that was stepped from keeps its own."""
        if not self.copied:
            self.state = replace(self.state, children=self.state.children.copy())
            self.copied = True
        return self.state.children

    def put(self, child: Child) -> Child:
        before = self.state.children.get(child.spec.id)
        self.children[child.spec.id] = child
        if self.starting is not None:
            self.starting += _is_starting(child) - (before is not None and _is_starting(before))
        return child

    def drop(self, child: Child) -> None:
        gone = self.children.pop(child.spec.id, None)
        if self.starting is not None and gone is not None:
            self.starting -= _is_starting(gone)

    def rest(self, child: Child) -> None:
        """It has no process, and none is to come; what is never restarted is forgotten."""
        if child.spec.restart is Restart.TEMPORARY or self.state.flags.strategy is Strategy.DYNAMIC:
            self.drop(child)
        else:
            self.put(replace(child, phase=Phase.DOWN))

    def launch(self, id: str) -> bool:
        child = self.state.children.get(id)
        if child is None:
            return False  # it was temporary, and stopped by this very work
        started = self.put(replace(child, phase=Phase.STARTING, incarnation=child.incarnation + 1))
        self.effects.append(Launch(started.spec, started.incarnation))
        return True

    def tell_to_end(self, id: str) -> bool:
        """Whether its end has to be waited for."""
        child = self.state.children[id]
        if child.phase in (Phase.UP, Phase.STARTING) and not self.has_ended(child):
            brutal = child.spec.patience is ABANDON
            effect = KillChild(id, child.incarnation) if brutal else SignalShutdown(child.spec, child.incarnation)
            self.effects.append(effect)
            self.put(replace(child, phase=Phase.STOPPING))
            return True
        if child.phase is Phase.STOPPING:
            return True
        self.rest(self.state.children[id])
        return False

    def has_ended(self, child: Child) -> bool:
        """Whether its end is in the mailbox; if so, it has now been noticed."""
        for event in self.state.mailbox:
            if isinstance(event, Exited) and (event.id, event.incarnation) == (child.spec.id, child.incarnation):
                self.take_out(event)
                self.put(replace(child, last_exit=str(event.reason)))
                return True
        return False

    def child_ended(self, child: Child, reason: ExitReason) -> None:
        if restarts.wanted(child, reason):
            self.restart(child)
            return
        self.rest(child)
        if restarts.ends_supervisor(self.state, child):
            self.end(Shutdown())

    # -- restarting --

    def restart(self, child: Child) -> None:
        judged = restarts.judge(self.state, child, self.now)
        self.state = judged.state
        child = self.put(judged.child)
        match judged.verdict:
            case Verdict.NOW:
                self.revive(child)
            case Verdict.LATER:
                self.effects.append(DelayRestart(child.spec, child.incarnation, child.attempt))
            case Verdict.PARKED:
                self.effects.append(Park(child.spec, child.incarnation))
            case Verdict.TOO_MANY:
                self.rest(child)
                self.end(Shutdown(cause=f"{child.spec.id} had to be restarted too often: {child.last_exit}"))
            case _:
                assert_never(judged.verdict)

    def restart_due(self, child: Child) -> None:
        if child.phase in (Phase.WAITING, Phase.QUARANTINED):
            self.revive(child)

    def revive(self, child: Child) -> None:
        self.put(replace(child, phase=Phase.DOWN))
        first = child.spec.id
        group = restarts.group(self.state, first)
        others = tuple(other for other in reversed(group) if other != first)
        self.work(Work(goal=Revive(first), stop=others, start=group))

    # -- requests --

    def serve(self, request: Request, to: object) -> None:
        self.state, outcome = consider(self.state, request, to)
        match outcome:
            case Work():
                self.work(outcome)
            case Count():
                self.effects.append(outcome)
            case _:
                self.effects.append(Reply(to, outcome))


def _is_starting(child: Child) -> bool:
    return child.phase is Phase.STARTING


def _subject(event: Event) -> str | None:
    """The child that ``event`` is about."""
    match event:
        case Asked(request):
            return subject(request)
        case Started() | Ignored() | Exited() | TryAgain() | RestartDue() | TimedOut():
            return event.id
        case Begin() | Stop():
            return None
        case _:
            assert_never(event)
