"""``plantao audit …``: who did what, and whether that is as it was written."""

from pathlib import Path
from typing import Annotated, Any, Final

import typer

from config.cli.asking import Asking, CaOption, ClinicOption, JsonOption, KeyOption, UrlOption, command, settings_file
from config.cli.client import NodeClient
from config.cli.output import FAILED, Output, local_time
from config.cli.progress import unmeasured
from protocol.errors import PlantaoError

group = typer.Typer(
    help="Who did what to which clinic and channel, and whether all of it is there.",
    no_args_is_help=True,
    rich_markup_mode=None,
)

DEFAULT_DATA: Final = Path("data")
MOST_LISTED: Final = 500
VERIFY_S: Final = 920.0
"""Somewhat longer than the node takes at most."""

SinceOption = Annotated[
    str | None,
    typer.Option("--since", metavar="SEQ:HASH", help="Also find out whether this, noted earlier, is a part of it."),
]


@command(group, "list")
def list_(
    asking: Asking,
    clinic: ClinicOption = None,
    limit: Annotated[int, typer.Option("--limit", min=1, max=MOST_LISTED, help="At most so many.")] = 50,
    before: Annotated[
        int | None, typer.Option("--before", metavar="SEQ", min=1, help="Go on where an earlier list ended.")
    ] = None,
) -> None:
    """List entries, newest first."""
    page = asking.node.get("audit", clinic=clinic, limit=str(limit), before=None if before is None else str(before))
    columns = ("SEQ", "TIME", "WHO", "ACTION", "CLINIC", "CHANNEL", "OUTCOME", "OF", "DETAIL")
    rows = [
        (
            entry["seq"],
            local_time(entry["at"]),
            entry["who"],
            entry["action"],
            entry["clinic"],
            entry["channel"],
            entry["outcome"],
            entry["about"],
            " ".join(f"{name}={value}" for name, value in entry["detail"].items()),
        )
        for entry in page["items"]
    ]
    asking.out.table(columns, rows, page)


@group.command("verify")
def verify(
    since: SinceOption = None,
    offline: Annotated[
        bool, typer.Option("--offline", help="Look at the data directory itself, with the master key; no node runs.")
    ] = False,
    config: Annotated[
        Path | None,
        typer.Option("--config", metavar="FILE", help="With --offline: settings; ./plantao.toml if there is one."),
    ] = None,
    data: Annotated[
        Path | None,
        typer.Option("--data", metavar="DIR", envvar="PLANTAO_DATA", help="Data directory; ./data if nothing says so."),
    ] = None,
    url: UrlOption = None,
    key_file: KeyOption = None,
    ca: CaOption = None,
    as_json: JsonOption = False,
) -> None:
    """Find out whether the audit is whole and as it was written; exit code 1 if it is not."""
    out = Output(as_json)
    try:
        if offline:
            from config.offline_audit import verified

            with unmeasured("Reading the audit …", as_json):
                found = verified(settings_file(config), data, since)
        else:
            node = NodeClient.find(data or DEFAULT_DATA, url, key_file, ca)
            with unmeasured("The node reads the audit …", as_json):
                found = node.get_within(VERIFY_S, "audit", "verify", since=since)
        _tell(out, found)
    except PlantaoError as error:
        raise typer.Exit(out.failure(error)) from error


def _tell(out: Output, found: dict[str, Any]) -> None:
    """Say what was found; ends the process with 1 if it is not well."""
    if found["intact"]:
        end = f"{found['last']}:{found['hash']}"
        out.say(f"The audit is whole: {found['last']} entries. Its end, to be noted elsewhere: {end}", found)
        return
    where = "" if found["bad"] is None else f"entry {found['bad']} is "
    out.say(f"The audit was tampered with: {where}{found['why']}", found)
    raise typer.Exit(FAILED)
