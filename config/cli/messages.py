"""``plantao message …``: outbound commands and what became of them."""

from typing import Annotated, Any

import typer

from config.cli.asking import Asking, ChannelArgument, ClinicArgument, command
from config.cli.commands import IdArgument, LimitOption, list_commands, path, show_command
from protocol.views import CommandState

group = typer.Typer(help="Messages that a channel was to send.", no_args_is_help=True, rich_markup_mode=None)


@command(group, "list")
def list_(
    asking: Asking,
    clinic: ClinicArgument,
    channel: ChannelArgument,
    state: Annotated[CommandState | None, typer.Option("--state", help="Only in this state.")] = None,
    limit: LimitOption = 50,
    cursor: Annotated[
        str | None, typer.Option("--cursor", metavar="CURSOR", help="Go on where an earlier list ended.")
    ] = None,
) -> None:
    """List messages, newest first."""
    query = {"state": None if state is None else state.value, "limit": str(limit), "cursor": cursor}
    list_commands(asking, path(clinic, channel, "messages"), query)


@command(group, "show")
def show(asking: Asking, clinic: ClinicArgument, channel: ChannelArgument, id: IdArgument) -> None:
    """Show everything about one message but its words: state, times, attempts that failed."""
    show_command(asking, asking.node.get(*path(clinic, channel, "messages", id)))


@command(group, "cancel")
def cancel(asking: Asking, clinic: ClinicArgument, channel: ChannelArgument, id: IdArgument) -> None:
    """Do not send a message that waits or is scheduled."""
    _decide(asking, path(clinic, channel, "messages", id, "cancel"), f"Message {id} is cancelled.")


@command(group, "release")
def release(asking: Asking, clinic: ClinicArgument, channel: ChannelArgument, id: IdArgument) -> None:
    """Send a message that is held, because it may have been sent before or another number was paired meanwhile."""
    _decide(asking, path(clinic, channel, "messages", id, "release"), f"Message {id} will be sent.")


def _decide(asking: Asking, where: tuple[str, ...], done: str) -> None:
    found: dict[str, Any] = asking.node.post(*where)
    asking.out.say(done, found)
