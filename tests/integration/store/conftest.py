import threading
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from gateway.store import SqliteStore
from gateway.store.ledger import SqliteLedger
from tests.integration.store.samples import keys_of


@pytest.fixture(autouse=True)
def no_thread_is_left() -> Iterator[None]:
    before = set(threading.enumerate())
    yield
    for thread in set(threading.enumerate()) - before:
        thread.join(timeout=5)
        assert not thread.is_alive(), f"{thread.name} was left running"


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[SqliteStore]:
    store = SqliteStore(tmp_path, keys_of, busy_timeout=0.05)
    await store.start()
    yield store
    await store.stop(timeout=5)


@pytest.fixture
async def ledger(store: SqliteStore) -> SqliteLedger:
    return await store.open_clinic("acme")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "clinics" / "acme" / "clinic.db"
