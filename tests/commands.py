"""The whole command tree."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import typer.main

from config.cli.app import app


@dataclass(frozen=True, slots=True)
class Command:
    """``words``: how it is called, without ``plantao``. ``made``: as typer made it of a function."""

    words: tuple[str, ...]
    made: Any

    def __str__(self) -> str:
        return " ".join(self.words)

    @property
    def options(self) -> set[str]:
        """All that begins with a dash."""
        return {flag for parameter in self.made.params for flag in (*parameter.opts, *parameter.secondary_opts)} - {
            parameter.name for parameter in self.made.params
        }


def groups() -> list[Command]:
    """Those that have others below them, the root first."""
    return [command for command in _all(Command((), typer.main.get_command(app))) if _below(command)]


def commands() -> list[Command]:
    """Those that do something."""
    return [command for command in _all(Command((), typer.main.get_command(app))) if not _below(command)]


def _all(command: Command) -> Iterator[Command]:
    yield command
    for name, made in sorted(_below(command).items()):
        yield from _all(Command((*command.words, name), made))


def _below(command: Command) -> dict[str, Any]:
    return getattr(command.made, "commands", {})
