"""Back-pressure: how many inbound events a port may have under way."""

import threading


class Credit:
    """A counter that main refills. Whoever takes from an empty one waits: that is neonize's callback, and behind it
    whatsmeow, which stops receipting, so that WhatsApp keeps what we don't take."""

    def __init__(self, count: int) -> None:
        self._count = count
        self._changed = threading.Condition()

    def take(self) -> None:
        """Take one; wait for it if need be."""
        with self._changed:
            self._changed.wait_for(lambda: self._count > 0)
            self._count -= 1

    def grant(self, count: int) -> None:
        """Put ``count`` more in."""
        with self._changed:
            self._count += count
            self._changed.notify_all()
