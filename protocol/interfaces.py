"""How actors and gateways reach each other without knowing each other: the loop, services and ports.

``bus`` has the same for NATS, ``ledger`` for the clinic's database, ``operations`` for what is asked from outside.

Everything ``async`` runs on the one asyncio loop (owned by the ``loop`` actor). Actors live on threads of their own and
start such work with ``Loop.spawn``, whose outcome comes back through a callback that only puts a message into the
actor's inbox. Gateways reach the actors through ``Operations``.
"""

from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from msgspec import Struct

from protocol.port import Failed, PortAnswer, PortRequest, PortSpec, SendRequest, Sent
from protocol.port_events import PortEvent, Record

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Failure:
    """The outcome of work that raised ``error``."""

    error: BaseException

    @classmethod
    def of(cls, outcome: object) -> "Failure | None":
        """``outcome`` if it is a failure: for work whose result does not matter."""
        return outcome if isinstance(outcome, cls) else None


class Loop(Protocol):
    """The one asyncio loop, as actors see it."""

    def spawn(
        self, work: Coroutine[Any, Any, T], deliver: Callable[[T | Failure], None], *, timeout: float
    ) -> Callable[[], None]:
        """Run ``work`` on the loop; at its end, or after ``timeout`` seconds (a ``TimeoutError``), call ``deliver`` on
        the loop's thread; ``deliver`` must not block.

        Callable from any thread, returns at once. The callable returned cancels the work, whose outcome is then a
        ``CancelledError``; it too may be called from any thread, at any time.
        """


class Service(Protocol):
    """A part of the node that runs on the loop or as an OS process, and has a life of its own.

    One actor owns it: starts it, waits for its end, and stops it. It may be started again after it has ended.
    """

    async def start(self) -> None:
        """Returns once it can be used; raises PlantaoError, leaving nothing behind, if it cannot be started. What is
        left of an earlier run, whose actor crashed, is stopped first."""

    async def wait(self) -> str:
        """Returns only when it has ended without being asked to; the reason, fit for an operator."""

    async def stop(self, *, timeout: float) -> None:
        """End it, by force after ``timeout`` seconds; harmless if it is not running. Leaves nothing behind."""


# -- ports --


class SendOutcome(Struct, frozen=True, kw_only=True):
    """What came of the send ``key``.

    ``record``: its number in the port's journal, to be said ``done`` once the ledger has it; None if it is in none.
    ``cut``: the port ended while it had the send, which says nothing of the way to WhatsApp; the answer is then
    ``outcome_unknown``, or ``not_connected`` if it never reached the port.
    """

    key: str
    answer: Sent | Failed
    record: int | None = None
    cut: bool = False


class Port(Protocol):
    """One running port. On the loop's thread, but for ``kill``."""

    @property
    def pid(self) -> int:
        """Of the OS process."""

    @property
    def incarnation(self) -> int:
        """From its ``PortSpec``."""

    def send(
        self, requests: Sequence[SendRequest], deliver: Callable[[Sequence[SendOutcome]], None], *, deadline: float
    ) -> None:
        """Have these sent, in this order and after those given before; returns at once.

        ``deliver`` gets each outcome once, some together, on the loop's thread and never within this call. Each send
        has ``deadline`` seconds from when the one before it was answered; one that misses it kills the port.
        """

    async def call(self, request: PortRequest, *, deadline: float) -> PortAnswer:
        """Have the port do ``request`` within ``deadline`` seconds.

        A missed deadline kills the port, except for ``FetchMedia``, whose answer is then ``Failed``.

        Raises:
            CallTimeoutError: no answer in time; the port is being killed.
            PortGoneError: it ended before it answered.
        """

    def grant(self, count: int) -> None:
        """Let ``count`` more ``Record`` events through (a new port has ``INBOUND_CREDIT``)."""

    async def stop(self, *, timeout: float) -> None:
        """End it in an orderly way: let the call in flight finish, disconnect, and kill what is left after ``timeout``
        seconds. Returns when the process is gone and reaped; ``PortExited(expected=True)`` has been delivered."""

    def kill(self, reason: str) -> None:
        """SIGKILL it; ``PortExited`` follows. Callable from any thread."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trace:
    """A row of the session store that tells of a message: its place, chat, author and id, and its secret.

    whatsmeow writes one for each message with a secret, ours or another's, before it does anything else with it.
    """

    row: int
    chat: str
    sender: str
    wa_id: str
    secret: bytes


class Remains(Protocol):
    """What the ports of one channel leave behind: their journal, and traces in the session store. On the loop's thread.

    The journal's numbers grow from port to port. All but ``done`` may raise StoreUnavailableError.
    """

    async def journal(self) -> Sequence[Record]:
        """What earlier ports wrote and nobody has said ``done``, in order; to be read before a port is opened. A port
        that outlived its main process is ended first; one of this process that still ends is waited for a while."""

    def done(self, numbers: Sequence[int]) -> None:
        """These records are kept elsewhere now."""

    async def last_row(self) -> int:
        """The newest trace in the session store; 0 if there is none. Only while no port runs does it mean anything."""

    async def traces(self, after: int, until: int) -> Sequence[Trace]:
        """The traces of rows above ``after`` up to ``until``, in order."""

    async def prune(self, traced: int) -> None:
        """Delete old traces, all of them long accounted for, as those up to row ``traced`` are; not while a port uses
        the store."""

    async def unlink(self) -> None:
        """Have no session in the store, as after a logout: the next port shows a code. Not while a port uses it."""

    async def ids_of(self, secrets: Sequence[bytes], device: str | None) -> Mapping[bytes, str]:
        """The WhatsApp ids of those messages that got as far as the session store: one whose secret is not here was
        never sent.

        Raises:
            StoreGoneError: the store does not hold the session of ``device`` (``Connected.jid``), under which they were
                to be sent; None is no session at all.
        """


class PortOpener(Protocol):
    """Opens ports (the nursery's parent side)."""

    async def open(self, spec: PortSpec, deliver: Callable[[Sequence[PortEvent]], None]) -> Port:
        """Fork a port and wait until it is ready to connect, which it then does by itself.

        ``deliver`` is called on the loop's thread, in order, from before this returns until ``PortExited``, before
        which comes whatever the port had written into its journal and not said.

        Raises:
            PortStartError: the nursery is away, or the port was not ready in time.
        """

    def remains(self, store: str) -> Remains:
        """What the ports of this session store leave behind; always the same object for one store."""


INBOUND_CREDIT = 64
"""``Record`` events that a port may have under way at most."""
