"""``plantao rotate …``: keys exchanged, while all goes on."""

import typer

from config.cli.asking import Asking, ClinicArgument, command
from config.cli.following import follow

group = typer.Typer(help="Exchange keys, while all goes on.", no_args_is_help=True, rich_markup_mode=None)


@command(group, "master")
def master(asking: Asking) -> None:
    """Wrap all keys with the next master key (keys.next_master*); then the present one opens nothing."""
    job = follow(asking, asking.node.post("rotate", body={"what": "master"}))
    asking.out.say(
        f"{job['result']['keys']} keys are wrapped by the next master key. Before the node starts again, make it the "
        "present one in the settings; keep the old one as long as backups that were made under it.",
        job,
    )


@command(group, "clinic")
def clinic(asking: Asking, clinic: ClinicArgument) -> None:
    """Give a clinic a new data key, seal all it has with that, and destroy the old one."""
    job = follow(asking, asking.node.post("rotate", body={"what": "clinic", "clinic": clinic}))
    count = job["result"]["snapshots"]
    asking.out.say(f"Clinic {clinic} has a new key: its database and {count} snapshots are sealed with it.", job)
