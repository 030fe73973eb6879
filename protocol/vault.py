"""Where session stores are kept while the machine is off: sealed snapshots of what lies in memory.

A snapshot that was taken while a port could still use the store is older than what WhatsApp has seen of that session:
to go on from it would use ratchet keys a second time. So its Signal sessions and sender keys are dropped when it is
restored; the peers make new ones by themselves. One that was taken when the last port was gone is *clean*, until
a port opens the store again.
"""

from enum import Enum
from typing import Protocol


class Restoration(Enum):
    """What the working copy of a session store is, now that a port may open it."""

    KEPT = "kept"
    """What it was: it had not gone."""
    CLEAN = "clean"
    """A clean snapshot: what was last."""
    STALE = "stale"
    """A snapshot from before the end, without Signal sessions. What it does not hold may have been sent all the same.
    Said again by each ``restore`` until the first ``snapshot`` after it: who was to hear it may have been killed."""
    NONE = "none"
    """There is none: no snapshot, or none that can be opened. The number has to be paired."""


class Vault(Protocol):
    """Of one clinic. On the loop's thread; the work is done in threads."""

    async def restore(self, channel: str, store: str) -> Restoration:
        """Have the working copy at ``store`` ready before a port opens it: if it is not there, from the newest snapshot
        that can be opened. No snapshot is clean from now on, and that is on the disk when this returns.

        Raises:
            StoreUnavailableError: the disk, or the clinic's key, cannot be used; no port may open the store.
        """

    async def snapshot(self, channel: str, store: str, *, clean: bool) -> None:
        """Seal what the working copy holds now, and let go of the oldest snapshots. ``clean``: no port uses it, and
        none will before the next ``restore``. Harmless if there is no working copy.

        Raises:
            StoreUnavailableError: nothing was changed; what was sealed before is still there.
        """

    async def forget(self, channel: str) -> None:
        """Delete all snapshots: the session is over, or the channel.

        Raises:
            StoreUnavailableError
        """


class Vaults(Protocol):
    """Of all clinics, under the node's master key. What is asked of one channel is done in turn, each to its end also
    if nobody waits for it any more: so a snapshot that took too long is not clean after the ``restore`` that followed.
    """

    def clinic(self, clinic: str, /) -> Vault:
        """Its vault, until the clinic is forgotten; opens nothing."""
