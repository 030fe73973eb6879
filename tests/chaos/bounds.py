"""Within what time a victim must be back, from the settings of the node and the constants of its tree.

detection + orderly end of what is restarted with it + the longest pause before the restart + the time to be up again.
The last is what a busy machine of two cores takes, not what the product waits for.
"""

from dataclasses import dataclass
from typing import Final, assert_never

from actors.channel.session import STOP_PORT_S
from config.sections import Settings
from config.tree import ACTOR_BACKOFF, PROCESS_BACKOFF
from supervisor.shell import HANG_CHECK_S
from tests.chaos.kinds import (
    ACCOUNT,
    ADMIN,
    BROKER,
    BUS,
    CHANNEL,
    CHANNELS,
    CLINIC,
    CLINICS,
    NURSERY,
    PORT,
    PROCESSES,
    RECONCILER,
    REGISTRAR,
    STORE,
    How,
    Kind,
)

UP_S: Final = 8.0
"""For one session to be connected, or one part to be up; measured idle: 0.3 s."""
EACH_S: Final = 0.5
"""For each more session that comes back at the same time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """``silence_s``: how long a process may say nothing; ``channels``: of the node, ``in_clinic`` of each
    clinic."""

    silence_s: float
    hang_s: float
    port_s: float
    channels: int
    in_clinic: int

    @classmethod
    def of(cls, settings: Settings, *, silence_s: float, channels: int, in_clinic: int) -> "Bounds":
        """As ``settings`` say."""
        reconnect = settings.reconnect
        return cls(
            silence_s=silence_s,
            hang_s=settings.supervision.hang + HANG_CHECK_S,
            port_s=max(reconnect.cap, reconnect.breaker_pause_s) + settings.boot.jitter_s,
            channels=channels,
            in_clinic=in_clinic,
        )

    def within(self, kind: Kind) -> float:
        """Seconds from the kill until everything is as it was before."""
        return self._noticed(kind.how) + self._back(kind)

    def _noticed(self, how: How) -> float:
        match how:
            case How.SIGSTOP:
                return self.silence_s
            case How.HANG:
                return self.hang_s
            case How.SIGKILL | How.CRASH | How.KILL:
                return 0.0
            case _:
                assert_never(how)

    def _back(self, kind: Kind) -> float:
        clinic = UP_S + EACH_S * self.in_clinic
        everything = UP_S + EACH_S * self.channels
        backs = {
            PORT: self.port_s + UP_S,
            CHANNEL: ACTOR_BACKOFF.cap_s + UP_S,
            RECONCILER: UP_S,
            ACCOUNT: STOP_PORT_S + clinic,
            CHANNELS: clinic,
            CLINIC: ACTOR_BACKOFF.cap_s + clinic,
            NURSERY: PROCESS_BACKOFF.cap_s + UP_S,
            BROKER: PROCESS_BACKOFF.cap_s + UP_S,
            REGISTRAR: UP_S,
            ADMIN: UP_S,
            STORE: STOP_PORT_S + UP_S + everything,
            BUS: STOP_PORT_S + UP_S + everything,
            CLINICS: everything,
            PROCESSES: STOP_PORT_S + 2 * UP_S + everything,
        }
        return backs[kind.victim]
