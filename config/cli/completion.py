"""``plantao completion``"""

from enum import StrEnum
from typing import Annotated, Final

import typer

from config.cli.asking import JsonOption
from config.cli.output import Output

PROGRAM: Final = "plantao"
VARIABLE: Final = "_PLANTAO_COMPLETE"
"""Set by a shell that asks what could follow."""


class Shell(StrEnum):
    """Whose completion there is."""

    BASH = "bash"
    ZSH = "zsh"
    FISH = "fish"


def register(app: typer.Typer) -> None:
    """Add the command to ``app``."""
    app.command("completion")(completion)


def completion(
    shell: Annotated[Shell, typer.Argument(metavar="SHELL", help="bash, zsh or fish.")],
    as_json: JsonOption = False,
) -> None:
    """Print what has a shell complete commands, options, and ids of clinics and channels.

    The ids are those of the running node. In ~/.bashrc: source <(plantao completion bash). In ~/.zshrc, after compinit:
    source <(plantao completion zsh). For fish: plantao completion fish > ~/.config/fish/completions/plantao.fish
    """
    script = script_for(shell)
    Output(as_json).say(script, {"shell": shell.value, "script": script})


def script_for(shell: Shell) -> str:
    """What the shell is to read."""
    from typer import completion as typers

    whose = {"prog_name": PROGRAM, "complete_var": VARIABLE, "shell": shell.value}
    return str(typers.get_completion_script(**whose))  # type: ignore[attr-defined] # typer marks nothing as exported


def prepare() -> None:
    """Know the shells that may ask: to be called before a command line is read for one."""
    from typer import completion as typers

    typers.completion_init()  # type: ignore[attr-defined]
