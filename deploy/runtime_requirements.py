"""Prints the part of ``requirements.lock`` that a node needs to run, or that the packages named as arguments need: the
same versions and hashes, without what only developers use.

    python deploy/runtime_requirements.py [plantao | plantao[otel] | NAME…]

Needs nothing but Python. Who needs what stands in the lock's ``# via`` comments.
"""

import re
import sys
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

ROOT: Final = Path(__file__).parent.parent
_PIN: Final = re.compile(r"^([A-Za-z0-9._-]+)==")
_VIA: Final = re.compile(r"^    #(?: via)? +([A-Za-z0-9._-]+)", re.MULTILINE)


def name_of(requirement: str) -> str:
    """The name that a requirement begins with, as the lock writes it."""
    return re.split(r"[^A-Za-z0-9._-]", requirement, maxsplit=1)[0].lower().replace("_", "-").replace(".", "-")


def entries(lock: str) -> dict[str, list[str]]:
    """The lock's entries by name: several where platforms or versions of Python differ."""
    found: dict[str, list[str]] = {}
    for text in re.split(r"^(?=[A-Za-z0-9])", lock, flags=re.MULTILINE):
        if pin := _PIN.match(text):
            found.setdefault(name_of(pin[1]), []).append(text)
    return found


def needed(locked: Mapping[str, list[str]], wanted: Iterable[str]) -> set[str]:
    """``wanted``, and all that they need in turn. Raises KeyError: one of them is not locked."""
    needs: dict[str, set[str]] = {}
    for name, texts in locked.items():
        for by in {name_of(by) for text in texts for by in _VIA.findall(text)}:
            needs.setdefault(by, set()).add(name)
    found: set[str] = set()
    waiting = [name_of(one) for one in wanted]
    while waiting:
        name = waiting.pop()
        if name not in locked:
            raise KeyError(f"{name} is not in requirements.lock: make lock")
        if name not in found:
            found.add(name)
            waiting += needs.get(name, ())
    return found


def wanted(project: Mapping[str, Any], name: str) -> Sequence[str]:
    """What is needed for ``name``: of ours, with an extra or without, what ``project`` says. Raises KeyError: it has no
    such extra."""
    ours = re.fullmatch(r"plantao(?:\[([a-z]+)\])?", name)
    if ours is None:
        return [name]
    return [*project["dependencies"], *(project["optional-dependencies"][ours[1]] if ours[1] else ())]


def main() -> None:
    """See the module."""
    locked = entries((ROOT / "requirements.lock").read_text(encoding="utf-8"))
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    names = [name for argument in sys.argv[1:] or ["plantao"] for name in wanted(project, argument)]
    for name in sorted(needed(locked, names)):
        sys.stdout.writelines(locked[name])


if __name__ == "__main__":
    main()
