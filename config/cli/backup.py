"""``plantao backup`` and ``plantao restore``"""

import base64
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, BinaryIO, Final

import typer

from config.cli.asking import Asking, YesOption, command, confirm
from config.cli.following import fetch, follow
from protocol.errors import InvalidInputError

_PIECE: Final = 256 << 10

ClinicOption = Annotated[str | None, typer.Option("--clinic", metavar="CLINIC", help="This clinic alone.")]
PassphraseOption = Annotated[
    Path | None,
    typer.Option("--passphrase-file", metavar="FILE", help="Its first line is a passphrase that opens the archive."),
]


def register(app: typer.Typer) -> None:
    """Add the commands to ``app``."""
    command(app, "backup")(backup)
    command(app, "restore")(restore)


def backup(
    asking: Asking,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Where the archive goes.")],
    clinic: ClinicOption = None,
    passphrase_file: PassphraseOption = None,
    replace: Annotated[bool, typer.Option("--replace", help="Also if FILE is there.")] = False,
) -> None:
    """Write an archive of a clinic, or of all, to FILE. The node's master key opens it, and so does the passphrase."""
    body = {"clinic": clinic, "passphrase": passphrase(passphrase_file)}
    job = follow(asking, asking.node.post("backup", body=body))
    size = fetch(asking, job["id"], file, replace=replace)
    count = job["result"]["clinics"]
    asking.out.say(f"{count} clinic{'s' * (count != 1)} in {file}, {size} bytes.", job)


def restore(
    asking: Asking,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The archive.")],
    clinic: ClinicOption = None,
    replace: Annotated[bool, typer.Option("--replace", help="Also what is there, which is lost.")] = False,
    resume: Annotated[
        bool, typer.Option("--resume", help="Send what waited when it was made, else held: it may be sent by now.")
    ] = False,
    passphrase_file: PassphraseOption = None,
    yes: YesOption = False,
) -> None:
    """Put a clinic back from an archive, or all that it holds, while the others run."""
    if replace:
        confirm(f"Replace {clinic or 'every clinic that the archive holds'}?", yes)
    given = passphrase(passphrase_file)
    headers = {} if given is None else {"Plantao-Passphrase": base64.b64encode(given.encode()).decode()}
    query = {"clinic": clinic, "replace": _query(replace), "resume": _query(resume)}
    try:
        with file.open("rb") as opened:
            size = file.stat().st_size
            view = asking.node.upload("restore", pieces=_pieces(opened), size=size, headers=headers, **query)
    except OSError as error:
        raise InvalidInputError("FILE", f"an archive that can be read; {file}: {error.strerror or error}") from error
    job = follow(asking, view)
    count = job["result"]["clinics"]
    held = "" if resume else " What waited is held: plantao message list CLINIC CHANNEL --state held"
    asking.out.say(f"{count} clinic{'s' * (count != 1)} put back, as of {job['result']['made_at']}.{held}", job)


def passphrase(path: Path | None) -> str | None:
    """What is in the first line of ``path``; None without one. Raises InvalidInputError."""
    if path is None:
        return None
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, ValueError) as error:
        raise InvalidInputError("--passphrase-file", f"a text file that can be read; {path}: {error}") from error
    if not lines or not lines[0]:
        raise InvalidInputError("--passphrase-file", f"a passphrase in the first line of {path}")
    return lines[0]


def _pieces(file: BinaryIO) -> Iterator[bytes]:
    while piece := file.read(_PIECE):
        yield piece


def _query(value: bool) -> str:
    return "true" if value else "false"
