"""``plantao key …``"""

from datetime import datetime
from typing import Annotated

import typer

from config.cli.asking import Asking, YesOption, command, confirm
from config.cli.completing import clinics
from config.cli.output import local_time
from config.cli.times import FORMS, read_time
from protocol.access import Role

group = typer.Typer(
    help="API keys: who may ask this node, for what, and until when.", no_args_is_help=True, rich_markup_mode=None
)


@command(group, "add")
def add(
    asking: Asking,
    name: Annotated[str, typer.Argument(metavar="NAME", help="What people call it.")],
    role: Annotated[
        Role, typer.Option("--role", help="viewer looks, operator sends and connects, admin does everything.")
    ],
    clinic: Annotated[
        list[str] | None,
        typer.Option(
            "--clinic",
            metavar="CLINIC",
            help="Only for this clinic; again for more. Not given: all.",
            autocompletion=clinics,
        ),
    ] = None,
    expires: Annotated[str | None, typer.Option("--expires", metavar="TIME", help=f"Good until then: {FORMS}.")] = None,
    per_hour: Annotated[
        int | None,
        typer.Option("--per-hour", metavar="REQUESTS", min=0, help="Requests an hour, if not as usual; 0: no limit."),
    ] = None,
) -> None:
    """Make a key and show it, this once: what is kept of it only recognises it."""
    until = None if expires is None else read_time("--expires", expires, datetime.now().astimezone())
    body = {"name": name, "role": role.value, "clinics": clinic or None, "expires_at": until, "per_hour": per_hour}
    made = asking.node.post("keys", body={field: value for field, value in body.items() if value is not None})
    asking.out.say(f"{made['key']}\nThis is key {made['id']}; it is not shown again.", made)


@command(group, "list")
def list_(asking: Asking) -> None:
    """List keys, without the keys themselves."""
    found = asking.node.whole_list("keys")
    rows = [
        (
            key["id"],
            key["name"],
            key["role"],
            "all" if key["clinics"] is None else ", ".join(key["clinics"]),
            key["made_by"],
            "expired" if key["expired"] else local_time(key["expires_at"]),
            key["per_hour"],
            local_time(key["last_used_at"]),
        )
        for key in found["items"]
    ]
    columns = ("ID", "NAME", "ROLE", "CLINICS", "MADE BY", "EXPIRES", "PER HOUR", "LAST USED")
    asking.out.table(columns, rows, found)


@command(group, "revoke")
def revoke(
    asking: Asking,
    id: Annotated[str, typer.Argument(metavar="ID", help="The key's id, from plantao key list.")],
    yes: YesOption = False,
) -> None:
    """Make a key good for nothing, at once and for good; what it has under way is ended."""
    confirm(f"Revoke key {id}?", yes)
    asking.node.delete("keys", id)
    asking.out.say(f"Key {id} is revoked.", {"revoked": id})
