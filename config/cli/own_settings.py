"""A channel's own settings as people type them: ``pacing.per_minute=10``."""

import copy
import json
from collections.abc import Sequence
from typing import Any

from protocol.errors import InvalidInputError


def change(config: dict[str, Any], settings: Sequence[str]) -> dict[str, Any]:
    """``config`` with these settings; one without a value is taken out.

    A value is JSON, or else a text. Raises InvalidInputError for what is no setting; which there are, the node knows.
    """
    changed = copy.deepcopy(config)
    for setting in settings:
        key, equals, text = setting.partition("=")
        names = key.split(".")
        if not equals or not all(names):
            raise InvalidInputError(setting, "SETTING=VALUE, such as pacing.per_minute=10")
        _put(changed, names, text)
    return changed


def lines(config: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """The settings in ``config`` by their full names."""
    found: dict[str, Any] = {}
    for name, value in config.items():
        if isinstance(value, dict):
            found |= lines(value, f"{prefix}{name}.")
        else:
            found[prefix + name] = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return found


def _put(table: dict[str, Any], names: list[str], text: str) -> None:
    *outer, last = names
    passed = [table]
    for name in outer:
        inner = passed[-1].setdefault(name, {})
        if not isinstance(inner, dict):
            raise InvalidInputError(".".join(names), f"{name} to hold settings, but it is one")
        passed.append(inner)
    if text:
        passed[-1][last] = _value(text)
        return
    passed[-1].pop(last, None)
    for table, name in zip(reversed(passed[:-1]), reversed(outer), strict=True):
        if not table[name]:
            del table[name]


def _value(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text
