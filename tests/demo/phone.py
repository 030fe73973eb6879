"""The phones of ``make demo``: people on the emulated WhatsApp, from another terminal.

python -m tests.demo.phone scan CLINIC CHANNEL NUMBER     scan the channel's QR code with the phone NUMBER
python -m tests.demo.phone write FROM TO TEXT             FROM writes to TO
python -m tests.demo.phone read NUMBER                    wait until NUMBER has a message, and print all that it has
"""

import argparse
import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import aiohttp

PLACE: Final = Path(__file__).parents[2] / ".demo"
"""What runs now; ``make demo`` makes it and takes it away."""
PATIENCE_S: Final = 60.0
LOOK_S: Final = 0.2


def leave_number(directory: Path, control: str) -> None:
    """Write down where the emulator is asked, for ``main``."""
    (directory / "phones.json").write_text(json.dumps({"control": control}))


async def scan(control: aiohttp.ClientSession, clinic: str, channel: str, number: str) -> None:
    """Scan the QR code that the channel shows, as soon as it shows one."""
    data = PLACE / "node" / "data"
    where = json.loads((data / "node.json").read_text())
    headers = {"Authorization": f"Bearer {(data / 'admin.key').read_text().strip()}"}
    async with aiohttp.ClientSession(where["http"], headers=headers) as node:
        code = await until(node, f"/api/v1/clinics/{clinic}/channels/{channel}/qr", lambda found: "code" in found)
    await post(control, "/scan", {"qr": code["code"], "phone": number})
    print(f"{number} has scanned the code of {clinic}/{channel}.")


async def write(control: aiohttp.ClientSession, number: str, to: str, text: str) -> None:
    """Send a text, which is there once this returns."""
    await post(control, f"/contacts/{number}/send", {"to": to, "text": text})
    print(f"{number} has written to {to}.")


async def read(control: aiohttp.ClientSession, number: str) -> None:
    """Print all that has arrived, as soon as there is something."""
    inbox = await until(control, f"/contacts/{number}/inbox", lambda found: bool(found["items"]))
    for item in inbox["items"]:
        print(f"{item['from']}: {item['text']}")


async def until(session: aiohttp.ClientSession, path: str, holds: Callable[[Any], bool]) -> Any:
    """What ``path`` answers, once ``holds`` is true of it."""
    async with asyncio.timeout(PATIENCE_S):
        while True:
            async with session.get(path) as response:
                found = await response.json(content_type=None)
            if holds(found):
                return found
            await asyncio.sleep(LOOK_S)


async def post(session: aiohttp.ClientSession, path: str, body: dict[str, str]) -> None:
    async with session.post(path, json=body) as response:
        response.raise_for_status()


async def main(given: argparse.Namespace) -> None:
    """Do what is asked of the emulator that runs."""
    where = json.loads((PLACE / "phones.json").read_text())
    async with aiohttp.ClientSession(where["control"]) as control:
        match given.what:
            case "scan":
                await scan(control, given.clinic, given.channel, given.number)
            case "write":
                await write(control, given.number, given.to, given.text)
            case _:
                await read(control, given.number)


def arguments() -> argparse.Namespace:
    """What is asked; exits with 2 if it is not one of the three."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.demo.phone", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(dest="what", required=True)
    for name, *positional in (
        ("scan", "clinic", "channel", "number"),
        ("write", "number", "to", "text"),
        ("read", "number"),
    ):
        command = commands.add_parser(name)
        for argument in positional:
            command.add_argument(argument)
    return parser.parse_args()


if __name__ == "__main__":
    asked = arguments()
    if not PLACE.exists():
        raise SystemExit("No demo runs here: start one with make demo ARGS=--empty in another terminal.")
    asyncio.run(main(asked))
