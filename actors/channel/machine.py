"""The channel's state machine: the literal table of what follows what.

Events are what happened, in the channel's own words; ``lifecycle`` says which port events and requests they are.
An event that the table does not name for a state can't happen in it, and raises.
"""

from dataclasses import dataclass
from typing import Final

from protocol.channel import ChannelState as S


@dataclass(frozen=True, slots=True)
class CodeShown:
    """WhatsApp gave a QR code: there is no session, and one can be made."""


@dataclass(frozen=True, slots=True)
class PhoneAccepted:
    """A phone scanned the code or took the typed one; the connection should follow."""


@dataclass(frozen=True, slots=True)
class CameUp:
    """Logged in."""


@dataclass(frozen=True, slots=True)
class SocketLost:
    """The connection is gone, or dead; the port may still bring it back by itself."""


@dataclass(frozen=True, slots=True)
class PortLost:
    """The port is gone, without our having asked for it, or could not be opened."""


@dataclass(frozen=True, slots=True)
class PairingEnded:
    """Pairing ended without a session: nobody scanned the codes, or the phone's proof was wrong."""


@dataclass(frozen=True, slots=True)
class SessionEnded:
    """WhatsApp, or we, ended the session: a new pairing is needed."""


@dataclass(frozen=True, slots=True)
class Condemned:
    """Only a person can help: banned, client outdated, session used elsewhere, store unusable, attempts used up."""


@dataclass(frozen=True, slots=True)
class Recalled:
    """An earlier life was condemned, and still is: found out before any port is opened."""


@dataclass(frozen=True, slots=True)
class StoreLost:
    """What comes in, or is sent, cannot be stored; whoever has a port hangs up, so that WhatsApp keeps it for us."""


@dataclass(frozen=True, slots=True)
class OpenRequested:
    """``connect`` or ``pair``."""


@dataclass(frozen=True, slots=True)
class CloseRequested:
    """``disconnect``."""


@dataclass(frozen=True, slots=True)
class SuspendRequested:
    """An operator or the inactivity policy puts the channel to rest."""


MachineEvent = (
    CodeShown
    | PhoneAccepted
    | CameUp
    | SocketLost
    | PortLost
    | PairingEnded
    | SessionEnded
    | Condemned
    | Recalled
    | StoreLost
    | OpenRequested
    | CloseRequested
    | SuspendRequested
)

_AT_REST: Final[dict[type, S]] = {
    OpenRequested: S.INITIALIZING,
    CloseRequested: S.DISCONNECTED,
    SuspendRequested: S.SUSPENDED,
    SessionEnded: S.LOGGED_OUT,
}
"""What can happen to a channel that has no port; that a session ended may be heard after its port was given up."""

_WITH_PORT: Final[dict[type, S]] = {
    **_AT_REST,
    Condemned: S.ERROR,
    StoreLost: S.ERROR,
}
"""What can happen to any channel that has one, or is about to have one."""

TRANSITIONS: Final[dict[S, dict[type, S]]] = {
    S.INITIALIZING: {
        **_WITH_PORT,
        Recalled: S.ERROR,
        CodeShown: S.QR_REQUIRED,
        PhoneAccepted: S.PAIRING,
        CameUp: S.CONNECTED,
        SocketLost: S.INITIALIZING,
        PortLost: S.RECONNECTING,
        PairingEnded: S.DISCONNECTED,
    },
    S.QR_REQUIRED: {
        **_WITH_PORT,
        CodeShown: S.QR_REQUIRED,
        PhoneAccepted: S.PAIRING,
        CameUp: S.CONNECTED,
        SocketLost: S.QR_REQUIRED,
        PortLost: S.RECONNECTING,
        PairingEnded: S.DISCONNECTED,
    },
    S.PAIRING: {
        **_WITH_PORT,
        CameUp: S.CONNECTED,
        SocketLost: S.PAIRING,
        PortLost: S.RECONNECTING,
        PairingEnded: S.DISCONNECTED,
    },
    S.CONNECTED: {
        **_WITH_PORT,
        CameUp: S.CONNECTED,
        SocketLost: S.RECONNECTING,
        PortLost: S.RECONNECTING,
    },
    S.RECONNECTING: {
        **_WITH_PORT,
        CodeShown: S.QR_REQUIRED,
        PhoneAccepted: S.PAIRING,
        CameUp: S.CONNECTED,
        SocketLost: S.RECONNECTING,
        PortLost: S.RECONNECTING,
        PairingEnded: S.DISCONNECTED,
    },
    S.DISCONNECTED: _AT_REST,
    S.LOGGED_OUT: {
        OpenRequested: S.INITIALIZING,
        CloseRequested: S.LOGGED_OUT,
        SuspendRequested: S.LOGGED_OUT,
        SessionEnded: S.LOGGED_OUT,
    },
    S.SUSPENDED: {**_AT_REST, Recalled: S.ERROR},
    S.ERROR: {**_AT_REST, Recalled: S.ERROR},
}

WANTS_PORT: Final = frozenset({S.INITIALIZING, S.QR_REQUIRED, S.PAIRING, S.CONNECTED, S.RECONNECTING})
"""The states in which a channel has a port or is about to open one."""


class IllegalTransitionError(Exception):
    """``event`` can't happen in ``state``: a fault of ours, which ends the channel's actor."""

    def __init__(self, state: S, event: MachineEvent) -> None:
        super().__init__(f"{type(event).__name__} can't happen in state {state}")
        self.state = state
        self.event = event


def next_state(state: S, event: MachineEvent) -> S:
    """What the table says.

    Raises:
        IllegalTransitionError: it says nothing.
    """
    try:
        return TRANSITIONS[state][type(event)]
    except KeyError:
        raise IllegalTransitionError(state, event) from None
