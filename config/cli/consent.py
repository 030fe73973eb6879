"""``plantao consent …``: who may be written to, and what they agreed to."""

from typing import Annotated

import typer

from config.cli.asking import Asking, ChannelArgument, ClinicArgument, command
from config.cli.commands import LimitOption
from config.cli.output import local_time
from protocol.records import ConsentKind

group = typer.Typer(help="Who agreed to what; who opted out.", no_args_is_help=True, rich_markup_mode=None)

ContactArgument = Annotated[str, typer.Argument(metavar="CONTACT", help="The person's number or JID.")]


@command(group, "list")
def list_(
    asking: Asking,
    clinic: ClinicArgument,
    channel: ChannelArgument,
    contact: Annotated[str | None, typer.Option("--contact", metavar="CONTACT", help="Of this person alone.")] = None,
    limit: LimitOption = 50,
    cursor: Annotated[
        str | None, typer.Option("--cursor", metavar="CURSOR", help="Go on where an earlier list ended.")
    ] = None,
) -> None:
    """List the register, newest first."""
    where = ("clinics", clinic, "channels", channel, "consents")
    found = asking.node.get(*where, contact=contact, limit=str(limit), cursor=cursor)
    rows = [
        (local_time(entry["at"]), " ".join(entry["people"]), entry["status"], entry["source"], entry["note"])
        for entry in found["items"]
    ]
    asking.out.table(("AT", "WHO", "STATUS", "SOURCE", "NOTE"), rows, found)


@command(group, "record")
def record(
    asking: Asking,
    clinic: ClinicArgument,
    channel: ChannelArgument,
    contact: ContactArgument,
    status: Annotated[ConsentKind, typer.Argument(help="opted_out and withdrawn: nothing more is sent to them.")],
    note: Annotated[str, typer.Option("--note", metavar="TEXT", help="How it came to be known.")] = "",
) -> None:
    """Enter what a person agreed to, or did not; it holds at once."""
    body = {"contact": contact, "status": status.value, "note": note}
    entry = asking.node.post("clinics", clinic, "channels", channel, "consents", body=body)
    asking.out.say(f"Recorded: {status.value}.", entry)
