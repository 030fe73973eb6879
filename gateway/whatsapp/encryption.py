"""For whom whatsmeow could not encrypt what it sent.

``send_message`` returns an id also if the recipient got nothing to decrypt: whatsmeow skips a device whose keys it
cannot get, writes ``Failed to encrypt <id> for <jid>`` into its log, and sends the rest. The log callback runs inside
the send, on the thread that logs, before the send returns. So it is read right there instead of through neonize's
queue, and when the send has returned, everything it logged has been seen.
"""

import re
import threading
from collections.abc import Collection
from dataclasses import dataclass
from typing import Final, Self

_LINE: Final = re.compile(
    r"Failed to encrypt (?P<id>\S+) for (?P<user>\d+)(?:\.\d+)?(?::(?P<device>\d+))?@(?P<server>[\w.]+)"
)


@dataclass(frozen=True, slots=True)
class Skipped:
    """The message ``wa_id`` was not encrypted for ``device`` (0 is the phone) of ``user`` at ``server``."""

    wa_id: str
    user: str
    device: int
    server: str

    @classmethod
    def parse(cls, line: str) -> Self | None:
        """From a line of whatsmeow's log; None if it says something else."""
        found = _LINE.match(line)
        return found and cls(found["id"], found["user"], int(found["device"] or 0), found["server"])


class EncryptionLog:
    """Reads whatsmeow's log, on any thread. Its lines go nowhere else: they name people."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._skipped: list[Skipped] = []

    def read(self, line: str) -> None:
        """Note what ``line`` says about encryption."""
        if skipped := Skipped.parse(line):
            with self._lock:
                self._skipped.append(skipped)

    def clear(self) -> None:
        """Before a send. Sends follow each other, so nothing of another one can be there."""
        with self._lock:
            self._skipped.clear()

    def main_device_skipped(self, wa_id: str, own: Collection[str], *, to_self: bool) -> bool:
        """Whether the phone of the recipient of ``wa_id`` got nothing. ``own``: our own users (phone and LID), whose
        phone gets a copy of all we send, and is the recipient only if we write to ourselves."""
        with self._lock:
            return any(
                skipped.wa_id == wa_id and skipped.device == 0 and (to_self or skipped.user not in own)
                for skipped in self._skipped
            )
