"""A data directory and a runtime directory; vaults over them. And accounts at the emulator, as for ports."""

from collections.abc import Callable
from pathlib import Path

import pytest

from gateway.vault import MasterKey, PassedOver, Vaults
from tests.integration.whatsapp.conftest import account, emulator, number, running_emulator, running_nursery

__all__ = ["account", "emulator", "number", "running_emulator", "running_nursery"]

MASTER = MasterKey(b"m" * 32, "a test")

MakeVaults = Callable[..., Vaults]


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """What is on the disk."""
    return tmp_path / "data"


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """Where the working copy belongs."""
    return tmp_path / "runtime" / "clinics" / "north" / "desk.db"


@pytest.fixture
def passed_over() -> list[PassedOver]:
    """What vaults said to have passed over."""
    return []


@pytest.fixture
def vaults(data: Path, passed_over: list[PassedOver]) -> MakeVaults:
    """Makes the vaults of one node after another."""
    return lambda key=MASTER, keep=5: Vaults(data, key, keep=keep, passed_over=passed_over.append)
