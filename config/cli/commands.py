"""What the groups ``message`` and ``dead`` share: how commands are listed and shown."""

from typing import Annotated, Any, Final

import typer

from config.cli.asking import Asking
from config.cli.output import local_time

MOST_LISTED: Final = 200

IdArgument = Annotated[str, typer.Argument(metavar="ID", help="Identifier of the message.")]
LimitOption = Annotated[int, typer.Option("--limit", min=1, max=MOST_LISTED, help="How many at most.")]

_TIMES: Final = ("queued_at", "not_before", "expires_at", "deliver_by", "sent_at", "delivered_at", "read_at")
_COLUMNS: Final = ("ID", "STATE", "TO", "TYPE", "PRIORITY", "RUN", "ATTEMPTS", "QUEUED", "SENT", "ERROR")


def path(clinic: str, channel: str, *more: str) -> tuple[str, ...]:
    """Where something of a channel is."""
    return ("clinics", clinic, "channels", channel, *more)


def list_commands(asking: Asking, where: tuple[str, ...], query: dict[str, str | None]) -> None:
    """A page of commands as a table; if there are more, how to see them is said on stderr."""
    found = asking.node.get(*where, **query)
    rows = [
        (
            one["id"],
            one["state"],
            one["to"],
            one["type"],
            one["priority"],
            one["run"],
            one["attempts"],
            local_time(one["queued_at"]),
            local_time(one["sent_at"]),
            (one["error"] or {}).get("code"),
        )
        for one in found["items"]
    ]
    asking.out.table(_COLUMNS, rows, found)
    if found["next"] is not None and not asking.out.as_json:
        typer.echo(f"There are more: --cursor {found['next']}", err=True)


def show_command(asking: Asking, found: dict[str, Any]) -> None:
    """All that is known of one command, a line for each thing."""
    asking.out.record(_fields(found), found)


def _fields(found: dict[str, Any]) -> dict[str, Any]:
    fields = {
        name: local_time(value) if name in _TIMES else value
        for name, value in found.items()
        if value is not None and name not in ("error", "history")
    }
    if found["error"] is not None:
        fields["error"] = _words(found["error"])
    for attempt in found["history"]:
        name = f"attempt {attempt['run']}.{attempt['number']}"
        fields[name] = f"{local_time(attempt['at'])}  {_words(attempt['error'])}"
    return fields


def _words(error: dict[str, Any]) -> str:
    kind = "permanent" if error["permanent"] else "may pass"
    return f"{error['code']}: {error['message']} ({kind})"
