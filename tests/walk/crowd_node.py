"""``python -m tests.walk.crowd_node DIR``: the process in which the crowd is.

Clinics and channels are the product's actors, supervised as in a node, and so are desk, board, meters and the admin
endpoint; of what they reach the world by (ports, NATS, databases) there are fakes. It prints where it is, as JSON, and
then does what the lines that it reads say:

    storm N     N transitions a second from now on, over all channels but the last; 0: none
    flip        the last channel loses its connection or gets it back; prints when, in seconds since 1970
    count       prints how many transitions there were
"""

import itertools
import json
import os
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from actors.board import Board
from actors.desk import Desk
from config import overrides
from config.log import configure
from config.sections import Log
from gateway.access.api_keys import open_keys
from gateway.http.server import AdminServer
from protocol.channel import ChannelSnapshot, QrCode
from protocol.commands import utc_now
from protocol.interfaces import Failure
from protocol.port_events import Disconnected
from tests.bench import actor_channels
from tests.fakes.bell import Bell
from tests.fakes.scripted_port import UP
from tests.unit.actors.channel.home import POLICY
from tests.unit.gateway.http.fake_node import fake_backends

CLINICS: Final = 100
CHANNELS_EACH: Final = 10
LAST: Final = (f"clinic-{CLINICS - 1}", f"desk-{CHANNELS_EACH - 1}")
DOWN_S: Final = 1.0
"""How long a channel in the storm is without its connection."""
MOVING: Final = replace(POLICY, life=replace(POLICY.life, backoff=replace(POLICY.life.backoff, stable_s=0.0)))
"""A connection that is back is stable at once: else one that goes again and again would be given another port."""
_TICK_S: Final = 0.02
_PATIENCE_S: Final = 30.0


class CountingBoard(Board):
    """``transitions``: how often a channel was in another state than before."""

    def __init__(self) -> None:
        super().__init__()
        self.transitions = 0
        self._counting = threading.Lock()

    def put_channel(self, snapshot: ChannelSnapshot, code: QrCode | None = None) -> None:
        before = self.channel(snapshot.clinic, snapshot.channel)
        super().put_channel(snapshot, code)
        if before is not None and before.state is not snapshot.state:
            with self._counting:
                self.transitions += 1


class Crowd:
    """All channels, connected, and the page that shows them."""

    def __init__(self, directory: Path) -> None:
        bell = Bell()
        self.board = CountingBoard()
        self._opener = actor_channels.Opener(bell)
        wanted = actor_channels.registry(bell, CLINICS * CHANNELS_EACH, CHANNELS_EACH)
        shared = actor_channels.parts(bell, self.board, self._opener, MOVING)
        actor_channels.run(wanted, shared)
        desk = Desk(
            self.board,
            shared.names,
            wanted,
            shared.bus,
            shared.store,
            overrides.check,
            most_channels=lambda: CHANNELS_EACH,
            forms_of=_forms_of,
        )
        keys = open_keys(directory, directory / "admin.key", utc_now)
        self.server = AdminServer(
            "127.0.0.1", 0, fake_backends(operations=desk, live=self.board, meters=shared.meters, keys=keys)
        )
        started = threading.Event()

        def deliver(outcome: Failure | None) -> None:
            assert outcome is None, outcome
            started.set()

        shared.loop.spawn(self.server.start(), deliver, timeout=_PATIENCE_S)
        assert started.wait(_PATIENCE_S)
        self._rate = 0.0
        self._up = True
        threading.Thread(target=self._storm, daemon=True).start()

    def storm(self, rate: float) -> None:
        """So many transitions a second."""
        self._rate = rate

    def flip(self) -> float:
        """The last channel is in the other state; when that was said."""
        self._up = not self._up
        at = time.time()
        self._opener.ports[LAST].say(UP if self._up else Disconnected())
        return at

    def _storm(self) -> None:
        turns = itertools.cycle(key for key in self._opener.ports if key != LAST)
        down: list[tuple[float, tuple[str, str]]] = []
        owed = 0.0
        for _ in self._ticks():
            owed += self._rate / 2 * _TICK_S
            while owed >= 1:
                owed -= 1
                key = next(turns)
                self._opener.ports[key].say(Disconnected())
                down.append((time.monotonic() + DOWN_S, key))
            while down and down[0][0] <= time.monotonic():
                self._opener.ports[down.pop(0)[1]].say(UP)

    def _ticks(self) -> Iterator[None]:
        begun = time.monotonic()
        for number in itertools.count(1):
            time.sleep(max(0.0, begun + number * _TICK_S - time.monotonic()))
            yield


async def _forms_of(_clinic: str, forms: frozenset[str]) -> frozenset[str]:
    return forms


def main() -> None:
    """Ends with its standard input."""
    with Path(os.devnull).open("w") as nowhere:
        configure(Log(format="json"), nowhere)
        sys.excepthook = sys.__excepthook__  # what fails here is to be seen
        sys.setswitchinterval(0.0005)  # as in a node
        directory = Path(sys.argv[1])
        crowd = Crowd(directory)
        _print({"url": crowd.server.url, "key": (directory / "admin.key").read_text().strip()})
        for line in sys.stdin:
            match line.split():
                case ["storm", rate]:
                    crowd.storm(float(rate))
                case ["flip"]:
                    _print(crowd.flip())
                case ["count"]:
                    _print(crowd.board.transitions)
        os._exit(0)


def _print(what: Any) -> None:
    print(json.dumps(what), flush=True)


if __name__ == "__main__":
    main()
