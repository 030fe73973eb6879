"""The supervisor's snapshot of the tree as the admin endpoint shows it, with the ports that channels say they have."""

import time
from collections.abc import Iterator
from typing import Final

from config.counted import PORT
from gateway.http.health import RoleCount, TreeNode
from supervisor.api import Phase
from supervisor.snapshot import Node
from supervisor.tally import Tally

_PORT_PID: Final = "port"
_PORT_INCARNATION: Final = "port_incarnation"


def shown(node: Node) -> TreeNode:
    """``node`` and all that is below it."""
    if node.children:
        time.sleep(0)  # gives the GIL away, as the snapshot does
    return TreeNode(
        id=node.id,
        kind=node.id if node.role is None else node.role.kind,
        type=node.type,
        phase=node.phase.value,
        incarnation=node.incarnation,
        restarts=node.restarts,
        last_exit=node.last_exit,
        inbox=node.inbox,
        busy_s=round(node.busy_s, 3),
        handled=node.handled,
        hung=node.hung,
        facts=node.facts,
        children=(*map(shown, node.children), *_port(node)),
    )


def _port(node: Node) -> tuple[TreeNode, ...]:
    pid, incarnation = node.facts.get(_PORT_PID), node.facts.get(_PORT_INCARNATION)
    if pid is None or not isinstance(incarnation, int):
        return ()
    port = TreeNode(
        id=PORT,
        kind=PORT,
        type=PORT,
        phase=Phase.UP.value,
        incarnation=incarnation,
        restarts=incarnation - 1,
        facts={"pid": pid},
    )
    return (port,)


def ports(node: Node, clinic: str = "") -> Iterator[tuple[str, str, int]]:
    """Clinic, channel and pid of every port."""
    clinic = node.role.group if node.role is not None else clinic
    pid = node.facts.get(_PORT_PID)
    if isinstance(pid, int):
        yield clinic, node.id, pid
    for child in node.children:
        yield from ports(child, clinic)


def counts(tally: Tally) -> list[RoleCount]:
    """What ``tally`` has counted."""
    return [
        RoleCount(
            kind=role.kind,
            clinic=role.group,
            restarts=totals.restarts,
            hung=totals.hung,
            exits={ending.value: count for ending, count in totals.exits.items()},
        )
        for role, totals in tally.read().items()
    ]
