"""The part of a channel that has its session store kept while the machine is off.

While ports use it, it is sealed now and then, as ``sealing`` says. When the channel is at rest and its port is known to
be gone, it is sealed as clean, and before the next port the vault is asked again (``unseal``). When the session is
over, all is forgotten. Whatever fails of this is tried again, and stops nothing but the next port.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from enum import Enum
from typing import Any, Final

from actors.channel.context import Context
from actors.channel.life import Life, PortPhase
from actors.channel.machine import WANTS_PORT
from actors.channel.restoring import RESTORE_TIMEOUT_S, SILENT, Restored, Restoring
from actors.channel.retry import Retry, reason
from actors.channel.sealing import SealingPolicy, Seals
from protocol.channel import ChannelState
from protocol.errors import StoreGoneError, StoreUnavailableError
from protocol.interfaces import Failure
from protocol.port_events import Connected, PairingSucceeded, PortEvent, QrShown, StoreUnusable
from protocol.vault import Restoration, Vault
from supervisor.backoff import Backoff

SEAL_TIMEOUT_S: Final = 30.0
FORGET_TIMEOUT_S: Final = 30.0
MOST_SILENT: Final = 3
"""Seals that fail in a row before it is shown on the channel; each is in the log."""

GONE: Final = "the session store went while the channel was at rest, and was restored from before its end"

_BACKOFF: Final = Backoff(base_s=0.5, cap_s=30.0)


@dataclass(frozen=True, slots=True)
class Unsealed:
    """The vault has answered before a port is opened."""

    what: Restoration


@dataclass(frozen=True, slots=True)
class Sealed:
    """What came of a seal."""

    clean: bool
    failure: Failure | None


@dataclass(frozen=True, slots=True)
class SealDue:
    """A seal may be due."""


@dataclass(frozen=True, slots=True)
class Forgotten:
    """The vault has forgotten a session that is over, or not yet."""

    failure: Failure | None


@dataclass(frozen=True, slots=True)
class ForgetDue:
    """Try again."""


@dataclass(frozen=True, slots=True)
class Kept:
    """What the store was at the beginning of this life, when it was sealed last in this life, and why it no longer is,
    if that failed again and again."""

    restored: Restoration | None = None
    sealed_at: datetime | None = None
    trouble: str | None = None


class Mark(Enum):
    """What the newest snapshot is to the store."""

    UNKNOWN = "unknown"
    """The vault has not been asked in this life."""
    BROKEN = "broken"
    """Not clean, and that is written down: ports may use the store."""
    SEALING = "sealing"
    """About to be clean."""
    DOUBTFUL = "doubtful"
    """What was sealed at rest may be clean, or not; or the store cannot be used."""
    CLEAN = "clean"


class Keeping:
    """Belongs to one channel's actor. ``restored`` is called once."""

    def __init__(
        self,
        context: Context,
        store: str,
        vault: Vault,
        policy: SealingPolicy,
        restored: Callable[[Restored], None],
    ) -> None:
        self._restoring = Restoring(context, store, vault, self._on_restored)
        self._restored = restored
        self._context = context
        self._vault = vault
        self._store = store
        self._policy = policy
        self._mark = Mark.UNKNOWN
        self._seals = Seals(context.now().mono)
        self._life: Life | None = None
        self._recovered = False
        self._looked_at: tuple[Life, bool, Seals, Mark] | None = None
        self._timer_at: float | None = None
        self._session = False
        self._device: str | None = None
        self._over = False
        self._unforgotten = False
        self._out = False
        self._failures = 0
        self._forget_retry = Retry(context, "session not forgotten yet", "forget", ForgetDue(), backoff=_BACKOFF)
        self.kept = Kept()
        """As operators see it."""

    @property
    def idle(self) -> bool:
        """Whether nothing is under way with the vault."""
        return not self._out

    @property
    def handlers(self) -> dict[type, Callable[[Any], None]]:
        """Who deals with which of the messages that this part sends to its actor."""
        return {
            **self._restoring.handlers,
            Unsealed: self.on_unsealed,
            Sealed: self.on_sealed,
            SealDue: lambda _: self.on_seal_due(),
            Forgotten: self.on_forgotten,
            ForgetDue: lambda _: self.on_forget_due(),
        }

    @property
    def trouble(self) -> str | None:
        """Why it is not known what the store is, so that no port is opened."""
        return self._restoring.trouble

    def restore(self) -> None:
        """Have the store there, before anything reads it."""
        self._restoring.begin()

    def _on_restored(self, restored: Restored) -> None:
        self.kept, self._mark = Kept(restored.what), Mark.BROKEN
        self._session = restored.paired and restored.what is not Restoration.NONE
        self._device = restored.device
        self._restored(restored)

    # -- what happens to the store --

    def used(self) -> None:
        """Something went in or out."""
        self._seals = self._seals.use()

    def said(self, event: PortEvent) -> None:
        """The port said this of the session."""
        match event:
            case PairingSucceeded():
                self._session = True
                self._seals = self._seals.pair(self._context.now().mono)
            case Connected(jid=jid):
                self._session = True
                self._seals = self._seals.use() if jid == self._device else self._seals.pair(self._context.now().mono)
                self._device = jid
            case QrShown():
                self._session = False
            case StoreUnusable():  # the vault may have one that is not, and puts it there
                self._session, self._mark = False, Mark.DOUBTFUL
            case _:
                pass

    def look(self, life: Life, *, recovered: bool) -> None:
        """After every message: the channel's life is so now. Not ``recovered``: the store is yet to be asked about what
        earlier lives left, for which it counts whether it was sealed since it was restored."""
        looked_at = (life, recovered, self._seals, self._mark)
        if looked_at != self._looked_at:
            self._looked_at, self._life, self._recovered = looked_at, life, recovered
            self._act()

    def _act(self) -> None:
        life = self._life
        if life is None:
            return
        if (life.state is ChannelState.LOGGED_OUT) != self._over:
            self._over = not self._over
            if self._over:
                self._session, self._unforgotten = False, True
        if self._out:
            return
        if self._unforgotten:  # before a seal, which it would delete
            if not self._forget_retry.failing:
                self._forget()
        elif self._session and life.ready and self._recovered:
            self._seal_if_due(life)

    # -- sealing --

    def _seal_if_due(self, life: Life) -> None:
        resting = life.phase is PortPhase.ABSENT and life.state not in WANTS_PORT
        if resting and self._mark is Mark.BROKEN:
            self._seal(clean=True)
            return
        due_at = self._seals.due_at(self._policy)
        if due_at is None:
            return
        wait = due_at - self._context.now().mono
        if wait > 0:
            if self._timer_at != due_at:
                self._timer_at = due_at
                self._context.timer("seal", wait, SealDue())
        elif resting or self._mark is Mark.BROKEN:
            self._seal(clean=resting)

    def _seal(self, *, clean: bool) -> None:
        self._out = True
        self._seals = self._seals.begin(self._context.now().mono)
        if clean:
            self._mark = Mark.SEALING
        work = self._vault.snapshot(self._context.channel, self._store, clean=clean)
        self._context.errand(work, lambda outcome: Sealed(clean, Failure.of(outcome)), timeout=SEAL_TIMEOUT_S)

    def on_seal_due(self) -> None:
        """Time has passed."""
        self._timer_at = None
        self._act()

    def on_sealed(self, message: Sealed) -> None:
        """The vault has answered."""
        self._out = False
        if message.clean and self._mark is Mark.SEALING:  # else a port is being opened since
            self._mark = Mark.CLEAN if message.failure is None else Mark.DOUBTFUL
        if message.failure is None:
            self._failures = 0
            self.kept = replace(self.kept, sealed_at=self._context.now().wall, trouble=None)
        else:
            self._seals = self._seals.fail()
            self._count(message.failure.error, clean=message.clean)
        self._act()

    def _count(self, error: BaseException, *, clean: bool) -> None:
        self._failures += 1
        _, why = reason(error, f"the vault gave no answer within {SEAL_TIMEOUT_S:g} s")
        if self._failures >= MOST_SILENT:
            self.kept = replace(self.kept, trouble=why)
        self._context.log.warning("session store not sealed", error=why, clean=clean, failures=self._failures)

    # -- unsealing --

    @property
    def stale(self) -> bool:
        """Whether the store is known to have been restored from before its end, and was not sealed since."""
        return self.kept.restored is Restoration.STALE and self.kept.sealed_at is None

    @property
    def sealed(self) -> bool:
        """Whether ``unseal`` has to come before a port is opened."""
        return self._mark is not Mark.BROKEN

    async def unseal(self, *, stale: bool) -> None:
        """No snapshot is clean from now on. On the loop; ``stale``: as it was when this was decided.

        Raises:
            StoreUnavailableError: that is not sure, and no port may be opened.
            StoreGoneError: nor now; the store went meanwhile, and an older one is in its place.
        """
        try:
            async with asyncio.timeout(RESTORE_TIMEOUT_S):
                what = await self._vault.restore(self._context.channel, self._store)
        except TimeoutError as error:
            raise StoreUnavailableError(SILENT) from error
        self._context.tell(Unsealed(what))
        if what is Restoration.STALE and not stale:
            raise StoreGoneError(GONE)

    def on_unsealed(self, message: Unsealed) -> None:
        """A port may use the store.

        Raises:
            StoreGoneError: all that this life knows of it is wrong; the next one begins with what is there now.
        """
        if message.what is Restoration.STALE and not self.stale:
            raise StoreGoneError(GONE)
        self._mark = Mark.BROKEN

    # -- forgetting --

    def _forget(self) -> None:
        self._out = True
        work = self._vault.forget(self._context.channel)
        self._context.errand(work, lambda outcome: Forgotten(Failure.of(outcome)), timeout=FORGET_TIMEOUT_S)

    def on_forget_due(self) -> None:
        """The pause after a failure is over."""
        if not self._out:
            self._forget()

    def on_forgotten(self, message: Forgotten) -> None:
        """The vault has answered."""
        self._out = False
        if message.failure is not None:
            self._forget_retry.failed(message.failure.error)
            return
        self._forget_retry.succeeded()
        self._unforgotten = False
        self._act()
