"""``plantao``: the groups, and the commands that belong to none."""

from typing import TYPE_CHECKING, Annotated

import typer

from config.cli import (
    audit,
    backup,
    channels,
    clinics,
    completion,
    consent,
    dead,
    doctor,
    erase,
    events,
    export,
    jobs,
    keys,
    messages,
    nats_config,
    nats_keys,
    ready,
    reload,
    rotate,
    sending,
    top,
)
from config.cli.asking import OwnDataOption, SettingsOption, command, settings_file
from config.cli.output import EXIT_CODES, Output
from protocol.errors import PlantaoError

if TYPE_CHECKING:
    from config.sections import Settings

app = typer.Typer(
    help="Keeps the WhatsApp sessions of many clinics on duty.",
    epilog="Exit codes: " + ", ".join(f"{code} {meaning}" for code, meaning in EXIT_CODES.items()) + ".",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 120},
)
app.add_typer(clinics.group, name="clinic")
app.add_typer(channels.group, name="channel")
app.add_typer(messages.group, name="message")
app.add_typer(dead.group, name="dead")
app.add_typer(consent.group, name="consent")
app.add_typer(jobs.group, name="job")
app.add_typer(audit.group, name="audit")
app.add_typer(keys.group, name="key")
keys.group.add_typer(nats_keys.group, name="nats")
app.add_typer(nats_config.group, name="nats")
app.add_typer(rotate.group, name="rotate")


def _version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        typer.echo(f"plantao {version('plantao')}")
        raise typer.Exit


@app.callback()
def _root(
    _wanted: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    pass


@app.command()
def run(
    config: SettingsOption = None,
    data: OwnDataOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="Once ready, say where everything is in JSON.")] = False,
) -> None:
    """Run a node until SIGTERM or Ctrl-C. SIGHUP has it read its settings again."""
    try:
        # Imported here: a node's imports take longer than all other commands.
        from config.settings import environment, load

        found = settings_file(config)

        def read() -> "Settings":
            file = settings_file(found)  # one that was found must stay: without it all is as by default
            return load(file, environment(data))

        read()  # a wrong setting is said at once
        from config import node

        code = node.run(read, as_json)
    except PlantaoError as error:
        raise typer.Exit(Output(as_json).failure(error)) from error
    raise typer.Exit(code)


doctor.register(app)
command(app, "ready")(ready.ready)
command(app, "reload")(reload.reload)
command(app, "top")(top.top)
command(app, "events")(events.follow)
command(app, "send")(sending.send)
backup.register(app)
export.register(app)
erase.register(app)
completion.register(app)
