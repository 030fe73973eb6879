"""``python -m tests.emulator --dir D [--control 127.0.0.1:P]``: the emulator as its own process.

Prints one line of JSON (:class:`tests.emulator.api.Ready`) when it is ready; ends on SIGTERM or SIGINT.
"""

import argparse
import asyncio
import os
import signal
import sys
import time
from pathlib import Path

import msgspec
from aiohttp import web

from tests.emulator.api import Ready
from tests.emulator.control import Control
from tests.emulator.server import Server
from tests.emulator.world import World

_REPOSITORY = Path(__file__).resolve().parents[2]


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.emulator", description=__doc__)
    parser.add_argument("--dir", type=Path, required=True, help="folder for certificates and keys")
    parser.add_argument("--control", default="127.0.0.1:0", help="address of the control API")
    options = parser.parse_args()
    host, _, port = options.control.rpartition(":")
    if not host or not port.isdecimal():
        parser.error("--control: expected HOST:PORT")
    options.dir.mkdir(parents=True, exist_ok=True)
    asyncio.run(_run(options.dir.resolve(), host, int(port)))
    return 0


async def _run(directory: Path, host: str, port: int) -> None:
    loop = asyncio.get_running_loop()
    ended = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, ended.set)
    world = World(clock=time.time, later=loop.call_later)
    server = Server(world, directory)
    runner = web.AppRunner(Control(world, server.follow_faults).application(), access_log=None, shutdown_timeout=0.5)
    try:
        await server.start()
        await runner.setup()
        site = web.TCPSite(runner, host, port)
        await site.start()
        address = runner.addresses[0]
        print(msgspec.json.encode(_ready(server, f"http://{address[0]}:{address[1]}")).decode(), flush=True)
        await ended.wait()
    finally:
        await server.stop()
        await runner.cleanup()


def _ready(server: Server, control: str) -> Ready:
    return Ready(
        control=control,
        proxy=server.proxy,
        ca=str(server.ca),
        port_command=[sys.executable, "-m", "tests.emulator.nursery", "--root-key", str(server.root_key)],
        env=_environment(server.proxy, server.ca),
    )


def _environment(proxy: str, ca: Path) -> dict[str, str]:
    """What the client must be started with: Go reads these once, at exec.

    ``PYTHONPATH`` lets the port command find this package from any folder.
    """
    python_path = os.pathsep.join(filter(None, (str(_REPOSITORY), os.environ.get("PYTHONPATH"))))
    return {
        "HTTPS_PROXY": proxy,
        "https_proxy": proxy,
        "HTTP_PROXY": proxy,
        "http_proxy": proxy,
        "NO_PROXY": "",
        "no_proxy": "",
        "SSL_CERT_FILE": str(ca),
        "PYTHONPATH": python_path,
    }


if __name__ == "__main__":
    sys.exit(main())
