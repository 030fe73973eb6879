"""Two clinics with two channels each pair themselves, patients write and are answered, a port is killed and comes back.

``--once`` ends by itself, with exit code 0 only if all of that was seen; without it the system stays up until Ctrl-C.
``--empty``: none of that, but a node in which there is nothing yet, for whoever wants to do it themselves.
While it runs ``.demo`` in the repository leads to all that it has; ``tests.demo.phone`` has the people with phones.
"""

import argparse
import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Final

from rich.console import Console

from tests.acceptance.node import Listener, Node, settings
from tests.acceptance.phones import Phones
from tests.demo import phone as phones
from tests.emulator.client import EmulatorProcess

CHANNELS: Final = {
    ("acme", "reception"): ("5511900000001", "5511888000001"),
    ("acme", "billing"): ("5511900000002", "5511888000002"),
    ("bela", "reception"): ("5511900000003", "5511888000003"),
    ("bela", "whatsapp-2"): ("5511900000004", "5511888000004"),
}
"""(clinic, channel): the number it is paired with, and a patient who writes to it."""
EXAMPLE: Final = Path(__file__).parents[2] / "deploy" / "examples" / "autoresponder.py"

MEMORY: Final = "/dev/shm" if Path("/dev/shm").is_dir() else None

console = Console(highlight=False)


async def main(once: bool, empty: bool) -> int:
    """Everything, in order; the exit code."""
    with tempfile.TemporaryDirectory(prefix="plantao-demo-", dir=MEMORY) as place, _linked(Path(place)):
        directory = Path(place)
        async with EmulatorProcess(directory / "whatsapp") as emulator:
            phones.leave_number(directory, emulator.ready.control)
            console.print(f"[bold]WhatsApp emulator[/]  {emulator.ready.control}")
            async with Node(directory / "node", settings(emulator.ready)) as node, await node.listen() as service:
                console.print(f"[bold]Plantão[/]            {node.where['http']} (pid {node.pid})")
                if empty:
                    await _stay(node)
                    return 0
                async with _autoresponder(node):
                    await _show(node, service, emulator)
                    if not once:
                        await _stay(node)
    console.print("[green]Done: all of it was seen.[/]")
    return 0


@contextmanager
def _linked(directory: Path) -> Iterator[None]:
    """``.demo`` leads to ``directory``; that of another demo, which runs or was killed, does so no more."""
    phones.PLACE.unlink(missing_ok=True)
    phones.PLACE.symlink_to(directory)
    try:
        yield
    finally:
        if phones.PLACE.is_symlink() and phones.PLACE.readlink() == directory:
            phones.PLACE.unlink()


@asynccontextmanager
async def _autoresponder(node: Node) -> AsyncIterator[None]:
    """The example service, as anyone would run it."""
    process = await asyncio.create_subprocess_exec(sys.executable, str(EXAMPLE), node.where["nats"], process_group=0)
    try:
        yield
    finally:
        if process.returncode is None:
            process.send_signal(signal.SIGINT)
        await process.wait()


async def _show(node: Node, service: Listener, emulator: EmulatorProcess) -> None:
    _step("Two clinics with two channels each are created and pair themselves")
    phones = Phones(node, emulator, service)
    for clinic in dict.fromkeys(clinic for clinic, _ in CHANNELS):
        await node.add(clinic, *(channel for of, channel in CHANNELS if of == clinic))
    for (clinic, channel), (phone, _) in CHANNELS.items():
        await phones.scan(clinic, channel, phone)
        _seen(f"{clinic}/{channel} scanned by {phone}: connected")

    _step("Patients write, and the example service answers each")
    for key in CHANNELS:
        await _converse(service, emulator, key, "Bom dia, posso remarcar?")

    victim = ("acme", "reception")
    pid = node.port_pid(*victim)
    _step(f"The port of {'/'.join(victim)} (pid {pid}) is killed with SIGKILL; the others go on")
    before = len(service.seen("state", clinic=victim[0], channel=victim[1], state="connected"))
    others = {key: len(_states(service, key)) for key in CHANNELS if key != victim}
    os.kill(pid, signal.SIGKILL)
    down = await service.until("state", clinic=victim[0], channel=victim[1], state="reconnecting")
    _seen(f"{'/'.join(victim)} is {down['state']}: {down['reason']}")
    for key in others:
        await _converse(service, emulator, key, "Ainda estão aí?")
    await service.until("state", clinic=victim[0], channel=victim[1], state="connected", count=before + 1)
    _seen(f"{'/'.join(victim)} is connected again, with a new port (pid {node.port_pid(*victim)})")
    await _converse(service, emulator, victim, "E vocês?")
    for key, count in others.items():
        if len(_states(service, key)) != count:
            raise AssertionError(f"{'/'.join(key)} changed its state when another channel's port was killed")
    _seen("no other channel changed its state")


def _states(service: Listener, key: tuple[str, str]) -> list[dict[str, object]]:
    return service.seen("state", clinic=key[0], channel=key[1])


async def _converse(service: Listener, emulator: EmulatorProcess, key: tuple[str, str], text: str) -> None:
    phone, patient = CHANNELS[key]
    sent = await emulator.send_text(patient, phone, text)
    await service.until("message", wa_id=sent)
    answer = await emulator.wait_for_message(patient, text=f"Recebemos: {text}. Já respondemos.", timeout=30.0)
    _seen(f"{patient} → {'/'.join(key)}: “{text}”   answered: “{answer.text}”")


async def _stay(node: Node) -> None:
    console.print(f"\nIt stays up. Admin endpoint: {node.where['http']}, key in {node.where['admin_key']}")
    console.print("For example, in another terminal:")
    console.print(f"  export PLANTAO_DATA={phones.PLACE / 'node' / 'data'}")
    console.print("  .venv/bin/plantao channel list")
    console.print("  .venv/bin/python -m tests.demo.phone --help")
    console.print("Ctrl-C ends it.")
    stopped = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    await stopped.wait()


def _step(text: str) -> None:
    console.print(f"\n[bold cyan]{text}[/]")


def _seen(text: str) -> None:
    console.print(f"  [green]✓[/] {text}")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make demo", description=__doc__)
    how = parser.add_mutually_exclusive_group()
    how.add_argument("--once", action="store_true", help="end by itself; exit code 0 only if all was seen")
    how.add_argument("--empty", action="store_true", help="only start the node and the emulator")
    return parser.parse_args()


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt, subprocess.SubprocessError):
        given = _arguments()
        sys.exit(asyncio.run(main(given.once, given.empty)))
    sys.exit(1)
