"""``plantao channel …``"""

from typing import Annotated, Any

import typer

from config.cli.asking import Asking, ChannelArgument, ClinicArgument, ClinicOption, YesOption, command, confirm
from config.cli.output import local_time
from protocol.channel import ChannelState

group = typer.Typer(help="Channels: one WhatsApp number of a clinic each.", no_args_is_help=True, rich_markup_mode=None)

_TIMES = frozenset(
    {"since", "next_retry_at", "restricted_until", "created_at", "last_connected_at", "last_activity_at"}
)


@command(group, "add")
def add(
    asking: Asking,
    clinic: ClinicArgument,
    channel: ChannelArgument,
    name: Annotated[
        str | None, typer.Option("--name", help="What people call it; the identifier if not given.")
    ] = None,
) -> None:
    """Register a channel; it asks to be paired at once."""
    body = {"id": channel} | ({} if name is None else {"name": name})
    added = asking.node.post("clinics", clinic, "channels", body=body)
    asking.out.say(f"Channel {clinic}/{channel} is registered. Next: plantao channel pair {clinic} {channel}", added)


@command(group, "list")
def list_(
    asking: Asking,
    clinic: ClinicOption = None,
    state: Annotated[ChannelState | None, typer.Option("--state", help="Only in this state.")] = None,
) -> None:
    """List channels with their state."""
    found = asking.node.whole_list("channels", clinic=clinic, state=None if state is None else state.value)
    keys = ("clinic", "channel", "name", "state", "reason", "phone", "queued", "since")
    rows = [[_shown(channel, key) for key in keys] for channel in found["items"]]
    asking.out.table([key.upper() for key in keys], rows, found)


@command(group, "status")
def status(asking: Asking, clinic: ClinicArgument, channel: ChannelArgument) -> None:
    """Show everything about one channel."""
    found = asking.node.get("clinics", clinic, "channels", channel)
    _show(asking, found)


@command(group, "pair")
def pair(
    asking: Asking,
    clinic: ClinicArgument,
    channel: ChannelArgument,
    phone: Annotated[
        str | None,
        typer.Option("--phone", metavar="NUMBER", help="Pair by a code to type on this phone (E.164 digits)."),
    ] = None,
) -> None:
    """Show the QR code to scan with the phone (WhatsApp, Linked devices), and wait until it is connected."""
    from config.cli.pairing import follow, screen

    with screen(asking.out) as view:
        found = follow(asking.node, clinic, channel, phone, view)
    asking.out.say(f"Channel {clinic}/{channel} is connected as +{found['phone']}.", {"channel": found})


@command(group, "connect")
def connect(asking: Asking, clinic: ClinicArgument, channel: ChannelArgument) -> None:
    """Connect now; a channel that is connected gets a new connection."""
    _act(asking, clinic, channel, "connect")


@command(group, "disconnect")
def disconnect(asking: Asking, clinic: ClinicArgument, channel: ChannelArgument) -> None:
    """Disconnect and stay so until `connect`; the pairing is kept."""
    _act(asking, clinic, channel, "disconnect")


@command(group, "suspend")
def suspend(asking: Asking, clinic: ClinicArgument, channel: ChannelArgument) -> None:
    """Disconnect until `resume`; send commands wait, and are not sent once they have expired."""
    _act(asking, clinic, channel, "suspend")


@command(group, "resume")
def resume(asking: Asking, clinic: ClinicArgument, channel: ChannelArgument) -> None:
    """Connect a channel that is suspended, and send what waits."""
    _act(asking, clinic, channel, "resume")


@command(group, "logout")
def logout(asking: Asking, clinic: ClinicArgument, channel: ChannelArgument, yes: YesOption = False) -> None:
    """Unlink the device from its WhatsApp account, or forget the session of one that is suspended or in error."""
    confirm(f"Log {clinic}/{channel} out of WhatsApp? It will need a new pairing.", yes)
    _act(asking, clinic, channel, "logout")


@command(group, "check")
def check(
    asking: Asking,
    clinic: ClinicArgument,
    channel: ChannelArgument,
    phones: Annotated[list[str], typer.Argument(metavar="PHONE…", help="Numbers to look up (E.164 digits).")],
) -> None:
    """Ask WhatsApp which numbers it knows."""
    found = asking.node.post("clinics", clinic, "channels", channel, "check", body={"phones": phones})
    rows = [(one["phone"], "yes" if one["on_whatsapp"] else "no", one["jid"]) for one in found["items"]]
    asking.out.table(("PHONE", "ON WHATSAPP", "JID"), rows, found)


@command(group, "set")
def set_(
    asking: Asking,
    clinic: ClinicArgument,
    channel: ChannelArgument,
    settings: Annotated[
        list[str] | None,
        typer.Argument(metavar="[SETTING=VALUE…]", help="Such as pacing.per_minute=10; no value: as for all channels."),
    ] = None,
    name: Annotated[str | None, typer.Option("--name", help="What people call it.")] = None,
) -> None:
    """Give a channel settings of its own, or another name; without either, show its settings."""
    from config.cli.own_settings import change, lines

    found = asking.node.get("clinics", clinic, "channels", channel)
    body: dict[str, Any] = {"config": change(found["config"], settings)} if settings else {}
    if name is not None:
        body["name"] = name
    if body:
        found = asking.node.patch("clinics", clinic, "channels", channel, body=body)
    asking.out.record({"name": found["name"], **lines(found["config"])}, found)


@command(group, "remove")
def remove(asking: Asking, clinic: ClinicArgument, channel: ChannelArgument, yes: YesOption = False) -> None:
    """Stop a channel for good and delete its session."""
    found = asking.node.get("clinics", clinic, "channels", channel)
    confirm(f"Remove channel {found['name']!r} ({clinic}/{channel}, {found['state']}) and its session for good?", yes)
    asking.node.delete("clinics", clinic, "channels", channel)
    asking.out.say(f"Channel {clinic}/{channel} is removed.", {"removed": f"{clinic}/{channel}"})


def _act(asking: Asking, clinic: str, channel: str, verb: str) -> None:
    _show(asking, asking.node.post("clinics", clinic, "channels", channel, verb))


def _show(asking: Asking, found: dict[str, Any]) -> None:
    asking.out.record({key: _shown(found, key) for key in found if key != "config"}, found)


def _shown(channel: dict[str, Any], key: str) -> Any:
    return local_time(channel[key]) if key in _TIMES else channel[key]
