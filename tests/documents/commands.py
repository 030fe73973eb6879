"""The command line, as it is made."""

from enum import Enum
from typing import Any, Literal, get_args, get_origin

from config.cli.output import EXIT_CODES
from tests.commands import Command, commands
from tests.documents.tables import marked, table

SHARED = {
    "--data": "`--data DIR`",
    "--url": "`--url URL`",
    "--key-file": "`--key-file FILE`",
    "--ca": "`--ca FILE`",
    "--json": "`--json`",
}
"""What most commands have, and is not repeated with each."""


def text() -> str:
    """All commands, the options that they share, and how they end."""
    asking = next(command for command in commands() if set(SHARED) <= command.options)
    shared = {flag: marked(_parameter(asking, flag).help) for flag in SHARED}
    variables = {flag: _parameter(asking, flag).envvar for flag in SHARED}
    rows = [(SHARED[flag], told, f"`{variables[flag]}`" if variables[flag] else "") for flag, told in shared.items()]
    return "\n".join(
        [
            table(("command", "what it does"), [(f"`{usage(command)}`", _does(command)) for command in commands()]),
            "Those that ask a node also have these:\n",
            table(("option", "what it is", "variable"), rows),
            "All end with one of these codes:\n",
            table(("exit code", "what it means"), [(f"`{code}`", meaning) for code, meaning in EXIT_CODES.items()]),
        ]
    )


def usage(command: Command) -> str:
    """How it is typed; options that others have too are left out."""
    words = ["plantao", *command.words]
    for parameter in command.made.params:
        if parameter.param_type_name == "argument":
            words.append(parameter.metavar or parameter.name.upper())
    for parameter in command.made.params:
        if parameter.param_type_name == "option" and parameter.name != "help" and not _shared(parameter):
            words.append(_option(parameter))
    return " ".join(words)


def _option(parameter: Any) -> str:
    value = "" if parameter.is_flag else f" {parameter.metavar or _kind(parameter)}"
    written = parameter.opts[0] + value
    return written if parameter.required else f"[{written}]"


def _kind(parameter: Any) -> str:
    kind = parameter.type_descriptor.annotation
    if isinstance(kind, type) and issubclass(kind, Enum):
        return "|".join(str(member.value) for member in kind)
    if get_origin(kind) is Literal:
        return "|".join(get_args(kind))
    return "NUMBER" if kind in (int, float) else "TEXT"


def _shared(parameter: Any) -> bool:
    return any(flag in SHARED for flag in parameter.opts)


def _does(command: Command) -> str:
    return marked(command.made.help)


def _parameter(command: Command, flag: str) -> Any:
    return next(parameter for parameter in command.made.params if flag in parameter.opts)
