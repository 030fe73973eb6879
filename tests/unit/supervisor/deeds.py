"""What the core does, in the words of the model."""

from typing import Any

from supervisor.api import Children, Done, Ended, Refused, SpecOf
from supervisor.state import (
    Booted,
    Count,
    Defer,
    DelayRestart,
    Effect,
    Exit,
    KillChild,
    Launch,
    Park,
    Reply,
    SignalShutdown,
)
from tests.unit.supervisor.otp_parts import Deed


def deed(effect: Effect) -> Deed:
    """An effect in the words of the model."""
    match effect:
        case Launch(spec, incarnation):
            return "launch", spec.id, incarnation
        case SignalShutdown(spec, incarnation):
            return "tell", spec.id, incarnation
        case KillChild(id, incarnation):
            return "kill", id, incarnation
        case Defer(event):
            return "again", event.id
        case DelayRestart(spec, incarnation, attempt):
            return "delay", spec.id, incarnation, attempt
        case Park(spec, incarnation):
            return "park", spec.id, incarnation
        case Booted():
            return ("booted",)
        case Exit(reason):
            return "exit", reason
        case Count(to, children):
            return "reply", to, "count", tuple(view.id for view in children)
        case Reply(to, answer):
            return "reply", to, *said(answer)


def said(answer: Any) -> Deed:
    match answer:
        case Done(id=id, incarnation=incarnation):
            return "done", id, incarnation
        case Refused(why=why):
            return "refused", why.value
        case Children(children):
            return "children", tuple((view.id, view.phase.value) for view in children)
        case SpecOf(spec):
            return "spec", spec.id
        case Ended(reason):
            return "ended", reason
        case _:
            raise AssertionError(answer)


def sorted_out(deeds: list[Deed]) -> tuple[list[Deed], set[Deed]]:
    """What is done, in order, and the answers, whose order says nothing."""
    return [each for each in deeds if each[0] != "reply"], {each for each in deeds if each[0] == "reply"}
