"""Alerts and dashboards ask for what the catalogue of metrics has: names, labels, and values of those that are closed.

Whether a node exposes what the catalogue says is for ``tests/unit/gateway/http/test_metrics.py``.
"""

import typing
from collections.abc import Iterator, Mapping, Sequence

import pytest

from gateway.http.catalogue import CATALOGUE, Kind
from gateway.http.metrics import REFUSALS
from protocol.channel import Breaker, ChannelState, ClinicState
from protocol.codes import ErrorCode
from protocol.events import ReceiptEvent, ResultStatus
from supervisor.tally import Ending
from tests.deploy.dashboards import filled, queries
from tests.deploy.promql import Matcher, Selector, read
from tests.deploy.rules import rules
from tests.deploy.test_dashboards import CHOSEN

ADDED = ("job", "instance")
"""Labels that Prometheus adds to what it scrapes."""
ELSEWHERE: Mapping[str, Sequence[str]] = {
    "up": (),
    "ALERTS": ("alertname", "alertstate", "severity", "clinic", "channel"),
    "process_cpu_seconds_total": (),
    "process_resident_memory_bytes": (),
    "process_open_fds": (),
    "process_max_fds": (),
}
"""What Prometheus makes itself, and what its client says of any process."""
VALUES: Mapping[tuple[str, str], Sequence[str]] = {
    ("plantao_channels", "state"): tuple(ChannelState),
    ("plantao_channel_state", "state"): tuple(ChannelState),
    ("plantao_clinic_state", "state"): tuple(ClinicState),
    ("plantao_breaker_state", "state"): tuple(Breaker),
    ("plantao_breaker_state", "breaker"): ("connect", "send"),
    ("plantao_commands_ended_total", "status"): typing.get_args(ResultStatus),
    ("plantao_commands_failed_total", "code"): [code.value for code in ErrorCode],
    ("plantao_receipts_total", "type"): typing.get_args(typing.get_type_hints(ReceiptEvent)["type"]),
    ("plantao_http_refused_total", "reason"): REFUSALS,
    ("plantao_part_up", "part"): ("store", "bus", "broker", "nursery", "audit"),
    ("plantao_quarantined", "kind"): ("clinic", "channel"),
    ("plantao_actor_restarts_total", "kind"): ("port",),
    ("plantao_actor_exits_total", "reason"): tuple(Ending),
}
"""Of a metric's label: what it can be. Whoever asks for a value names one of these."""
FREE = {"job", "instance", "clinic", "channel", "alertname", "alertstate"}


def known() -> dict[str, set[str]]:
    """The labels of every series that there can be, by its name."""
    found = {name: {*labels, *ADDED} for name, labels in ELSEWHERE.items()}
    for each in CATALOGUE:
        labels = {*each.labels, *ADDED}
        if each.kind is Kind.HISTOGRAM:
            found |= {f"{each.name}_sum": labels, f"{each.name}_count": labels, f"{each.name}_bucket": {*labels, "le"}}
        else:
            found[each.name] = labels
    return found


SERIES = known()
ASKED = [
    *((rule.alert, rule.expr) for rule in rules()),
    *((where, filled(target.expr, CHOSEN)) for where, target in queries()),
]
"""(where it stands, expression) of all alerts and panels."""


def faults(selector: Selector) -> Iterator[str]:
    """What a selector asks for that there cannot be."""
    if selector.metric not in SERIES:
        yield f"there is no metric {selector.metric}"
        return
    for matcher in selector.matchers:
        if matcher.label not in SERIES[selector.metric]:
            yield f"{selector.metric} has no label {matcher.label}"
        elif matcher.label not in FREE:
            yield from unknown(selector.metric, matcher)


def unknown(metric: str, matcher: Matcher) -> Iterator[str]:
    """Values with which a closed label is compared and that it never has."""
    values = VALUES[metric, matcher.label]
    yield from (f"{metric}: {matcher.label} is never {value!r}" for value in matcher.values if value not in values)


@pytest.mark.parametrize(("where", "expression"), ASKED, ids=[where for where, _ in ASKED])
def test_what_is_asked_for_is_what_there_can_be(where: str, expression: str) -> None:
    query = read(expression)
    assert query.selectors
    assert [fault for selector in query.selectors for fault in faults(selector)] == []
    labels = set[str]().union(*(SERIES[selector.metric] for selector in query.selectors))
    assert query.labels <= labels


@pytest.mark.parametrize("where_and_target", list(queries()), ids=lambda found: str(found[0]))
def test_a_legend_names_labels_that_the_query_has(where_and_target: tuple[str, typing.Any]) -> None:
    _, target = where_and_target
    query = read(filled(target.expr, CHOSEN))
    labels = query.labels or set[str]().union(*(SERIES[selector.metric] for selector in query.selectors))
    named = {part.partition("}}")[0] for part in target.legend_format.split("{{")[1:]}
    assert named <= labels


def test_every_metric_is_on_a_dashboard() -> None:
    shown = {selector.metric for _, target in queries() for selector in read(filled(target.expr, CHOSEN)).selectors}
    bare = {name.removesuffix("_bucket") for name in shown}
    assert {each.name for each in CATALOGUE} - bare == set()
