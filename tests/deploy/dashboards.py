"""Grafana's dashboards: what of them this repository relies on."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

import msgspec
from msgspec import Struct

from tests.deploy.rules import ROOT

GRAFANA: Final = ROOT / "deploy" / "grafana"
DASHBOARDS: Final = tuple(sorted(GRAFANA.glob("*.json")))


class Place(Struct, frozen=True, kw_only=True):
    """On a grid that is 24 wide."""

    x: int
    y: int
    w: int
    h: int

    @property
    def cells(self) -> set[tuple[int, int]]:
        """All that it covers."""
        return {(x, y) for x in range(self.x, self.x + self.w) for y in range(self.y, self.y + self.h)}


class Target(Struct, frozen=True, kw_only=True, rename="camel"):
    """A query of a panel."""

    expr: str
    ref_id: str
    legend_format: str


class Panel(Struct, frozen=True, kw_only=True, rename="camel"):
    """``type`` ``row`` is a heading."""

    id: int
    type: str
    title: str
    grid_pos: Place
    targets: list[Target] = []
    datasource: dict[str, str] = {}


class VariableQuery(Struct, frozen=True, kw_only=True):
    """What is asked for a variable's values, such as ``label_values(metric, label)``."""

    query: str


class Variable(Struct, frozen=True, kw_only=True):
    """What the person who looks can choose; ``$name`` in queries."""

    name: str
    type: str
    query: VariableQuery | str


class _Templating(Struct, frozen=True, kw_only=True):
    list: list[Variable]


class Dashboard(Struct, frozen=True, kw_only=True):
    """A file of ``deploy/grafana``."""

    uid: str
    title: str
    panels: list[Panel]
    templating: _Templating

    @property
    def variables(self) -> set[str]:
        """By name."""
        return {variable.name for variable in self.templating.list}


def dashboard(path: Path) -> Dashboard:
    """What is in ``path``; raises msgspec.ValidationError."""
    return msgspec.json.decode(path.read_bytes(), type=Dashboard)


def filled(expression: str, values: Mapping[str, str]) -> str:
    """``expression`` as Grafana asks it: with its variables put in."""
    for name, value in sorted(values.items(), reverse=True):
        expression = expression.replace(f"${name}", value)
    return expression


def queries() -> Iterator[tuple[str, Target]]:
    """Every query with where it stands."""
    for path in DASHBOARDS:
        for panel in dashboard(path).panels:
            for target in panel.targets:
                yield f"{path.stem}: {panel.title}: {target.ref_id}", target
