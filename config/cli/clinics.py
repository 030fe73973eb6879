"""``plantao clinic …``"""

from typing import Annotated, Any, Final

import typer

from config.cli.asking import Asking, ClinicArgument, YesOption, command, confirm
from config.cli.output import local_time
from protocol.channel import ClinicState
from protocol.views import CommandState

_MIB: Final = 1 << 20

group = typer.Typer(help="Clinics that this node runs.", no_args_is_help=True, rich_markup_mode=None)


@command(group, "add")
def add(
    asking: Asking,
    clinic: ClinicArgument,
    name: Annotated[
        str | None, typer.Option("--name", help="What people call it; the identifier if not given.")
    ] = None,
    timezone: Annotated[str | None, typer.Option("--timezone", help="IANA name, such as America/Sao_Paulo.")] = None,
) -> None:
    """Register a clinic; it starts at once."""
    body = {"id": clinic, "name": name or clinic} | ({} if timezone is None else {"timezone": timezone})
    added = asking.node.post("clinics", body=body)
    asking.out.say(f"Clinic {clinic} is registered. Next: plantao channel add {clinic} CHANNEL", added)


@command(group, "list")
def list_(
    asking: Asking,
    state: Annotated[ClinicState | None, typer.Option("--state", help="Only in this state.")] = None,
) -> None:
    """List clinics with their state."""
    found = asking.node.whole_list("clinics", state=None if state is None else state.value)
    rows = [
        (
            clinic["id"],
            clinic["name"],
            clinic["state"],
            clinic["reason"],
            _counted(clinic),
            local_time(clinic["created_at"]),
        )
        for clinic in found["items"]
    ]
    asking.out.table(("CLINIC", "NAME", "STATE", "REASON", "CHANNELS", "SINCE"), rows, found)


@command(group, "status")
def status(asking: Asking, clinic: ClinicArgument) -> None:
    """Show everything about one clinic."""
    found = asking.node.get("clinics", clinic)
    asking.out.record({**found, "channels": _counted(found), "created_at": local_time(found["created_at"])}, found)


@command(group, "set")
def set_(
    asking: Asking,
    clinic: ClinicArgument,
    name: Annotated[str | None, typer.Option("--name", help="What people call it.")] = None,
    timezone: Annotated[
        str | None, typer.Option("--timezone", help="IANA name, such as America/Sao_Paulo; quiet hours are in it.")
    ] = None,
) -> None:
    """Give a clinic another name or timezone, at once; without either, show what it has."""
    given = {"name": name, "timezone": timezone}
    body = {field: value for field, value in given.items() if value is not None}
    found = asking.node.patch("clinics", clinic, body=body) if body else asking.node.get("clinics", clinic)
    asking.out.record({field: found[field] for field in given}, found)


@command(group, "stats")
def stats(asking: Asking, clinic: ClinicArgument) -> None:
    """Count what the clinic's channels hold: messages by state, events that wait for NATS; and the database's size."""
    found = asking.node.get("clinics", clinic, "stats")
    states = [state.value for state in CommandState]
    rows = [
        (channel["channel"], *(channel["commands"].get(state, 0) for state in states), channel["spooled"])
        for channel in found["channels"]
    ]
    asking.out.table(("CHANNEL", *(state.upper() for state in states), "SPOOLED"), rows, found)
    if not asking.out.as_json:
        used, limit = found["database_bytes"] / _MIB, found["database_limit"] / _MIB
        typer.echo(f"The database has {used:.1f} of {limit:.0f} MiB.")


@command(group, "release")
def release(asking: Asking, clinic: ClinicArgument) -> None:
    """Let a clinic that was restarted too often out of quarantine, and start it."""
    found = asking.node.post("clinics", clinic, "release")
    asking.out.say(f"Clinic {clinic} is released: {found['state']}.", found)


@command(group, "remove")
def remove(asking: Asking, clinic: ClinicArgument, yes: YesOption = False) -> None:
    """Stop a clinic and its channels for good; its data stay on disk."""
    found = asking.node.get("clinics", clinic)
    count = sum(found["channels"].values())
    confirm(f"Remove clinic {found['name']!r} ({clinic}) with {count} channels for good?", yes)
    asking.node.delete("clinics", clinic)
    asking.out.say(f"Clinic {clinic} is removed.", {"removed": clinic})


def _counted(clinic: dict[str, Any]) -> str:
    """Its channels by state."""
    return ", ".join(f"{count} {state}" for state, count in sorted(clinic["channels"].items()) if count)
