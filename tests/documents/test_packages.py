"""What packages say of their modules: each is named in its package's docstring, and each that a table names is there.

``supervisor`` has a README instead.
"""

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

ROOT: Final = Path(__file__).parents[2]
PACKAGES: Final = sorted(
    path.parent.relative_to(ROOT).as_posix()
    for top in ("actors", "config", "gateway", "protocol")
    for path in (ROOT / top).rglob("__init__.py")
)
_ROW: Final = re.compile(r"^``(\w+)/?`` +\S", re.MULTILINE)
_QUOTED: Final = re.compile(r"``([^`]+)``")


@pytest.mark.parametrize("package", PACKAGES)
def test_a_package_names_its_modules(package: str) -> None:
    words = _words(package)
    assert [module for module in _modules(package) if module not in words] == []


@pytest.mark.parametrize("package", PACKAGES)
def test_what_a_table_names_is_there(package: str) -> None:
    doc = _docstring(package)
    rows = _ROW.findall(doc) if "\n=====" in doc else []
    assert sorted(set(rows) - set(_modules(package))) == []


def _docstring(package: str) -> str:
    return ast.get_docstring(ast.parse((ROOT / package / "__init__.py").read_text("utf-8"))) or ""


def _words(package: str) -> set[str]:
    """Also what a drawing names, which quotes nothing."""
    doc = _docstring(package)
    drawn = [line for line in doc.splitlines() if "──" in line]
    return set(re.findall(r"\w+", " ".join(_QUOTED.findall(doc) + drawn)))


def _modules(package: str) -> list[str]:
    return sorted(_found(ROOT / package))


def _found(directory: Path) -> Iterator[str]:
    for path in directory.iterdir():
        if path.is_dir() and (path / "__init__.py").exists():
            yield path.name
        elif path.suffix == ".py" and not path.stem.startswith("_"):
            yield path.stem
