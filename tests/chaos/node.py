"""``python -m tests.chaos.node SOCKET BEAT SILENCE run …``: the ``plantao`` command, with a hand inside its process.

The product's own command runs in the main thread; beside it ``inside`` listens on SOCKET. The one thing that is not as
in production: how often the node's processes say that they are there (BEAT), and after how long without a word they are
given up (SILENCE), both in seconds, for which there are no settings.
"""

import sys
from functools import partial
from typing import Any

from config import gateways, node, parts
from config.cli import main as plantao
from config.parts import Parts
from config.reload import Reread
from config.sections import Settings
from gateway.nats.broker import EmbeddedBroker
from gateway.whatsapp.opener import Nursery
from gateway.whatsapp.port_process import Timings
from tests.chaos import inside


def main() -> None:
    """Ends the process with the command's exit code."""
    _, socket, beat, silence, *arguments = sys.argv
    wiring: Any = gateways
    assert (wiring.Nursery, wiring.EmbeddedBroker) == (Nursery, EmbeddedBroker)  # else they are made elsewhere
    timings = Timings(beat=float(beat), silence=float(silence))
    wiring.Nursery = partial(Nursery, timings=timings)

    class WatchedBroker(EmbeddedBroker):
        def __init__(self, *arguments: Any, **options: Any) -> None:
            super().__init__(*arguments, heartbeat=timings.heartbeat, **options)

    wiring.EmbeddedBroker = WatchedBroker
    hand = inside.Hand()
    running: Any = node

    def kept(settings: Settings, reread: Reread) -> Parts:
        hand.parts = parts.make(settings, reread)
        return hand.parts

    running.make = kept
    inside.listen(socket, hand)
    sys.argv[1:] = arguments
    plantao()


if __name__ == "__main__":
    main()
