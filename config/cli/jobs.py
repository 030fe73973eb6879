"""``plantao job …``: what takes longer than a request."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from config.cli.asking import Asking, ClinicOption, command
from config.cli.following import fetch
from config.cli.output import local_time
from protocol.jobs import JobKind, JobState

group = typer.Typer(
    help="Backups, rotations and the like, and how far they are.", no_args_is_help=True, rich_markup_mode=None
)


@command(group, "list")
def list_(
    asking: Asking,
    clinic: ClinicOption = None,
    kind: Annotated[JobKind | None, typer.Option("--kind", help="Only of this kind.")] = None,
    state: Annotated[JobState | None, typer.Option("--state", help="Only in this state.")] = None,
) -> None:
    """List the jobs since the node started, newest first."""
    only = {"kind": None if kind is None else kind.value, "state": None if state is None else state.value}
    found = asking.node.whole_list("jobs", clinic=clinic, **only)
    columns = ("ID", "KIND", "CLINIC", "STATE", "PROGRESS", "STARTED", "ENDED", "ERROR")
    rows = [
        (
            job["id"],
            job["kind"],
            job["clinic"],
            job["state"],
            progress(job),
            local_time(job["started_at"]),
            local_time(job["ended_at"]),
            job["error"],
        )
        for job in found["items"]
    ]
    asking.out.table(columns, rows, found)


@command(group, "show")
def show(asking: Asking, id: Annotated[str, typer.Argument(metavar="ID", help="Identifier of the job.")]) -> None:
    """Show one job."""
    job = asking.node.get("jobs", id)
    fields = {
        **job,
        "progress": progress(job),
        "started_at": local_time(job["started_at"]),
        "ended_at": local_time(job["ended_at"]),
        "file": "to be fetched" if job["file"] else None,
        **job["result"],
    }
    for name in ("step", "done", "total", "result"):
        del fields[name]
    asking.out.record(fields, job)


@command(group, "fetch")
def fetch_(
    asking: Asking,
    id: Annotated[str, typer.Argument(metavar="ID", help="Identifier of the job.")],
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Where it goes.")],
    replace: Annotated[bool, typer.Option("--replace", help="Also if FILE is there.")] = False,
) -> None:
    """Write to FILE what a job made, a backup or an export that nobody waited for; the node deletes its own."""
    job = asking.node.get("jobs", id)
    size = fetch(asking, job["id"], file, replace=replace)
    asking.out.say(f"{file}, {size} bytes.", {"file": str(file.absolute()), "bytes": size})


def progress(job: Mapping[str, Any]) -> str:
    """Such as ``snapshots 3/12``."""
    count = "" if job["total"] is None else f"{job['done']}/{job['total']}"
    return f"{job['step']} {count}".strip()
