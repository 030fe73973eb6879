"""``python -m tests.bench.null_port …``: the nursery, whose ports have no WhatsApp: what is left is Plantão alone.

Everything else is the product's: forked processes, frames, journal. Where neonize's session would be is one that is
connected at once and answers each send at once; the WhatsApp id that it gives says when it was called (see ``stamp``).
A send with the text ``null: N R`` makes N people's messages come in, R a second (0: as fast as the port hands them on),
each of whose texts ends in the stamp of the moment at which the session told of it.
"""

import importlib
import sys
import threading
import time
import zlib
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any, Final

from protocol.codes import ErrorCode
from protocol.port import Done, Failed, PortSpec, Sent
from protocol.port_events import Connected, MessageReceived

ASK: Final = "null:"
_AT_ONCE: Final = 128
"""So many messages come in before the session waits until the port has handed them on, as a socket's buffer would make
WhatsApp wait."""
_TICK_S: Final = 0.01
_PEOPLE: Final = 40


def stamp() -> str:
    """This moment: nanoseconds of the machine's monotonic clock, which all processes share."""
    return f"{time.monotonic_ns():020d}"


def stamped(text: str) -> float:
    """The monotonic seconds that are stamped at the end of ``text``."""
    return int(text.rpartition(" ")[2].rpartition("-")[2]) / 1e9


class NullSession:
    """In the place of ``gateway.whatsapp.session.Session``, with its methods."""

    def __init__(self, spec: PortSpec, deliver: Callable[[Any], None], _broken: Callable[[str], None]) -> None:
        self._deliver = deliver
        self._phone = f"55119{zlib.crc32(f'{spec.clinic}/{spec.channel}'.encode()) % 10**8:08d}"
        self._stopped = threading.Event()
        self._last = time.monotonic()
        self._number = 0
        self.logged_in = False

    @property
    def silence(self) -> float:
        """Seconds since something came in."""
        return time.monotonic() - self._last

    def connect(self) -> None:
        """Is connected at once; returns when it is told to end."""
        self.logged_in = True
        self._deliver(
            Connected(jid=f"{self._phone}:1@s.whatsapp.net", lid=None, phone=self._phone, profile_name="Null")
        )
        self._stopped.wait()

    def hang_up(self) -> None:
        """Nothing comes in any more."""
        self._stopped.set()

    disconnect = hang_up

    def send(self, request: Any, _upload: Any = None) -> Sent | Failed:
        """Sent."""
        wa_id = f"NULL-{stamp()}"
        text = getattr(request, "text", None) or ""
        if text.startswith(ASK):
            count, rate = text.removeprefix(ASK).split()
            work = threading.Thread(target=self._come_in, args=(int(count), float(rate)), daemon=True)
            work.start()
        return Sent(wa_id=wa_id, at=datetime.now(UTC))

    def upload(self, _request: Any) -> Any:
        """There is no media server."""
        return Failed(code=ErrorCode.UNSUPPORTED.value, message="a null port sends no media")

    fetch = upload

    def do(self, _request: Any) -> Done:
        """Whatever it is, it is done."""
        return Done()

    def _come_in(self, count: int, rate: float) -> None:
        """One after another on one thread, as neonize calls back."""
        handed_on = getattr(getattr(self._deliver, "__self__", None), "wait_empty", None)
        begun = time.monotonic()
        for number in range(count):
            if rate:
                self._wait_until(begun + number / rate)
            elif number % _AT_ONCE == 0 and handed_on is not None:
                handed_on(60.0)
            self._number += 1
            person = f"55318{number % _PEOPLE:08d}"
            jid = f"{person}@s.whatsapp.net"
            self._last = time.monotonic()
            self._deliver(
                MessageReceived(
                    wa_id=f"IN-{self._phone}-{stamp()}-{self._number}", chat=jid, sender=jid, sender_phone=person,
                    sender_lid=None, push_name="Null", is_group=False, from_me=False, backlog=False,
                    at=datetime.now(UTC), type="text", text=f"Bom dia, quero remarcar a consulta. {stamp()}",
                )
            )  # fmt: skip

    def _wait_until(self, due: float) -> None:
        while (left := due - time.monotonic()) > 0:
            time.sleep(min(left, _TICK_S))


def main(argv: Sequence[str] | None = None) -> int:
    """Run ``gateway.whatsapp.nursery``, whose ports have null sessions; its exit code."""
    port = importlib.import_module("gateway.whatsapp.port")
    port.Session = NullSession  # type: ignore[attr-defined]
    port.library.load = lambda: None
    nursery = importlib.import_module("gateway.whatsapp.nursery")
    return int(nursery.main(argv))


if __name__ == "__main__":
    sys.exit(main())
