"""Metrics of the supervision tree: how often actors ended and were started again, and how they are now.

Labels are bounded: ``kind`` by the tree, ``clinic`` (empty outside of clinics) by what is registered. No label names an
actor: which one of a clinic's channels it was is in ``/api/v1/tree`` and in the log.
"""

from collections import Counter
from collections.abc import Iterator, Sequence, Set
from typing import Final

from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, Metric

from gateway.http.health import RoleCount, TreeNode
from gateway.http.tree import CLINIC

_LABELS: Final = ("kind", "clinic")
_CHANNEL: Final = "channel"
_RUNNING: Final = frozenset({"starting", "up", "stopping"})
_QUARANTINED: Final = "quarantined"

Role = tuple[str, str]
"""A node's kind and its clinic."""


def counted(counts: Sequence[RoleCount], clinics: Set[str] | None) -> Iterator[Metric]:
    """Counters since the node was started; of ``clinics`` (None: of all). A clinic that is added again goes on where it
    had been."""
    restarts = CounterMetricFamily("plantao_actor_restarts", "Actors and ports that were started again", labels=_LABELS)
    hung = CounterMetricFamily("plantao_actor_hung", "Actors that were given up because they hung", labels=_LABELS)
    exits = CounterMetricFamily(
        "plantao_actor_exits", "Actors and ports that ended, by how they did", labels=(*_LABELS, "reason")
    )
    for count in sorted(counts, key=lambda count: (count.clinic, count.kind)):
        if count.clinic and clinics is not None and count.clinic not in clinics:
            continue
        restarts.add_metric([count.kind, count.clinic], count.restarts)
        hung.add_metric([count.kind, count.clinic], count.hung)
        for reason in sorted(count.exits):
            exits.add_metric([count.kind, count.clinic, reason], count.exits[reason])
    yield from (restarts, hung, exits)


def alive(tree: TreeNode, clinics: Set[str]) -> Iterator[Metric]:
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
    running = GaugeMetricFamily("plantao_actors", "Actors and ports that run", labels=["kind"])
    for kind, count in sorted(actors.items()):
        running.add_metric([kind], count)
    yield running
    parked = {role: count for role, count in quarantined.items() if count or role[0] in (CLINIC, _CHANNEL)}
    yield _gauge("plantao_quarantined", "Clinics and channels that are parked after too many restarts", parked)
    yield _gauge("plantao_inbox_messages", "Messages that wait in the inboxes of a kind of actors, summed", waiting)
    yield _gauge("plantao_inbox_messages_max", "Messages that wait in the fullest inbox of a kind of actors", deepest)


def _walk(node: TreeNode, clinic: str) -> Iterator[tuple[TreeNode, str]]:
    clinic = node.id if node.kind == CLINIC else clinic
    yield node, clinic
    for child in node.children:
        yield from _walk(child, clinic)


def _gauge(name: str, help: str, values: dict[Role, int]) -> Metric:
    family = GaugeMetricFamily(name, help, labels=_LABELS)
    for (kind, clinic), value in sorted(values.items()):
        family.add_metric([kind, clinic], value)
    return family
