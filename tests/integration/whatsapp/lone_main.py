"""A main process of its own, to be killed: opens one port with stored credentials, says so, and waits.

Its one argument is a JSON object: ``command`` and ``env`` of the nursery, ``store``, ``send_to`` (a JID to write to, or
empty), ``silence`` (seconds). It prints one JSON line once the port is connected (and its send under way).
"""

import asyncio
import json
import sys
from collections.abc import Sequence

from gateway.whatsapp.opener import Nursery
from gateway.whatsapp.port_process import Timings
from protocol.port import PortSpec, SendText
from protocol.port_events import Connected, PortEvent


async def main() -> None:
    options = json.loads(sys.argv[1])
    timings = Timings(beat=0.3, silence=options["silence"])
    nursery = Nursery(options["command"], options["env"], timings=timings)
    await nursery.start()
    connected = asyncio.Event()

    def deliver(events: Sequence[PortEvent]) -> None:
        if any(isinstance(event, Connected) for event in events):
            connected.set()

    spec = PortSpec(clinic="c", channel="c", incarnation=1, store=options["store"], device_name="Plantão")
    port = await nursery.open(spec, deliver)
    await connected.wait()
    if options["send_to"]:
        last = SendText(key="1:last", secret=b"s" * 32, to=options["send_to"], text="the last one")
        port.send([last], lambda _: None, deadline=60)
        await asyncio.sleep(0)
    print(json.dumps({"nursery": nursery.pid, "port": port.pid}), flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main())
