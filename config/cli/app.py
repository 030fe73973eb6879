"""``plantao``: the groups, and the commands that belong to none."""

import os
from pathlib import Path
from typing import Annotated

import typer

from config.cli import channels, clinics, top
from config.cli.asking import Asking, ChannelArgument, ClinicArgument, command
from config.cli.output import Output
from protocol.errors import InvalidInputError, PlantaoError
from protocol.subjects import Priority

app = typer.Typer(
    help="Keeps the WhatsApp sessions of many clinics on duty.",
    epilog="Exit codes: 0 done, 1 failed, 2 wrong use or bad configuration.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.add_typer(clinics.group, name="clinic")
app.add_typer(channels.group, name="channel")

DEFAULT_CONFIG = Path("plantao.toml")


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
    config: Annotated[
        Path | None, typer.Option("--config", metavar="FILE", help="Settings; ./plantao.toml if there is one.")
    ] = None,
    data: Annotated[
        Path | None, typer.Option("--data", metavar="DIR", help="Data directory; ./data if nothing says otherwise.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Once ready, say where everything is in JSON.")] = False,
) -> None:
    """Run a node until SIGTERM or Ctrl-C."""
    try:
        # Imported here: a node's imports take longer than all other commands.
        from config.settings import load

        if config is None and DEFAULT_CONFIG.exists():
            config = DEFAULT_CONFIG
        settings = load(config, {**os.environ, **({} if data is None else {"PLANTAO_DATA": str(data)})})
        from config import node

        code = node.run(settings, as_json)
    except PlantaoError as error:
        raise typer.Exit(Output(as_json).failure(error)) from error
    raise typer.Exit(code)


command(app, "top")(top.top)


@command(app, "send")
def send(
    asking: Asking,
    clinic: ClinicArgument,
    channel: ChannelArgument,
    to: Annotated[str, typer.Option("--to", metavar="NUMBER", help="Recipient: E.164 digits or a WhatsApp JID.")],
    text: Annotated[str | None, typer.Option("--text", help="The words, or the caption of an image.")] = None,
    image: Annotated[
        Path | None,
        typer.Option("--image", metavar="FILE", help="An image, at most 512 KiB.", exists=True, dir_okay=False),
    ] = None,
    id: Annotated[
        str | None, typer.Option("--id", help="Idempotency key: the same id sends the same message once.")
    ] = None,
    priority: Annotated[Priority, typer.Option("--priority", help="Which queue.")] = Priority.NORMAL,
) -> None:
    """Put a message on a channel's queue; the channel sends it as soon as it can."""
    import uuid

    body = {"v": 1, "id": id or f"cli-{uuid.uuid4().hex}", "to": to, **_content(text, image)}
    queued = asking.node.post("clinics", clinic, "channels", channel, "send", body=body, priority=priority.value)
    asking.out.say(f"Queued as {queued['id']}.", queued)


def _content(text: str | None, image: Path | None) -> dict[str, object]:
    if image is None:
        if text is None:
            raise InvalidInputError("--text", "the words to send, or --image with a file")
        return {"type": "text", "text": text}
    import base64
    import mimetypes

    from protocol.commands import MAX_INLINE_MEDIA

    kind = mimetypes.guess_type(image.name)[0]
    if kind is None or not kind.startswith("image/"):
        raise InvalidInputError("--image", "a file whose name ends like an image's, such as .jpg or .png")
    try:
        data = image.read_bytes()
    except OSError as error:
        raise InvalidInputError("--image", f"a readable file: {error.strerror}") from error
    if not 0 < len(data) <= MAX_INLINE_MEDIA:
        raise InvalidInputError("--image", f"a file of 1 to {MAX_INLINE_MEDIA} bytes, got {len(data)}")
    media = {"data": base64.b64encode(data).decode(), "mime": kind} | ({} if text is None else {"caption": text})
    return {"type": "image", "media": media}
