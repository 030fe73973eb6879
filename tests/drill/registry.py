"""Which scenarios there are: one in each module of ``tests.drill.scenarios``."""

import importlib
import pkgutil
from collections.abc import Sequence

from tests.drill import scenarios
from tests.drill.scenario import Scenario


def all_scenarios() -> Sequence[Scenario]:
    """Of all modules, by their names."""
    return [_of(module.name) for module in pkgutil.iter_modules(scenarios.__path__)]


def scenario(name: str) -> Scenario:
    """The one that is called so."""
    return next(each for each in all_scenarios() if each.name == name)


def _of(module: str) -> Scenario:
    found: Scenario = importlib.import_module(f"{scenarios.__name__}.{module}").SCENARIO
    return found
