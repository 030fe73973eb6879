"""The whole tree as it is now, without asking anybody: a supervisor that hangs is seen like any other."""

import time
from dataclasses import dataclass, field, replace
from typing import Any

from pykka import ActorRef

from supervisor.actor import of
from supervisor.api import ChildView, Phase
from supervisor.shell import Supervisor
from supervisor.spec import INFINITY, ChildType
from supervisor.tally import Role


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """One child of the tree. ``role``: what its spec says it is. Of its actor, if it has one: ``inbox``: messages that
    wait; ``busy_s``: how long it has been at one message already; ``handled``: messages so far; ``hung``: of a
    supervisor: children it gave up because they hung; ``facts``: what the actor says of itself."""

    id: str
    type: str
    phase: Phase
    role: Role | None = None
    incarnation: int = 1
    restarts: int = 0
    last_exit: str = ""
    inbox: int = 0
    busy_s: float = 0.0
    handled: int = 0
    hung: int = 0
    facts: dict[str, object] = field(default_factory=dict)
    children: tuple["Node", ...] = ()


def tree(root: ActorRef[Any], depth: int | None = None) -> Node:
    """The tree below ``root``, at most ``depth`` levels of it. Callable from any thread; waits for no actor."""
    view = ChildView(
        id="root", type=ChildType.SUPERVISOR, phase=Phase.UP, incarnation=1, restarts=0, last_exit="", ref=root
    )
    return _node(view, INFINITY if depth is None else depth)


def _node(view: ChildView, depth: float) -> Node:
    node = Node(
        id=view.id,
        type=view.type.value,
        phase=view.phase,
        role=view.role,
        incarnation=view.incarnation,
        restarts=view.restarts,
        last_exit=view.last_exit,
    )
    if view.ref is None or not view.ref.is_alive():
        return node
    actor = of(view.ref)
    since = actor.busy_since
    supervisor = actor if isinstance(actor, Supervisor) else None
    if supervisor is not None:
        time.sleep(0)  # gives the GIL away: a walk over a thousand actors takes long enough to hold up others
    return replace(
        node,
        inbox=actor.depth,
        busy_s=0.0 if since is None else time.monotonic() - since,
        handled=actor.handled,
        hung=supervisor.hung if supervisor else 0,
        facts=actor.facts(),
        children=tuple(_node(child, depth - 1) for child in supervisor.children()) if supervisor and depth else (),
    )
