"""The desk: what operators and services may ask, carried to the actors. Implements ``protocol.operations.Operations``.

Runs on the loop. Looks at the board and the ledgers, writes the registry, asks channels with a timeout; never blocks.
"""

from collections.abc import Callable

from actors.board import Board
from actors.channel_desk import ChannelDesk, ConfigCheck
from actors.clinic_desk import ClinicDesk
from actors.command_desk import CommandDesk
from actors.consent_desk import ConsentDesk
from actors.switchboard import Switchboard
from protocol.bus import Bus, Registry
from protocol.ledger import Store
from protocol.people import FormsOf
from supervisor.names import Names


class Desk(ClinicDesk, ChannelDesk, CommandDesk, ConsentDesk):
    """One for the node. ``check_config`` judges a channel's own settings; ``most_channels``: of a clinic, by now."""

    def __init__(
        self,
        board: Board,
        names: Names,
        registry: Registry,
        bus: Bus,
        store: Store,
        check_config: ConfigCheck,
        *,
        most_channels: Callable[[], int],
        forms_of: FormsOf,
    ) -> None:
        switchboard = Switchboard(board, names)
        ClinicDesk.__init__(self, switchboard, registry)
        ChannelDesk.__init__(self, switchboard, registry, check_config, most_channels=most_channels)
        CommandDesk.__init__(self, switchboard, bus, store)
        ConsentDesk.__init__(self, switchboard, store, forms_of)
