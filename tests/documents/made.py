"""Which documents are made, and by whom."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from tests.documents import asyncapi, environment, reference

ROOT: Final = Path(__file__).parent.parent.parent

MADE: Final[Mapping[str, Callable[[], str]]] = {
    "deploy/REFERENCE.md": reference.text,
    ".env.example": environment.text,
    "protocol/asyncapi.yaml": asyncapi.text,
}
"""Paths below ``ROOT``, and what makes the text."""


def stale() -> dict[str, str]:
    """What is not as it should be: paths, and the text that they should have."""
    wanted = {path: make() for path, make in MADE.items()}
    return {path: text for path, text in wanted.items() if _read(ROOT / path) != text}


def _read(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return None
