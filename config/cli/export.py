"""``plantao export``"""

from pathlib import Path
from typing import Annotated

import typer

from config.cli.asking import Asking, command
from config.cli.completing import clinics
from config.cli.following import fetch, follow


def register(app: typer.Typer) -> None:
    """Add the command to ``app``."""
    command(app, "export")(export)


def export(
    asking: Asking,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Where the ZIP goes, in clear: keep it safe.")],
    clinic: Annotated[str, typer.Option("--clinic", metavar="CLINIC", help="Of this clinic.", autocompletion=clinics)],
    contact: Annotated[
        str | None, typer.Option("--contact", metavar="NUMBER", help="Of this person alone; of all if not given.")
    ] = None,
    replace: Annotated[bool, typer.Option("--replace", help="Also if FILE is there.")] = False,
) -> None:
    """Write all that there is of a clinic, or of one person in it, to FILE: JSON Lines and media, in a ZIP."""
    job = follow(asking, asking.node.post("export", body={"clinic": clinic, "contact": contact}))
    size = fetch(asking, job["id"], file, replace=replace)
    asking.out.say(f"{file}, {size} bytes, in clear: only its owner may read it; keep it so.", job)
