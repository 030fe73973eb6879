"""The part of a channel that has its session store there before anything reads it: once in each life.

A store that is older than what was sent in it is said to be so again, until it is sealed for the first time: whoever
was to find out what became of that may have been killed.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from actors.channel.context import Context
from actors.channel.retry import Retry
from protocol.interfaces import Failure
from protocol.ledger import NO_NUMBER
from protocol.vault import Restoration, Vault
from supervisor.backoff import Backoff

RESTORE_TIMEOUT_S: Final = 60.0
SILENT: Final = f"the vault gave no answer within {RESTORE_TIMEOUT_S:g} s"

_BACKOFF: Final = Backoff(base_s=0.5, cap_s=10.0)
_STALE: Final = (
    "sessions with contacts begin anew; what was under way may have been sent; "
    "what came in after the snapshot and was not published is lost"
)


@dataclass(frozen=True, slots=True)
class Restored:
    """What the store is. ``paired``: there was a session once; ``device``: as which it was connected, if known."""

    what: Restoration
    paired: bool
    device: str | None

    @property
    def whole(self) -> bool:
        """Whether it has all that there was."""
        return self.what is not Restoration.STALE


@dataclass(frozen=True, slots=True)
class Answered:
    """The vault has said what it is, or not yet."""

    outcome: Restored | Failure


@dataclass(frozen=True, slots=True)
class RestoreDue:
    """Ask it again."""


class Restoring:
    """Belongs to one channel's actor. ``restored`` is called once."""

    def __init__(self, context: Context, store: str, vault: Vault, restored: Callable[[Restored], None]) -> None:
        self._context = context
        self._vault = vault
        self._store = store
        self._restored = restored
        self._retry = Retry(
            context, "session store not restored yet", "restore", RestoreDue(), backoff=_BACKOFF, silent=SILENT
        )

    @property
    def trouble(self) -> str | None:
        """Why it is not known what the store is."""
        return self._retry.trouble

    @property
    def handlers(self) -> dict[type, Callable[[Any], None]]:
        """Who deals with which of the messages that this part sends to its actor."""
        return {Answered: self.on_answered, RestoreDue: lambda _: self.begin()}

    def begin(self) -> None:
        """Have the store there."""
        self._context.errand(_restore(self._context, self._store, self._vault), Answered, timeout=RESTORE_TIMEOUT_S)

    def on_answered(self, message: Answered) -> None:
        """What it is."""
        match message.outcome:
            case Failure(error=error):
                self._retry.failed(error)
            case restored:
                self._retry.succeeded()
                self._say(restored)
                self._restored(restored)

    def _say(self, restored: Restored) -> None:
        log = self._context.log
        if restored.what is Restoration.CLEAN:
            log.info("session store restored as it was")
        elif restored.what is Restoration.STALE:
            log.warning("session store restored from before its end", meaning=_STALE)
        elif restored.what is Restoration.NONE and restored.paired:
            log.warning("no session store, and no snapshot of it: the number must be paired unless it was logged out")


async def _restore(context: Context, store: str, vault: Vault) -> Restored:
    """On the loop."""
    paired = await context.ledger.paired(context.channel)
    what = await vault.restore(context.channel, store)
    known = paired is not None and paired.phone != NO_NUMBER
    return Restored(what, known, paired.jid if paired is not None else None)
