"""A scenario on stage: its tree of real actors, and its steps, one at a time."""

import threading
import time
from collections.abc import Callable
from functools import partial
from queue import Empty, SimpleQueue
from typing import Any

from pykka import ActorRef

from supervisor.actor import Call, Link, ShutDown, kill, monitor, of, tell
from supervisor.api import Phase
from supervisor.client import (
    count_children,
    delete_child,
    get_childspec,
    restart_child,
    start_child,
    start_instance,
    terminate_child,
    which_children,
)
from supervisor.reasons import ExitReason
from supervisor.shell import Supervisor
from supervisor.spec import ChildSpec
from tests.otp.actors import EndYourself, Record, Watched, Worker, label
from tests.otp.wording import Json, children, counts, exit_reason, flags, result, spec_fields, start_link_error

PATIENCE_S = 20.0


class Stage:
    """One scenario, from its start to its end. Belongs to one thread."""

    def __init__(self, scenario: Json) -> None:
        self._scenario = scenario
        self._record = Record()
        self._began: SimpleQueue[ExitReason | None] = SimpleQueue()
        self._top_ended = threading.Event()
        self._top: ActorRef[Any] | None = None

    # -- the play --

    def begin(self) -> Json:
        """Start the top supervisor; the record of step -1."""
        link = Link(started=lambda _: self._began.put(None), exited=self._on_top_exit)
        given = self._scenario["supervisor"]
        top = Watched.start(link, self._record, None, 1, self._specs(self._scenario["children"]), flags(given))
        self._record.everyone.append(top)
        failed = self._wait_for(self._began)
        if failed is None:
            self._top = top
            outcome: Json = {"result": "ok"}
        else:
            outcome = start_link_error(failed)
        self._record.add("result", op="start_link", **outcome)
        return {"step": -1, "op": "start_link", **self._look()}

    def perform(self, number: int, step: Json) -> Json:
        """Do one step, wait until everything is quiet; its record."""
        match step["op"]:
            case "batch":
                self._batch(step.get("sup"), step["ops"])
            case "exit_many":
                self._batch(step.get("sup"), [{"op": "exit", **each} for each in step["exits"]])
            case "sleep":
                self._record.now += step["ms"] / 1000
            case "stop_supervisor":
                self._stop(step.get("reason"))
            case "exit":
                self._exit(step["child"], step["reason"])
            case _:
                answered = threading.Event()
                self._ask(step, answered.set)
                self._wait(answered)
        return {"step": number, "op": step["op"], **self._look()}

    def end(self) -> None:
        """Leave nobody behind."""
        for ref in self._record.everyone:
            kill(ref, "the scenario is over")

    # -- building --

    def _specs(self, given: list[Any]) -> list[Any]:
        return [self._spec(each) for each in given]

    def _spec(self, given: Any) -> Any:
        if not isinstance(given, dict):
            return given
        start: Any = given.get("start", ...)
        if start is ...:
            start = partial(self._start_supervisor if "supervisor" in given else self._start_worker, given)
        return ChildSpec(start=start, **spec_fields(given))

    def _start_worker(self, given: Json, link: Link, extra: Json | None = None) -> ActorRef[Any]:
        if extra is not None:
            given = {**given, **extra, "id": extra["key"], "args": [*given.get("args", ()), *extra["args"]]}
        ref = Worker.start(link, self._record, given, self._record.attempt(given["id"]))
        self._record.everyone.append(ref)
        return ref

    def _start_supervisor(self, given: Json, link: Link) -> ActorRef[Any]:
        number = self._record.attempt(given["id"])
        specs = self._specs(given["children"])
        ref = Watched.start(link, self._record, given["id"], number, specs, flags(given["supervisor"]))
        self._record.everyone.append(ref)
        return ref

    # -- steps --

    def _batch(self, sup: str | None, ops: list[Json]) -> None:
        """Hold the supervisor, put everything to it in order, and let go."""
        held, go = threading.Event(), threading.Event()
        supervisor = self._supervisor(sup)

        def hold(_answer: object) -> None:
            held.set()
            go.wait(PATIENCE_S)

        if supervisor is None or not tell(supervisor, Call("hold", hold)):
            go.set()
        else:
            self._wait(held)
        waiting = []
        for op in ops:
            if op["op"] == "exit":
                self._exit(op["child"], op["reason"])
            else:
                answered = threading.Event()
                waiting.append(answered)
                self._ask({"sup": sup, **op}, answered.set)
        go.set()
        for answered in waiting:
            self._wait(answered)

    def _exit(self, child: str, word: str) -> None:
        ref = self._record.latest.get(child)
        if ref is None or not ref.is_alive():
            self._record.add("result", op="exit", id=child, result="not_running")
            return
        gone = threading.Event()
        monitor(ref, lambda _: gone.set())
        if word == "kill":
            kill(ref, "by the scenario")
        elif isinstance(of(ref), Supervisor):
            tell(ref, ShutDown(exit_reason(word)))
        else:
            tell(ref, EndYourself(exit_reason(word)))
        self._wait(gone)

    def _stop(self, word: str | None) -> None:
        if self._top is None:
            return
        if word == "kill":
            kill(self._top, "by the scenario")
        else:
            tell(self._top, ShutDown(exit_reason(word)))
        self._wait(self._top_ended)

    def _ask(self, op: Json, answered: Callable[[], None]) -> None:
        name = op["op"]
        named: Json = {}
        if name == "start_child":
            spec = op.get("spec")
            named["id"] = op["extra"]["key"] if "extra" in op else spec.get("id") if isinstance(spec, dict) else None
        elif name not in ("which_children", "count_children"):
            named["id"] = op.get("id", op.get("ref"))

        def told(answer: Any) -> None:
            self._record.add("result", op=name, **named, **result(name, answer, label))
            answered()

        supervisor = self._supervisor(op.get("sup"))
        if supervisor is not None and supervisor.is_alive() and op.get("sup"):
            named["sup"] = op["sup"]
        if supervisor is None:
            self._record.add("result", op=name, **named, result="exit", error="noproc")
            answered()
            return
        self._request(supervisor, op, told)

    def _request(self, supervisor: ActorRef[Any], op: Json, told: Callable[[Any], None]) -> None:
        target: Any = self._record.latest[op["ref"]] if "ref" in op else op.get("id")
        match op["op"]:
            case "start_child" if "extra" in op:
                start_instance(supervisor, op["extra"], told=told)
            case "start_child":
                start_child(supervisor, self._spec(op["spec"]), told)
            case "terminate_child":
                terminate_child(supervisor, target, told)
            case "restart_child":
                restart_child(supervisor, target, told)
            case "delete_child":
                delete_child(supervisor, target, told)
            case "get_childspec":
                get_childspec(supervisor, target, told)
            case "which_children":
                which_children(supervisor, told)
            case "count_children":
                count_children(supervisor, told)
            case other:
                raise AssertionError(f"unknown op {other}")

    # -- looking --

    def _supervisor(self, id: str | None) -> ActorRef[Any] | None:
        return self._top if id is None else self._record.latest.get(id)

    def _look(self) -> Json:
        self._wait_until_quiet()
        seen: Json = {"events": self._record.take(), "alive": self._top is not None and self._top.is_alive()}
        if self._top is not None and seen["alive"]:
            seen |= self._state_of(self._top)
            inner = ((name, ref) for name, ref in self._record.latest.items() if isinstance(of(ref), Supervisor))
            nested = {name: self._state_of(ref) for name, ref in inner if ref.is_alive()}
            if nested:
                seen["nested"] = nested
        return seen

    def _state_of(self, supervisor: ActorRef[Any]) -> Json:
        answers: SimpleQueue[Any] = SimpleQueue()
        which_children(supervisor, answers.put)
        count_children(supervisor, answers.put)
        return {
            "children": children(self._wait_for(answers), label),
            "counts": counts(self._wait_for(answers)),
        }

    def _wait_until_quiet(self) -> None:
        """Until no supervisor has anything to do, the inner ones first: what they do, the outer ones hear of."""
        deadline = time.monotonic() + PATIENCE_S
        while True:
            inner_first = sorted(self._record.supervisors(), key=lambda actor: actor.level, reverse=True)
            if all(_quiet(actor) for actor in inner_first):
                return
            if time.monotonic() > deadline:
                raise AssertionError("the tree does not come to rest")
            time.sleep(0.0005)

    def _on_top_exit(self, reason: ExitReason) -> None:
        self._top_ended.set()
        self._began.put(reason)

    @staticmethod
    def _wait(event: threading.Event) -> None:
        if not event.wait(PATIENCE_S):
            raise AssertionError("nothing happened")

    @staticmethod
    def _wait_for(queue: "SimpleQueue[Any]") -> Any:
        try:
            return queue.get(timeout=PATIENCE_S)
        except Empty:
            raise AssertionError("no answer") from None


def _quiet(supervisor: Watched) -> bool:
    """Whether it has nothing to do and waits for nobody, also after all that it had been told already."""
    pong = threading.Event()
    if not tell(supervisor.actor_ref, Call("ping", lambda _: pong.set())):
        return supervisor.reported.is_set()
    if not pong.wait(PATIENCE_S):
        raise AssertionError("a supervisor hangs")
    state = supervisor._state
    restless = any(child.phase in (Phase.RESTARTING, Phase.STOPPING) for child in state.children.values())
    return supervisor.depth == 0 and not (state.works or state.mailbox or restless)
