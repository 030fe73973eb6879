"""Metrics of the supervision tree: how often actors ended and were started again, and how they are now.

Labels are bounded: ``kind`` by the tree, ``clinic`` (empty outside of clinics) by what is registered. No label names an
actor: which one of a clinic's channels it was is in ``/api/v1/tree`` and in the log.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence, Set
from typing import Final

from gateway.http.catalogue import Samples
from gateway.http.health import RoleCount, TreeNode
from gateway.http.tree import CLINIC

_CHANNEL: Final = "channel"
_RUNNING: Final = frozenset({"starting", "up", "stopping"})
_QUARANTINED: Final = "quarantined"

Role = tuple[str, str]
"""A node's kind and its clinic."""


def put_counted(samples: Samples, counts: Sequence[RoleCount], clinics: Set[str] | None) -> None:
    """Counters since the node was started; of ``clinics`` (None: of all). A clinic that is added again goes on where it
    had been."""
    samples.none_yet("plantao_actor_restarts_total", "plantao_actor_hung_total", "plantao_actor_exits_total")
    for count in sorted(counts, key=lambda count: (count.clinic, count.kind)):
        if count.clinic and clinics is not None and count.clinic not in clinics:
            continue
        of = (count.kind, count.clinic)
        samples.put("plantao_actor_restarts_total", count.restarts, *of)
        samples.put("plantao_actor_hung_total", count.hung, *of)
        for reason in sorted(count.exits):
            samples.put("plantao_actor_exits_total", count.exits[reason], *of, reason)


def put_alive(samples: Samples, tree: TreeNode, clinics: Set[str]) -> None:
    """What the tree is like now. Quarantine is given for all ``clinics``, also where there is none: a series that
    vanishes cannot raise an alert."""
    actors, waiting, deepest = Counter[str](), Counter[Role](), Counter[Role]()
    quarantined = Counter[Role]({(kind, clinic): 0 for clinic in sorted(clinics) for kind in (CLINIC, _CHANNEL)})
    for node, clinic in _walk(tree, ""):
        role = (node.kind, clinic)
        actors[node.kind] += node.phase in _RUNNING
        quarantined[role] += node.phase == _QUARANTINED
        waiting[role] += node.inbox
        deepest[role] = max(deepest[role], node.inbox)
    for kind, count in sorted(actors.items()):
        samples.put("plantao_actors", count, kind)
    parked = {role: count for role, count in quarantined.items() if count or role[0] in (CLINIC, _CHANNEL)}
    _put_roles(samples, "plantao_quarantined", parked)
    _put_roles(samples, "plantao_inbox_messages", waiting)
    _put_roles(samples, "plantao_inbox_messages_max", deepest)


def _walk(node: TreeNode, clinic: str) -> Iterator[tuple[TreeNode, str]]:
    clinic = node.id if node.kind == CLINIC else clinic
    yield node, clinic
    for child in node.children:
        yield from _walk(child, clinic)


def _put_roles(samples: Samples, name: str, values: Mapping[Role, int]) -> None:
    for (kind, clinic), value in sorted(values.items()):
        samples.put(name, value, kind, clinic)
