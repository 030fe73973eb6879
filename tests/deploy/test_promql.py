import pytest

from tests.deploy.promql import Matcher, Query, Selector, read


def selector(metric: str, *matchers: tuple[str, str, str]) -> Selector:
    found = (Matcher(label=label, operator=operator, value=value) for label, operator, value in matchers)
    return Selector(metric=metric, matchers=tuple(found))


@pytest.mark.parametrize(
    ("expression", "selectors", "labels"),
    [
        ('up{job="plantao"} == 0', [selector("up", ("job", "=", "plantao"))], []),
        ("sum by (a, b) (rate(x_total[5m])) > 0.5", [selector("x_total")], ["a", "b"]),
        ('x > 9e2 and on (a) y{b=~"c|d", e!="}"} == 1', [
            selector("x"), selector("y", ("b", "=~", "c|d"), ("e", "!=", "}"))], ["a"]),
        ("time() - 2 * x offset 1d", [selector("x")], []),
        ("histogram_quantile(0.9, sum by (le) (rate(x_bucket[15m] offset 1w)))", [selector("x_bucket")], ["le"]),
        ("a / ignoring(s) group_left(n) b", [selector("a"), selector("b")], ["s", "n"]),
    ],
)  # fmt: skip
def test_metrics_matchers_and_labels_are_read(expression: str, selectors: list[Selector], labels: list[str]) -> None:
    assert read(expression) == Query(selectors=tuple(selectors), labels=frozenset(labels))


def test_a_pattern_is_a_list_of_values() -> None:
    assert read('x{a=~"b|c"}').selectors[0].matchers[0].values == ["b", "c"]


def test_what_is_no_promql_is_refused() -> None:
    with pytest.raises(ValueError, match="no PromQL at '\\$x'"):
        read("1 + $x")
