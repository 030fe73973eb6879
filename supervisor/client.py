"""Asking a supervisor: the client's half. Callable from any thread; the answer comes to ``told``."""

from collections.abc import Callable
from typing import Any

from pykka import ActorRef

from supervisor.actor import Call, NoAnswerError, tell
from supervisor.api import (
    CountChildren,
    DeleteChild,
    GetChildSpec,
    Refused,
    RestartChild,
    StartChild,
    TerminateChild,
    WhichChildren,
    Why,
)
from supervisor.spec import ChildSpec

Told = Callable[[Any], None]
"""Takes an ``Answer``, or a NoAnswerError, in the supervisor's thread (or the caller's, if the supervisor has ended);
must not block."""


def unheard(_answer: Any) -> None:
    """For who does not wait for an answer."""


def start_child(supervisor: ActorRef[Any], spec: ChildSpec, told: Told = unheard) -> None:
    """Have ``supervisor`` start one more child; ``Done`` or ``Refused``. As all of these, callable from any thread."""
    _call(supervisor, StartChild(spec), told)


def start_instance(supervisor: ActorRef[Any], *args: object, told: Told = unheard) -> None:
    """Have a dynamic ``supervisor`` start an instance of its template with ``args``; ``Done`` or ``Refused``."""
    _call(supervisor, StartChild(args=args), told)


def terminate_child(supervisor: ActorRef[Any], child: str | ActorRef[Any], told: Told = unheard) -> None:
    """Have it stop a child (below a dynamic one: by its ref) without restarting it; ``Done`` or ``Refused``."""
    _call(supervisor, TerminateChild(child), told)


def restart_child(supervisor: ActorRef[Any], id: str, told: Told = unheard) -> None:
    """Have it start a child that is down, or in quarantine; ``Done`` or ``Refused``."""
    _call(supervisor, RestartChild(id), told)


def delete_child(supervisor: ActorRef[Any], id: str, told: Told = unheard) -> None:
    """Have it forget a child that is down; ``Done`` or ``Refused``."""
    _call(supervisor, DeleteChild(id), told)


def remove_child(supervisor: ActorRef[Any], id: str, told: Told = unheard) -> None:
    """Have it stop a child and forget it: ``terminate_child``, then ``delete_child``, whose answer it is."""
    terminate_child(supervisor, id, lambda _: delete_child(supervisor, id, told))


def is_gone(answer: Any) -> bool:
    """Whether the child is forgotten, by the answer to ``remove_child``; not if it was started again meanwhile."""
    return not isinstance(answer, Refused) or answer.why is Why.NOT_FOUND


def get_childspec(supervisor: ActorRef[Any], child: str | ActorRef[Any], told: Told) -> None:
    """The spec of a child; ``SpecOf`` or ``Refused``."""
    _call(supervisor, GetChildSpec(child), told)


def which_children(supervisor: ActorRef[Any], told: Told) -> None:
    """All children; ``Children``, in their turn among what it has to do (``snapshot`` waits for nothing)."""
    _call(supervisor, WhichChildren(), told)


def count_children(supervisor: ActorRef[Any], told: Told) -> None:
    """How many children there are; ``Counts``."""
    _call(supervisor, CountChildren(), told)


def _call(supervisor: ActorRef[Any], request: object, told: Told) -> None:
    if not tell(supervisor, Call(request, told)):
        told(NoAnswerError("the supervisor has ended"))
