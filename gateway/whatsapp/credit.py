"""Back-pressure: how many records a port may have under way to main."""

import threading


class Credit:
    """A counter that main refills, and of which the port's outflow takes as much as it has records for."""

    def __init__(self, count: int) -> None:
        self._count = count
        self._unlimited = False
        self._changed = threading.Condition()

    def take(self) -> None:
        """Take one; wait for it if need be."""
        with self._changed:
            self._changed.wait_for(lambda: self._unlimited or self._count > 0)
            self._count -= 1

    def take_at_once(self) -> bool:
        """Take one if there is one."""
        with self._changed:
            if not self._unlimited and self._count <= 0:
                return False
            self._count -= 1
            return True

    def grant(self, count: int) -> None:
        """Put ``count`` more in."""
        with self._changed:
            self._count += count
            self._changed.notify_all()

    def lift(self) -> None:
        """From now on there is always enough: the port ends, and main gets the rest one way or the other."""
        with self._changed:
            self._unlimited = True
            self._changed.notify_all()
