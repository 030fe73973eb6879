"""What is killed in the drill: an operation on real files, and the laws that hold whatever becomes of it.

To add one, write a module in ``tests/drill/scenarios/`` with ``SCENARIO``, an instance of a class that is a
``Scenario``; nothing is registered. The instance holds no state: each of its methods is called in another process.

For each kill, in a directory of its own:

1. ``prepare`` in the drill's process.
2. ``act`` in a child, which is killed: after a random time within what it takes, or right before or after a call of
   ``os.replace``, ``os.fsync`` and the like (see ``points``).
3. ``check`` with ``done=False`` in the drill's process: a fresh start of whoever would open these files.
4. ``act`` again in another child, to its end: what was begun goes on, or begins anew.
5. ``check`` with ``done=True``.

If the child was through before it could be killed, 3 and 4 are left out.
"""

from pathlib import Path
from typing import Protocol


class Scenario(Protocol):
    """An operation. Blocking; one that is asynchronous runs itself (``asyncio.run``)."""

    @property
    def name(self) -> str:
        """A word or two: ``rotate master``."""

    def prepare(self, directory: Path) -> None:
        """Make what there is before; ``directory`` is empty."""

    def act(self, directory: Path) -> None:
        """Do it. Also on what was left when it was killed."""

    def check(self, directory: Path, *, done: bool) -> None:
        """Raise AssertionError if a law is broken. ``done``: it came to its end; else it was killed somewhere in
        between. May change what is there, as a start of the system does, but not do what ``act`` is to do."""
