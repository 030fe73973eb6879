"""Ports in the tally of the tree: they are nobody's children there, since only their channels know when to open one."""

from collections.abc import Callable, Sequence
from typing import Final

from protocol.errors import PortGoneError
from protocol.interfaces import Port, PortOpener, Remains
from protocol.port import PortSpec
from protocol.port_events import PortEvent, PortExited
from supervisor.reasons import Crash, ExitReason, Shutdown
from supervisor.tally import Role, Tally

PORT: Final = "port"


class CountedOpener:
    """A ``PortOpener`` in front of another that counts. A port that was not asked to end has crashed, whatever it was
    that ended it; a restart is one that is not the first of its channel's actor."""

    def __init__(self, opener: PortOpener, tally: Tally) -> None:
        self._opener = opener
        self._tally = tally

    async def open(self, spec: PortSpec, deliver: Callable[[Sequence[PortEvent]], None]) -> Port:
        """See ``PortOpener``."""
        role = Role(PORT, spec.clinic)
        ended = False

        def end(reason: ExitReason) -> None:
            nonlocal ended
            if not ended:
                ended = True
                self._tally.exited(role, reason)

        def delivered(events: Sequence[PortEvent]) -> None:
            last = events[-1]
            if isinstance(last, PortExited):
                end(Shutdown() if last.expected else Crash(PortGoneError(last.reason)))
            deliver(events)

        self._tally.started(role, again=spec.incarnation > 1)
        try:
            return await self._opener.open(spec, delivered)
        except BaseException as error:
            end(Crash(error))
            raise

    def remains(self, store: str) -> Remains:
        """See ``PortOpener``."""
        return self._opener.remains(store)
