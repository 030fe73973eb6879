"""``plantao events``: what changes, as it does."""

import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from datetime import datetime
from typing import Annotated, Any, Final

import typer

from config.cli.asking import Asking, ClinicOption
from config.cli.client import NodeAwayError
from config.cli.completing import channels
from config.cli.event_stream import Event, events
from config.cli.output import local_time
from protocol.errors import InvalidInputError

AGAIN_S: Final = 2.0
"""Between two tries to find a node that has gone."""
PATIENCE_S: Final = 60.0
"""After which it is not waited for any more."""
COUNTED: Final = ("received", "queued", "accepted", "sent", "delivered", "read", "failed", "dead")


def follow(
    asking: Asking,
    clinic: ClinicOption = None,
    channel: Annotated[
        str | None,
        typer.Option("--channel", metavar="CHANNEL", help="Only of this channel.", autocompletion=channels),
    ] = None,
    once: Annotated[bool, typer.Option("--once", help="End when all has been shown as it is now.")] = False,
) -> None:
    """Show states of clinics and channels, QR codes and counters: first as they are, then as they change.

    Ctrl-C ends it. A node that goes away is waited for, for a minute. With --json, one event a line, as over HTTP.
    """
    if channel is not None and clinic is None:
        raise InvalidInputError("--clinic", "the clinic of the channel")
    try:
        for event in _followed(asking, {"clinic": clinic, "channel": channel}):
            _show(asking, event)
            if once and event.name == "ready":
                return
    except KeyboardInterrupt:
        return


def _followed(asking: Asking, query: Mapping[str, str | None]) -> Iterator[Event]:
    """Events for ever, over the end of one node and the start of the next.

    Raises:
        NodeAwayError: there was none at all, or it has been gone for ``PATIENCE_S``.
        NodeRefusedError: the key is not good for that, or not any more.
    """
    node, last = asking.node, None
    lost_at: float | None = None
    while True:
        try:
            with node.events(last, **query) as lines:
                for event in events(lines):
                    lost_at, last = None, event.id or last
                    yield event
        except NodeAwayError:
            if last is None or (lost_at is not None and time.monotonic() - lost_at > PATIENCE_S):
                raise
        lost_at = lost_at or time.monotonic()
        time.sleep(AGAIN_S)
        with suppress(NodeAwayError):
            node = asking.find()


def _show(asking: Asking, event: Event) -> None:
    if asking.out.as_json:
        asking.out.json({"event": event.name, "data": event.data})
    elif (line := told(event.name, event.data)) is not None:
        now = datetime.now().astimezone().strftime("%H:%M:%S")
        asking.out.say(f"{now}  {line}", None)


def told(name: str, data: Mapping[str, Any]) -> str | None:
    """An event in words; None for one that says nothing to a person."""
    match name:
        case "clinic":
            return f"{data['id']}: {data['state']}{_why(data)}"
        case "channel":
            retry = f", next try at {local_time(data['next_retry_at'])}" if data.get("next_retry_at") else ""
            return f"{data['clinic']}/{data['channel']}: {data['state']}{_why(data)}{retry}"
        case "qr":
            where = f"{data['clinic']}/{data['channel']}"
            pair = f"plantao channel pair {data['clinic']} {data['channel']}"
            return f"{where}: no code to scan" if data["code"] is None else f"{where}: a code to scan; {pair}"
        case "counters":
            counts = ", ".join(f"{data[count]} {count}" for count in COUNTED if data.get(count))
            return f"{data['clinic']}: {counts or 'nothing'} since {local_time(data['since'])}"
        case "gone":
            return f"{data['clinic']}{'/' + data['channel'] if data['channel'] else ''}: removed"
        case "reset" | "ready":
            return None
        case _:
            return name


def _why(data: Mapping[str, Any]) -> str:
    return f" ({data['reason']})" if data.get("reason") else ""
