"""Fields of log lines: the program uses those that ``FIELDS`` has, and no others."""

import ast
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from config.log import DROPPED, FIELDS

ROOT: Final = Path(__file__).parents[3]
PACKAGES: Final = ("actors", "config", "gateway", "protocol", "supervisor")
LEVELS: Final = {"debug", "info", "warning", "error", "critical", "exception", "log"}
BINDING: Final = {"bind", "bound_contextvars", "bind_contextvars"}
NO_FIELDS: Final = {"exc_info", "extra", "stack_info", "stacklevel"}
BY_PROCESSORS: Final = {"event", "exception", "level", "logger", "timestamp"}
RENAMED: Final = {"group"}
"""``name_clinic`` makes a clinic of it."""


def trees() -> Iterator[tuple[Path, ast.Module]]:
    for package in PACKAGES:
        for path in sorted((ROOT / package).rglob("*.py")):
            yield path, ast.parse(path.read_text(encoding="utf-8"))


def is_log(receiver: ast.expr) -> bool:
    """Whether it is a logger, by its name or by what makes it."""
    match receiver:
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return name.strip("_") in {"log", "logger", "news"}
        case ast.Call(func=ast.Name(id=name) | ast.Attribute(attr=name)):
            return name.strip("_") in {"log", "log_of", "getLogger", "get_logger", "bound", "bind"}
        case _:
            return False


def keys_of(tree: ast.Module, starred: ast.expr) -> set[str]:
    """What ``**starred`` brings: a call of a function of the same file that makes its dictionaries of literals."""
    assert isinstance(starred, ast.Call), f"line {starred.lineno}: say the fields themselves"
    assert isinstance(starred.func, ast.Attribute | ast.Name)
    name = starred.func.attr if isinstance(starred.func, ast.Attribute) else starred.func.id
    [function] = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef) and node.name == name]
    literals = [node for node in ast.walk(function) if isinstance(node, ast.Dict)]
    return {name for each in literals for name in names(each)}


def names(literal: ast.Dict) -> Iterator[str]:
    for key in literal.keys:
        if isinstance(key, ast.Constant) and isinstance(key.value, str):
            yield key.value


def fields(tree: ast.Module) -> set[str]:
    """Those that are given to loggers."""
    found: set[str] = set()
    for call in (node for node in ast.walk(tree) if isinstance(node, ast.Call)):
        said = call.func.body if isinstance(call.func, ast.IfExp) else call.func
        if isinstance(said, ast.Attribute) and (
            (said.attr in LEVELS | BINDING and is_log(said.value)) or said.attr in BINDING - {"bind"}
        ):
            for keyword in call.keywords:
                found |= {keyword.arg} if keyword.arg is not None else keys_of(tree, keyword.value)
                if keyword.arg == "extra":
                    assert isinstance(keyword.value, ast.Dict)
                    found |= {*names(keyword.value)}
    return found - NO_FIELDS


def used() -> set[str]:
    found = BY_PROCESSORS.copy()
    for path, tree in trees():
        if path.name == "log.py" and path.parent.name == "config":  # ``bound`` passes on what it is given
            continue
        found |= fields(tree)
    return found - RENAMED


def test_every_field_that_is_used_is_described_and_the_other_way_round() -> None:
    assert used() == set(FIELDS)


def test_fields_are_read_wherever_they_are_given() -> None:
    tree = ast.parse(
        """
log.warning("x", a=1, exc_info=True)
self._log(parcel).info("x", b=1)
(log.error if bad else log.info)("x", k=1)
structlog.get_logger("x").bind(c=1).info("x", d=1)
other.warn(e=1)
log.error("x", extra={"f": 1})
log.info("x", **self._about(id), g=1)
structlog.contextvars.bind_contextvars(h=1)
def _about(self, id):
    return {"i": 1} | {"j": 2}
"""
    )
    assert fields(tree) == {*"abcdfghijk"}


@pytest.mark.parametrize("field", sorted(FIELDS))
def test_a_field_says_something_and_is_not_dropped(field: str) -> None:
    assert field not in DROPPED, "it would never be seen"
    assert FIELDS[field]
    assert not FIELDS[field].endswith(".")
    assert field in BY_PROCESSORS or field not in logging.makeLogRecord({}).__dict__, "the standard library's own"
