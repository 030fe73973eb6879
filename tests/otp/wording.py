"""A scenario's words as ours, and ours as a trace's."""

from collections.abc import Callable
from typing import Any

from pykka import ActorRef

from supervisor.actor import NoAnswerError
from supervisor.api import TO_COME, Answer, Children, ChildView, Counts, Done, Phase, Refused, SpecOf, Why
from supervisor.reasons import Crash, ExitReason, FailedToStartChild, Killed, Normal, Shutdown
from supervisor.spec import ABANDON, INFINITY, AutoShutdown, ChildSpec, ChildType, Flags, Restart, SpecError, Strategy

Json = dict[str, Any]

_FLAG_ERRORS = ("invalid_strategy", "invalid_intensity", "invalid_period", "invalid_auto_shutdown")


class StartError(Exception):
    """What a start function returned (``start_failed``) or raised (``EXIT:start_raised``)."""


class BoomError(Exception):
    """A crash."""


def flags(given: Json) -> Flags:
    """A supervisor's flags, also such as can't be."""
    fields: Json = {}
    if "strategy" in given:
        fields["strategy"] = _member(Strategy, given["strategy"])
    if "intensity" in given:
        fields["intensity"] = given["intensity"]
    if "period_s" in given:
        fields["period_s"] = given["period_s"]
    if "auto_shutdown" in given:
        fields["auto_shutdown"] = _member(AutoShutdown, given["auto_shutdown"])
    return Flags(**fields)


def spec_fields(given: Json) -> Json:
    """The fields of a child spec but for its start function, also such as can't be."""
    fields: Json = {"id": given.get("id")}
    for name, kind in (("restart", Restart), ("type", ChildType)):
        if name in given:
            fields[name] = _member(kind, given[name])
    if "significant" in given:
        fields["significant"] = given["significant"]
    if "shutdown" in given:
        fields["shutdown"] = _shutdown(given["shutdown"])
    return fields


def exit_reason(word: str | None) -> ExitReason:
    """A reason to exit for."""
    match word:
        case "normal":
            return Normal()
        case "shutdown" | None:
            return Shutdown()
        case _ if word.startswith("shutdown:"):
            return Shutdown(word.removeprefix("shutdown:"))
        case _:
            return Crash(BoomError(word))


def how(reason: ExitReason) -> str:
    """How a process ended."""
    match reason:
        case Normal():
            return "normal"
        case Shutdown(term=None):
            return "shutdown"
        case Shutdown(term=FailedToStartChild(id=id, reason=inner)):
            return f"shutdown:failed_to_start_child:{id}:{how(inner)}"
        case Shutdown(term=term):
            return f"shutdown:{term}"
        case Killed():
            return "killed"
        case Crash(error=StartError() as error):
            return str(error)
        case Crash():
            return "crash"


def start_link_error(reason: ExitReason) -> Json:
    """What ``start_link`` returns when the supervisor ended instead of coming up."""
    match reason:
        case Crash(error=SpecError(code=code)) if code in _FLAG_ERRORS:
            return {"result": "error", "error": "supervisor_data", "detail": code}
        case Crash(error=SpecError(code="bad_start_spec")):
            return {"result": "error", "error": "bad_start_spec"}
        case Crash(error=SpecError(code="duplicate_child_name", value=value)):
            return {"result": "error", "error": "start_spec", "detail": f"duplicate_child_name:{value}"}
        case Crash(error=SpecError(code=code)):
            return {"result": "error", "error": "start_spec", "detail": code}
        case Shutdown(term=FailedToStartChild(id=id, reason=inner)):
            return {"result": "error", "error": "shutdown", "detail": f"failed_to_start_child:{id}:{how(inner)}"}
        case _:
            return {"result": "error", "error": how(reason)}


Label = Callable[[ActorRef[Any]], str]
"""The name of a process in a trace: ``ID#ATTEMPT``, counted over the whole scenario."""


def result(op: str, answer: Answer | NoAnswerError, label: Label) -> Json:
    """What a call returned."""
    match answer:
        case NoAnswerError(reason=None):
            return {"result": "exit", "error": "noproc"}
        case NoAnswerError(reason=reason) if reason is not None:
            return {"result": "exit", "error": how(reason)}
        case Done(ref=ref, info=info):
            said: Json = {"result": "ok"}
            if op in ("start_child", "restart_child"):
                said["child"] = None if ref is None else label(ref)
            return said | ({} if info is None else {"info": info})
        case Refused(why=Why.INVALID_SPEC, detail=SpecError(code=code)):
            return {"result": "error", "error": code}
        case Refused(why=Why.START_FAILED, detail=detail):
            return {"result": "error", "error": how(detail)}  # type: ignore[arg-type]  # it is an ExitReason
        case Refused(why=Why.ALREADY_STARTED, detail=Done(ref=ActorRef() as ref)):
            return {"result": "error", "error": "already_started", "child": label(ref)}
        case Refused(why=why):
            return {"result": "error", "error": why.value}
        case Children():
            return {"result": "ok", "children": children(answer, label)}
        case Counts():
            return {"result": "ok", "counts": counts(answer)}
        case SpecOf(spec=spec):
            return {"result": "ok", "spec": _spec(spec)}
        case _:
            raise AssertionError(answer)


def children(answer: Children, label: Label) -> list[list[Any]]:
    """``which_children``; instances of a template (their ids have a ``#``) are sorted, as OTP has no order for them."""
    instances = any("#" in view.id for view in answer.children)
    listed = [[None if instances else view.id, _shown(view, label), view.type.value] for view in answer.children]
    return sorted(listed, key=lambda entry: str(entry[1])) if instances else listed


def counts(answer: Counts) -> Json:
    """``count_children``."""
    return {
        "specs": answer.specs,
        "active": answer.active,
        "supervisors": answer.supervisors,
        "workers": answer.workers,
    }


def _member(kind: Any, value: object) -> object:
    try:
        return kind(value)
    except ValueError:
        return value


def _shutdown(value: object) -> object:
    if value == "brutal_kill":
        return ABANDON
    if value == "infinity":
        return INFINITY
    return value / 1000 if isinstance(value, int | float) else value


def _shown(view: ChildView, label: Label) -> str:
    if view.phase in TO_COME:
        return "restarting"
    return "undefined" if view.phase is Phase.DOWN or view.ref is None else label(view.ref)


def _spec(spec: ChildSpec) -> Json:
    patience = spec.patience
    shutdown: object
    if patience is ABANDON:
        shutdown = "brutal_kill"
    elif patience == INFINITY:
        shutdown = "infinity"
    else:
        assert isinstance(patience, int | float)
        shutdown = round(patience * 1000)
    return {
        "id": spec.id,
        "restart": spec.restart.value,
        "shutdown": shutdown,
        "type": spec.type.value,
        "significant": spec.significant,
    }
