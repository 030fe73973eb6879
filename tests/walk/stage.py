"""What a walk needs besides a browser: the node, WhatsApp, keys and phones."""

import io
import os
import signal
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

import zxingcpp
from PIL import Image

from tests.acceptance.node import Node, settings
from tests.emulator.client import EmulatorProcess

MEMORY: Final = "/dev/shm" if Path("/dev/shm").is_dir() else None
_TABLES: Final[dict[str, dict[str, Any]]] = {
    "log": {"level": "info"},
    "reconnect": {"base": 2.0, "cap": 5.0},
}
"""A person has to see that there is a next attempt before it is over."""


def read_code(picture: bytes) -> str | None:
    """What the QR code in a picture of the screen says, as a phone's camera sees it; None if there is none."""
    found = zxingcpp.read_barcodes(Image.open(io.BytesIO(picture)).convert("L"))
    return found[0].text if found else None


class Stage:
    """Made by ``stage``."""

    def __init__(self, node: Node, emulator: EmulatorProcess) -> None:
        self.node = node
        self.emulator = emulator

    @property
    def url(self) -> str:
        """Where the page is."""
        return str(self.node.where["http"])

    async def key(self, role: str, *clinics: str) -> tuple[str, str]:
        """A new key for ``clinics``, or for all: its id, and the key."""
        body = {"name": f"Walk, {role}", "role": role, **({"clinics": list(clinics)} if clinics else {})}
        made = await self.node.request("POST", "/api/v1/keys", body)
        return made["id"], made["key"]

    async def revoke(self, id: str) -> None:
        """That key is good for nothing any more."""
        await self.node.request("DELETE", f"/api/v1/keys/{id}")

    def kill_port(self, clinic: str, channel: str) -> None:
        """SIGKILL the process that holds the channel's socket."""
        os.kill(self.node.port_pid(clinic, channel), signal.SIGKILL)


@asynccontextmanager
async def stage(directory: Path | None = None) -> AsyncIterator[Stage]:
    """A new node and a new WhatsApp, in ``directory`` or where all is gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="plantao-walk-", dir=directory or MEMORY, ignore_cleanup_errors=True) as at:
        place = Path(at)
        async with (
            EmulatorProcess(place / "whatsapp") as emulator,
            Node(place / "node", settings(emulator.ready, _TABLES)) as node,
        ):
            yield Stage(node, emulator)
