"""``plantao erase``"""

from typing import Annotated

import typer

from config.cli.asking import Asking, YesOption, command, confirm_by_typing
from config.cli.completing import clinics
from config.cli.following import follow
from protocol.errors import InvalidInputError


def register(app: typer.Typer) -> None:
    """Add the command to ``app``."""
    command(app, "erase")(erase)


def erase(
    asking: Asking,
    clinic: Annotated[str, typer.Option("--clinic", metavar="CLINIC", help="Of this clinic.", autocompletion=clinics)],
    contact: Annotated[
        str | None,
        typer.Option("--contact", metavar="NUMBER", help="This person alone."),
    ] = None,
    everything: Annotated[bool, typer.Option("--all", help="The whole clinic.")] = False,
    yes: YesOption = False,
) -> None:
    """Erase all that there is of one person in a clinic, or of the clinic, its key first. There is no way back."""
    if everything == (contact is not None):
        raise InvalidInputError(
            "--all", "to be given to erase the whole clinic, or --contact for one person: one of the two"
        )
    what = (
        f"clinic {clinic} with all its channels and messages" if contact is None else f"this person in clinic {clinic}"
    )
    confirm_by_typing(f"Erase {what} for good?", clinic, yes)
    job = follow(asking, asking.node.post("erase", body={"clinic": clinic, "contact": contact, "all": everything}))
    result = job["result"]
    asking.out.say(f"Erased: {what}. Out of reach: {result['out_of_reach']}.", job)
