"""What a PromQL expression asks for: metrics, the labels it picks them by, and those it groups by.

No parser: promtool and Prometheus say whether an expression is well-formed. This reads one that is.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

_TOKENS: Final = re.compile(
    r"""
    (?P<string>"(?:[^"\\]|\\.)*")
  | (?P<range>\[[^\]]*\])
  | (?P<number>[0-9][\w.]*(?:e[+-]?[0-9]+)?)
  | (?P<name>[a-zA-Z_:][\w:]*)
  | (?P<operator>=~|!~|!=|==|<=|>=|[-+*/%^<>=(){},@])
  | (?P<space>\s+)
    """,
    re.VERBOSE,
)
_GROUPING: Final = frozenset({"by", "without", "on", "ignoring", "group_left", "group_right"})
_AGGREGATED: Final = frozenset({"by", "without"})
_WORDS: Final = frozenset({"and", "or", "unless", "offset", "bool", "inf", "nan"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Matcher:
    """``label operator "value"``; ``values``: the alternatives of a pattern that is a plain list of them."""

    label: str
    operator: str
    value: str

    @property
    def values(self) -> list[str]:
        """What it compares with."""
        return self.value.split("|") if "~" in self.operator else [self.value]


@dataclass(frozen=True, slots=True, kw_only=True)
class Selector:
    """A metric, and what of it."""

    metric: str
    matchers: tuple[Matcher, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """``labels``: those by which is grouped and joined."""

    selectors: tuple[Selector, ...]
    labels: frozenset[str]


def read(expression: str) -> Query:
    """What ``expression`` asks for. Raises ValueError for a character that is no PromQL."""
    tokens = list(_tokens(expression))
    selectors: list[Selector] = []
    labels: set[str] = set()
    at = 0
    while at < len(tokens):
        kind, text = tokens[at]
        following = tokens[at + 1][1] if at + 1 < len(tokens) else ""
        at += 1
        if kind != "name":
            continue
        if text in _GROUPING:
            end = tokens.index(("operator", ")"), at)
            labels.update(word for kind, word in tokens[at:end] if kind == "name")
            at = end
        elif following == "{":
            end = tokens.index(("operator", "}"), at)
            selectors.append(Selector(metric=text, matchers=_matchers(tokens[at + 1 : end])))
            at = end
        elif following != "(" and following not in _AGGREGATED and text not in _WORDS:
            selectors.append(Selector(metric=text, matchers=()))
    return Query(selectors=tuple(selectors), labels=frozenset(labels))


def _matchers(tokens: list[tuple[str, str]]) -> tuple[Matcher, ...]:
    parts = [text for _, text in tokens if text != ","]
    triples = zip(parts[0::3], parts[1::3], parts[2::3], strict=True)
    return tuple(Matcher(label=label, operator=operator, value=value[1:-1]) for label, operator, value in triples)


def _tokens(expression: str) -> Iterator[tuple[str, str]]:
    at = 0
    while at < len(expression):
        found = _TOKENS.match(expression, at)
        if found is None or found.lastgroup is None:
            raise ValueError(f"no PromQL at {expression[at : at + 20]!r}")
        at = found.end()
        if found.lastgroup != "space":
            yield found.lastgroup, found[0]
