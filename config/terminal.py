"""Shows the pairing codes of new channels in the terminal in which the node was started."""

import asyncio
import sys
from collections.abc import Callable
from typing import Final

import qrcode

from config.parts import Parts
from protocol.channel import ChannelState, QrCode
from protocol.errors import PlantaoError

LOOK_S: Final = 5.0
ONE_YEAR_S: Final = 31_536_000.0


class Terminal:
    """Runs on the loop between ``start`` and ``stop``, both called from the main thread."""

    def __init__(self, parts: Parts, *, show_codes: bool) -> None:
        self._parts = parts
        self._show_codes = show_codes
        self._cancel: Callable[[], None] | None = None

    def start(self) -> None:
        """Begin to show codes, if they are to be shown."""
        if self._show_codes:
            self._cancel = self._parts.loop.spawn(self._follow(), lambda _: None, timeout=ONE_YEAR_S)

    def stop(self) -> None:
        """Show no more."""
        if self._cancel is not None:
            self._cancel()

    async def _follow(self) -> None:
        loop = asyncio.get_running_loop()
        changed = asyncio.Event()

        def wake() -> None:
            loop.call_soon_threadsafe(changed.set)

        shown: dict[tuple[str, str], str] = {}
        stop = self._parts.board.listen(wake)
        try:
            while True:
                await self._show_new(shown)
                changed.clear()
                try:
                    await asyncio.wait_for(changed.wait(), LOOK_S)
                except TimeoutError:
                    continue
        finally:
            stop()

    async def _show_new(self, shown: dict[tuple[str, str], str]) -> None:
        for channel in self._parts.board.channels():
            if channel.state is not ChannelState.QR_REQUIRED:
                continue
            key = channel.clinic, channel.channel
            try:
                code = await self._parts.desk.qr(*key)
            except PlantaoError:
                continue
            if shown.get(key) != code.code:
                shown[key] = code.code
                _print(f"{channel.clinic}/{channel.channel}", code)


def _print(name: str, code: QrCode) -> None:
    picture = qrcode.QRCode(border=2)
    picture.add_data(code.code)
    until = code.expires_at.astimezone().strftime("%H:%M:%S")
    print(f"\nScan with WhatsApp (linked devices) to pair {name}; valid until {until}:")  # noqa: T201 - for a person
    picture.print_ascii(out=sys.stdout, invert=True)
