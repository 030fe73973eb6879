"""What every clinic is made with, the same for all of them."""

from dataclasses import dataclass, field
from pathlib import Path

from actors.board import Board
from actors.channel.surroundings import Policies
from actors.drain import Drain
from actors.meters import NodeMeters
from actors.turns import Turns
from protocol.bus import Bus
from protocol.interfaces import Loop, PortOpener
from protocol.ledger import Store
from protocol.media import MediaSource
from protocol.telemetry import Telemetry
from protocol.vault import Vaults
from supervisor.names import Names


@dataclass(frozen=True, slots=True, kw_only=True)
class ClinicParts:
    """What every clinic is made with. ``runtime``: the memory-backed directory of session stores; ``vaults``: where
    they are kept while the machine is off; ``web``: where media is that commands name by its address; ``drain``:
    whether the node is ending; ``telemetry``: who is told of commands' ways; ``media_turns``: at media that came in, of
    which each is whole in memory."""

    bus: Bus
    store: Store
    loop: Loop
    opener: PortOpener
    board: Board
    meters: NodeMeters
    names: Names
    policies: Policies
    runtime: Path
    vaults: Vaults
    web: MediaSource
    drain: Drain = field(default_factory=Drain)
    telemetry: Telemetry | None = None
    media_turns: Turns = field(default_factory=Turns)
