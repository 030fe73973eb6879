"""What all commands that ask a node share: where the node is, the form of the answer, and how they fail."""

import functools
import inspect
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from config.cli.client import NodeClient
from config.cli.completing import channels, clinics
from config.cli.output import Output
from protocol.errors import InvalidInputError, PlantaoError

DataOption = Annotated[
    Path, typer.Option("--data", metavar="DIR", envvar="PLANTAO_DATA", help="Data directory of the node to ask.")
]
UrlOption = Annotated[
    str | None,
    typer.Option("--url", metavar="URL", envvar="PLANTAO_URL", help="Ask the node at this URL instead."),
]
KeyOption = Annotated[
    Path | None,
    typer.Option("--key-file", metavar="FILE", envvar="PLANTAO_KEY_FILE", help="Key file, if not DIR/admin.key."),
]
CaOption = Annotated[
    Path | None,
    typer.Option("--ca", metavar="FILE", envvar="PLANTAO_CA", help="Trust these authorities (PEM) at an https URL."),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Answer in JSON, for programs.")]
YesOption = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask for confirmation.")]
ClinicArgument = Annotated[
    str, typer.Argument(metavar="CLINIC", help="Identifier of the clinic.", autocompletion=clinics)
]
ChannelArgument = Annotated[
    str, typer.Argument(metavar="CHANNEL", help="Identifier of the channel.", autocompletion=channels)
]
ClinicOption = Annotated[
    str | None, typer.Option("--clinic", metavar="CLINIC", help="Only this clinic.", autocompletion=clinics)
]

SettingsOption = Annotated[
    Path | None, typer.Option("--config", metavar="FILE", help="Settings; ./plantao.toml if there is one.")
]
OwnDataOption = Annotated[
    Path | None, typer.Option("--data", metavar="DIR", help="Data directory; ./data if nothing says otherwise.")
]
"""Of a node on this machine, whether or not it runs."""

DEFAULT_CONFIG: Final = Path("plantao.toml")

_KEYWORD: Final = inspect.Parameter.KEYWORD_ONLY
_SHARED: Final = (
    inspect.Parameter("data", _KEYWORD, annotation=DataOption, default=Path("data")),
    inspect.Parameter("url", _KEYWORD, annotation=UrlOption, default=None),
    inspect.Parameter("key_file", _KEYWORD, annotation=KeyOption, default=None),
    inspect.Parameter("ca", _KEYWORD, annotation=CaOption, default=None),
    inspect.Parameter("as_json", _KEYWORD, annotation=JsonOption, default=False),
)


@dataclass(frozen=True, slots=True)
class Asking:
    """The node that a command asks, and where its answer goes. ``find`` finds the node anew: one that was started
    again may be elsewhere."""

    node: NodeClient
    out: Output
    find: Callable[[], NodeClient]


def settings_file(given: Path | None) -> Path | None:
    """The file with the settings: the one that was given, or ``DEFAULT_CONFIG`` if there is one."""
    return DEFAULT_CONFIG if given is None and DEFAULT_CONFIG.exists() else given


def command(group: typer.Typer, name: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Register a function as the command ``name``: it gets an ``Asking`` first and its own parameters after, and the
    user the shared options besides. A ``PlantaoError`` becomes a sentence on stderr and an exit code."""

    def register(function: Callable[..., None]) -> Callable[..., None]:
        own = [parameter.replace(kind=_KEYWORD) for parameter in inspect.signature(function).parameters.values()][1:]

        @functools.wraps(function)
        def run(
            *, data: Path, url: str | None, key_file: Path | None, ca: Path | None, as_json: bool, **options: Any
        ) -> None:
            out = Output(as_json)
            find = functools.partial(NodeClient.find, data, url, key_file, ca)
            try:
                function(Asking(find(), out, find), **options)
            except PlantaoError as error:
                raise typer.Exit(out.failure(error)) from error

        parameters = [*own, *_SHARED]
        run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined] # read by inspect.signature
        run.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
        group.command(name)(run)
        return function

    return register


def confirm(question: str, yes: bool) -> None:
    """Go on only if a person says so, or ``yes`` was given.

    Raises:
        InvalidInputError: there is nobody to ask.
    """
    if yes:
        return
    if not sys.stdin.isatty():
        raise InvalidInputError("--yes", "to be given, since there is no terminal at which to ask")
    typer.confirm(question, abort=True)


def confirm_by_typing(question: str, word: str, yes: bool) -> None:
    """Go on only if a person types ``word``, or ``yes`` was given: for what cannot be undone.

    Raises:
        InvalidInputError: there is nobody to ask, or something else was typed.
    """
    if yes:
        return
    if not sys.stdin.isatty():
        raise InvalidInputError("--yes", "to be given, since there is no terminal at which to ask")
    if typer.prompt(f"{question} Type {word} to go on", default="", show_default=False).strip() != word:
        raise InvalidInputError("confirmation", f"{word}; nothing was done")
