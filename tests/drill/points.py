"""Places at which the child can be killed: right before and after whatever changes the disk.

``pathlib`` and ``tempfile`` call these through ``os``, and so does ``gateway.disk``. SQLite, which does not, is hit by
those who are killed after a random time.
"""

import os
import signal
import threading
from collections.abc import Callable
from typing import Any, Final

CALLS: Final = ("replace", "rename", "link", "unlink", "rmdir", "mkdir", "fsync")


class Points:
    """Counts the places that were passed; kills this process at number ``at`` (from 1), if there is one."""

    def __init__(self, at: int | None = None) -> None:
        self._at = at
        self._lock = threading.Lock()
        self.passed = 0

    def install(self) -> None:
        """From now on, in this process."""
        for name in CALLS:
            setattr(os, name, self._around(getattr(os, name)))

    def _around(self, call: Callable[..., Any]) -> Callable[..., Any]:
        def called(*given: Any, **named: Any) -> Any:
            self._pass()
            try:
                return call(*given, **named)
            finally:
                self._pass()

        return called

    def _pass(self) -> None:
        with self._lock:
            self.passed += 1
            if self.passed == self._at:
                os.kill(os.getpid(), signal.SIGKILL)
