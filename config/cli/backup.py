"""``plantao backup``, ``plantao restore`` and ``plantao verify``"""

import base64
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, BinaryIO, Final

import msgspec
import typer

from config.cli.asking import Asking, ClinicOption, JsonOption, YesOption, command, confirm
from config.cli.following import fetch, follow
from config.cli.output import Output, local_time
from config.cli.progress import Advance, of_bytes
from protocol.backup import ArchiveView
from protocol.errors import InvalidInputError, PlantaoError

_PIECE: Final = 256 << 10

PassphraseOption = Annotated[
    Path | None,
    typer.Option("--passphrase-file", metavar="FILE", help="Its first line is a passphrase that opens the archive."),
]


def register(app: typer.Typer) -> None:
    """Add the commands to ``app``."""
    command(app, "backup")(backup)
    command(app, "restore")(restore)
    app.command("verify")(verify)


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
            with of_bytes(f"from {file.name}", size, asking.out.as_json) as advance:
                pieces = _pieces(opened, advance)
                view = asking.node.upload("restore", pieces=pieces, size=size, headers=headers, **query)
    except OSError as error:
        raise InvalidInputError("FILE", f"an archive that can be read; {file}: {error.strerror or error}") from error
    job = follow(asking, view)
    count = job["result"]["clinics"]
    held = "" if resume else " What waited is held: plantao message list CLINIC CHANNEL --state held"
    asking.out.say(
        f"{count} clinic{'s' * (count != 1)} put back, as of {local_time(job['result']['made_at'])}.{held}", job
    )


def verify(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The archive.")],
    passphrase_file: PassphraseOption = None,
    config: Annotated[
        Path | None, typer.Option("--config", metavar="FILE", help="Settings, which say where the master key is.")
    ] = None,
    data: Annotated[
        Path | None, typer.Option("--data", metavar="DIR", help="Data directory; else as settings.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Read all of an archive, with the passphrase or the master key that the settings name; asks no node."""
    out = Output(as_json)
    try:
        view = _verified(file, passphrase(passphrase_file), config, data, as_json)
    except PlantaoError as error:
        raise typer.Exit(out.failure(error)) from error
    fields = {"version": view.version, "made": local_time(view.made_at.isoformat())}
    fields |= {"clinics": ", ".join(view.clinics), "records": str(view.records), "bytes": str(view.bytes)}
    out.record({"archive": f"{file} is whole", **fields}, msgspec.to_builtins(view))


def _verified(file: Path, secret: str | None, config: Path | None, data: Path | None, as_json: bool) -> ArchiveView:
    # Imported here: whoever asks a node needs none of it.
    from config.master_keys import known
    from config.settings import environment, load
    from gateway.backup.verifying import verify as verified
    from gateway.vault.stream_key import key_from

    masters = []
    if secret is None:
        masters = list(known(load(config, environment(data))))
    size = file.stat().st_size if file.exists() else None
    with of_bytes(f"reading {file.name}", size, as_json) as advance:
        done = 0

        def told(read: int) -> None:
            nonlocal done
            advance(read - done)
            done = read

        return verified(file, lambda header: key_from(header, masters=masters, passphrase=secret), told)


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


def _pieces(file: BinaryIO, advance: Advance) -> Iterator[bytes]:
    while piece := file.read(_PIECE):
        yield piece
        advance(len(piece))


def _query(value: bool) -> str:
    return "true" if value else "false"
