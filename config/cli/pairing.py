"""Follows a pairing to its end: shows each code until the channel is connected, or says why it will not be."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final, Protocol

from config.cli.client import PAIR_TIMEOUT_S, NodeClient, NodeRefusedError
from config.cli.output import Output, clean, console
from config.cli.qr import half_blocks
from protocol.channel import ChannelState
from protocol.errors import PlantaoError

if TYPE_CHECKING:
    from rich.live import Live
    from rich.text import Text

LOOK_S: Final = 1.0
_NOT_FOUND: Final = 404
_ENDED: Final = frozenset(
    {ChannelState.DISCONNECTED, ChannelState.LOGGED_OUT, ChannelState.SUSPENDED, ChannelState.ERROR}
)
_PATIENCE: Final = 5
"""Looks during which a state from before the pairing may still be shown."""


class PairingFailedError(PlantaoError):
    """The pairing ended without a connection."""


class View(Protocol):
    """Where codes are shown."""

    def show(self, code: dict[str, Any]) -> None:
        """Show a code (a QR code, or with ``phone`` one to type) in place of the one before."""

    def wait(self, state: str) -> None:
        """Say that there is no code to show now, and what the channel is doing."""


def follow(
    node: NodeClient,
    clinic: str,
    channel: str,
    phone: str | None,
    view: View,
    sleep: Callable[[float], None] = time.sleep,
) -> dict[str, Any]:
    """Begin pairing, show every code, and return the channel once it is connected.

    Raises:
        PairingFailedError: it came to another end; says which.
        PlantaoError: the node is away or refuses.
    """
    where = ("clinics", clinic, "channels", channel)
    body = {} if phone is None else {"phone": phone}
    view.show(node.post(*where, "pair", body=body, timeout=PAIR_TIMEOUT_S))
    begun, looks = False, 0
    while True:
        found: dict[str, Any] = node.get(*where)
        state = ChannelState(found["state"])
        if state is ChannelState.CONNECTED:
            return found
        looks += 1
        if state in _ENDED and (begun or looks > _PATIENCE):
            raise PairingFailedError(_ending(clinic, channel, found))
        begun = begun or state not in _ENDED
        if phone is None:
            code = _code(node, where)
            view.wait(state) if code is None else view.show(code)
        sleep(LOOK_S)


def _code(node: NodeClient, where: tuple[str, ...]) -> dict[str, Any] | None:
    try:
        code: dict[str, Any] = node.get(*where, "qr")
    except NodeRefusedError as error:
        if error.status == _NOT_FOUND:
            return None
        raise
    return code


def _ending(clinic: str, channel: str, found: dict[str, Any]) -> str:
    why = found["reason"] or "no reason given"
    again = "" if found["state"] == ChannelState.ERROR else f"; to try again: plantao channel pair {clinic} {channel}"
    return f"channel {clinic}/{channel} was not paired: {found['state']} ({why}){again}"


@contextmanager
def screen(out: Output) -> Iterator[View]:
    """The view that suits ``out``: JSON lines, a terminal that is drawn over, or plain text after text."""
    if out.as_json:
        yield _Lines(out)
    elif not sys.stdout.isatty():
        yield _Plain(out)
    else:
        from rich.live import Live

        with Live(console=console(), auto_refresh=False, transient=True) as live:
            yield _Drawn(live)


class _Lines:
    """Each new code as a line of JSON."""

    def __init__(self, out: Output) -> None:
        self._out = out
        self._last: dict[str, Any] | None = None

    def show(self, code: dict[str, Any]) -> None:
        if code != self._last:
            self._last = code
            self._out.json({"pairing_code" if "phone" in code else "qr": code})

    def wait(self, state: str) -> None:
        """Programs see states elsewhere."""


class _Plain:
    """Each new code below the one before, for what is no terminal."""

    def __init__(self, out: Output) -> None:
        self._out = out
        self._last: dict[str, Any] | None = None

    def show(self, code: dict[str, Any]) -> None:
        if code == self._last:
            return
        self._last = code
        lines = [] if "phone" in code else half_blocks(code["code"], inverted=True)
        self._out.say("\n".join([*lines, _caption(code)]), code)

    def wait(self, state: str) -> None:
        """Nothing changes that would be worth a line."""


class _Drawn:
    """One picture that changes in place, with a countdown."""

    def __init__(self, live: "Live") -> None:
        self._live = live

    def show(self, code: dict[str, Any]) -> None:
        self._live.update(self._picture(code), refresh=True)

    def wait(self, state: str) -> None:
        from rich.text import Text

        self._live.update(Text(f"Waiting: {clean(state)} …"), refresh=True)

    def _picture(self, code: dict[str, Any]) -> "Text":
        from rich.text import Text

        left = max(0, round((datetime.fromisoformat(code["expires_at"]) - datetime.now(UTC)).total_seconds()))
        caption = f"{_caption(code)}\nValid for {left} s."
        if "phone" in code:
            return Text(caption)
        inverted = self._live.console.color_system is None
        lines = half_blocks(code["code"], inverted=inverted)
        width, height = len(lines[0]), len(lines) + 2
        if width > self._live.console.width or height > self._live.console.height:
            return Text(f"This terminal is too small for the QR code: it needs {width} columns and {height} lines.")
        style = "" if inverted else "#000000 on #ffffff"
        return Text.assemble(*((f"{line}\n", style) for line in lines), caption)


def _caption(code: dict[str, Any]) -> str:
    if "phone" in code:
        return (
            f"Pairing code: {code['code']}\nType it on the phone +{code['phone']}: WhatsApp, Linked devices, "
            "Link a device, Link with phone number instead."
        )
    return "Scan this with the phone: WhatsApp, Linked devices, Link a device."
