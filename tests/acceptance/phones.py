"""People with phones: they scan codes, type codes and write to clinics."""

from tests.acceptance.node import Listener, Node
from tests.emulator.client import EmulatorProcess


class Phones:
    """Pairs channels of a node with emulated phones."""

    def __init__(self, node: Node, emulator: EmulatorProcess, service: Listener) -> None:
        self._node = node
        self._emulator = emulator
        self._service = service

    async def scan(self, clinic: str, channel: str, phone: str) -> None:
        """Scan the channel's QR code with ``phone``, and wait until the channel is connected."""
        code = await self._service.until("qr", clinic=clinic, channel=channel)
        await self._emulator.scan(code["code"], phone)
        await self._service.until("state", clinic=clinic, channel=channel, state="connected")

    async def pair(self, clinic: str, *channels: tuple[str, str]) -> None:
        """A new clinic whose channels are paired with these phones."""
        await self._node.add(clinic, *(channel for channel, _ in channels))
        for channel, phone in channels:
            await self.scan(clinic, channel, phone)
