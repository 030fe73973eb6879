"""What a supervisor makes of a request, pure: an answer at once, or work to be done first."""

from dataclasses import replace
from typing import Any, assert_never

from pykka import ActorRef

from supervisor.api import (
    ABSENT,
    TO_COME,
    Answer,
    Children,
    ChildView,
    CountChildren,
    DeleteChild,
    Done,
    GetChildSpec,
    Process,
    Refused,
    Request,
    RestartChild,
    SpecOf,
    StartChild,
    TerminateChild,
    WhichChildren,
    Why,
)
from supervisor.spec import ChildSpec, SpecError, Strategy, check_child_spec
from supervisor.state import Child, Count, Serve, State, Work


def consider(state: State, request: Request, to: object) -> tuple[State, Answer | Count | Work]:
    """What follows from ``request``, whose answer is for ``to``."""
    match request:
        case StartChild() if state.template is not None:
            return _start_instance(state, state.template, request, to)
        case StartChild():
            return _start_child(state, request, to)
        case TerminateChild(target):
            found = _find(state, target)
            if not isinstance(found, Child):
                return state, Done() if isinstance(found, ChildSpec) else found
            return state, Work(goal=Serve(to), stop=(found.spec.id,), answer=Done())
        case RestartChild(id):
            refusal = _not_absent(state, id)
            return state, refusal or Work(goal=Serve(to), start=(id,))
        case DeleteChild(id):
            refusal = _not_absent(state, id)
            if refusal is not None:
                return state, refusal
            left = {other: child for other, child in state.children.items() if other != id}
            return replace(state, children=left), Done()
        case GetChildSpec(target):
            found = _find(state, target, by_id=True)
            spec = found.spec if isinstance(found, Child) else found
            return state, SpecOf(spec) if isinstance(spec, ChildSpec) else spec
        case WhichChildren():
            return state, Children(views(state))
        case CountChildren():
            return state, Count(to, views(state), None if state.template is None else state.template.type)
        case _:
            assert_never(request)


def subject(request: Request) -> str | None:
    """The child that ``request`` is about; None if that is no single one that is known."""
    match request:
        case StartChild(spec):
            return spec.id if isinstance(spec, ChildSpec) else None
        case TerminateChild(target) | GetChildSpec(target):
            return target.id if isinstance(target, Process) else str(target)
        case RestartChild(id) | DeleteChild(id):
            return id
        case WhichChildren() | CountChildren():
            return None
        case _:
            assert_never(request)


def _start_child(state: State, request: StartChild, to: object) -> tuple[State, Answer | Work]:
    try:
        spec = check_child_spec(request.spec, state.flags.auto_shutdown)
    except SpecError as error:
        return state, Refused(why=Why.INVALID_SPEC, detail=error)
    present = state.children.get(spec.id)
    if present is None:
        return _add(state, spec, to)
    if present.phase in ABSENT | TO_COME:
        return state, Refused(why=Why.ALREADY_PRESENT)
    running = Done(id=spec.id, incarnation=present.incarnation)
    return state, Refused(why=Why.ALREADY_STARTED, detail=running)


def _start_instance(state: State, template: ChildSpec, request: StartChild, to: object) -> tuple[State, Answer | Work]:
    number = state.instances + 1
    spec = replace(template, id=f"{template.id}#{number}", start=lambda link: template.start(link, *request.args))
    return _add(replace(state, instances=number), spec, to)


def _add(state: State, spec: ChildSpec, to: object) -> tuple[State, Work]:
    added = replace(state, children={**state.children, spec.id: Child(spec=spec)})
    return added, Work(goal=Serve(to, new=True), start=(spec.id,))


def _not_absent(state: State, id: str) -> Refused | None:
    """Why what is only done with a child that is down can't be done."""
    if state.flags.strategy is Strategy.DYNAMIC:
        return Refused(why=Why.DYNAMIC)
    child = state.children.get(id)
    if child is None:
        return Refused(why=Why.NOT_FOUND)
    if child.phase in TO_COME:
        return Refused(why=Why.RESTARTING)
    return None if child.phase in ABSENT else Refused(why=Why.RUNNING)


def _find(state: State, target: object, *, by_id: bool = False) -> Child | ChildSpec | Refused:
    """The child; below a dynamic supervisor the template stands for a process that is no more."""
    if state.template is None:
        child = state.children.get(target) if isinstance(target, str) else None
        return child or Refused(why=Why.NOT_FOUND)
    if isinstance(target, str):
        if by_id and target == state.template.id:
            return state.template
        return Refused(why=Why.NOT_FOUND if by_id else Why.DYNAMIC)
    assert isinstance(target, Process)
    child = state.children.get(target.id) if target.id is not None else None
    if child is not None and child.process == target.process:
        return child
    return Refused(why=Why.NOT_FOUND) if target.alive else state.template


def views(state: State) -> tuple[ChildView, ...]:
    """The children, the one started last first."""
    return tuple(view(child) for child in reversed(state.children.values()))


def view(child: Child, ref: ActorRef[Any] | None = None) -> ChildView:
    """One child; ``ref`` is its actor, which only the shell knows."""
    return ChildView(
        id=child.spec.id,
        phase=child.phase,
        incarnation=child.incarnation,
        type=child.spec.type,
        restarts=child.restarts,
        last_exit=child.last_exit,
        role=child.spec.role,
        ref=ref,
    )
