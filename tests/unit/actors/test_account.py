"""A clinic's account by itself: its database is swept for as long as it is open."""

from collections.abc import Iterator
from datetime import datetime

import pytest

from actors import account as account_module
from actors.account import Account
from actors.loop import AsyncioLoop
from protocol.errors import StoreUnavailableError
from supervisor.actor import ShutDown, tell
from supervisor.names import Names
from supervisor.reasons import Shutdown
from tests.fakes.bell import Bell
from tests.fakes.memory_ledger import MemoryLedger
from tests.fakes.memory_node import MemoryBus, MemoryStore
from tests.fakes.parent import Parent


@pytest.fixture
def loop() -> Iterator[AsyncioLoop]:
    loop = AsyncioLoop()
    loop.start(lambda: None)
    yield loop
    loop.stop()


def test_a_database_is_swept_until_nothing_is_left_and_again_later_also_after_a_failure(
    loop: AsyncioLoop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(account_module, "SWEEP_PAUSE_S", 0.0)
    monkeypatch.setattr(account_module, "SWEEP_S", 0.0)
    bell = Bell()
    store = MemoryStore(bell)
    outcomes: list[int | Exception] = [3000, 7, 0, StoreUnavailableError("locked"), 0]
    told: list[int | Exception] = []

    async def sweep(_: datetime) -> int:
        outcome = outcomes.pop(0) if outcomes else 0
        told.append(outcome)
        bell.ring()
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    ledger = MemoryLedger(bell)
    ledger.sweep = sweep  # type: ignore[assignment,method-assign]  # a test's
    store.ledgers["acme"] = ledger
    parent = Parent()
    account = Account.start(parent.link, "acme", MemoryBus(bell), store, loop, Names())
    bell.wait(lambda: len(told) > 5, "sweeps")
    assert [str(outcome) for outcome in told[:5]] == ["3000", "7", "0", "locked", "0"]
    tell(account, ShutDown())
    assert parent.wait_exit() == Shutdown()
