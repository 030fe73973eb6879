"""``plantao dead …``: messages that failed."""

from collections.abc import Callable
from typing import Annotated, Any

import typer

from config.cli.asking import Asking, ChannelArgument, ClinicArgument, YesOption, command, confirm
from config.cli.client import NodeClient, NodeRefusedError
from config.cli.commands import MOST_LISTED, IdArgument, LimitOption, list_commands, path, show_command
from config.cli.output import FAILED
from config.cli.progress import of_things
from protocol.errors import InvalidInputError

group = typer.Typer(
    help="Messages that failed and will not be tried again.", no_args_is_help=True, rich_markup_mode=None
)

OneOrAll = Annotated[str | None, typer.Argument(metavar="[ID]", help="Identifier of the message.")]
AllOption = Annotated[bool, typer.Option("--all", help="All that there are, instead of one.")]


@command(group, "list")
def list_(
    asking: Asking,
    clinic: ClinicArgument,
    channel: ChannelArgument,
    limit: LimitOption = 50,
    cursor: Annotated[
        str | None, typer.Option("--cursor", metavar="CURSOR", help="Go on where an earlier list ended.")
    ] = None,
) -> None:
    """List messages that failed, newest first."""
    list_commands(asking, path(clinic, channel, "dead"), {"limit": str(limit), "cursor": cursor})


@command(group, "show")
def show(asking: Asking, clinic: ClinicArgument, channel: ChannelArgument, id: IdArgument) -> None:
    """Show one with the history of its attempts."""
    show_command(asking, asking.node.get(*path(clinic, channel, "messages", id)))


@command(group, "replay")
def replay(
    asking: Asking,
    clinic: ClinicArgument,
    channel: ChannelArgument,
    id: OneOrAll = None,
    every: AllOption = False,
    yes: YesOption = False,
) -> None:
    """Send one again, or all of them."""
    letters = _chosen(asking.node, clinic, channel, id, every)
    if every and letters:
        confirm(f"Send {len(letters)} messages of {clinic}/{channel} again?", yes)
    _each(asking, "replayed", letters, lambda each: asking.node.post(*path(clinic, channel, "dead", each, "replay")))


@command(group, "discard")
def discard(
    asking: Asking,
    clinic: ClinicArgument,
    channel: ChannelArgument,
    id: OneOrAll = None,
    every: AllOption = False,
    yes: YesOption = False,
) -> None:
    """Put one away, or all of them: they are no longer listed and cannot be sent again."""
    letters = _chosen(asking.node, clinic, channel, id, every)
    if every and letters:
        confirm(f"Put {len(letters)} messages of {clinic}/{channel} away for good?", yes)
    _each(asking, "discarded", letters, lambda each: asking.node.delete(*path(clinic, channel, "dead", each)))


def _chosen(node: NodeClient, clinic: str, channel: str, id: str | None, every: bool) -> list[str]:
    if (id is None) != every:
        raise InvalidInputError("ID", "the identifier of one message, or --all")
    return [id] if id is not None else _all(node, path(clinic, channel, "dead"))


def _all(node: NodeClient, where: tuple[str, ...]) -> list[str]:
    """The ids of all dead letters, oldest first, as they were when this began."""
    return [letter["id"] for letter in reversed(node.whole_list(*where, limit=str(MOST_LISTED))["items"])]


def _each(asking: Asking, done: str, letters: list[str], act: Callable[[str], Any]) -> None:
    """Do it to each; with several, what is refused (it was sent again by somebody else, say) does not stop the rest."""
    succeeded: list[str] = []
    refused: list[dict[str, str]] = []
    with of_things("messages", len(letters), asking.out.as_json) as advance:
        for letter in letters:
            try:
                act(letter)
                succeeded.append(letter)
            except NodeRefusedError as error:
                if len(letters) == 1:
                    raise
                refused.append({"id": letter, "detail": str(error)})
            advance(1)
    lines = [f"{len(succeeded)} of {len(letters)} messages {done}."] if len(letters) != 1 else [f"{letters[0]} {done}."]
    lines += [f"{one['id']}: {one['detail']}" for one in refused]
    asking.out.say("\n".join(lines), {done: succeeded, "refused": refused})
    if refused:
        raise typer.Exit(FAILED)
