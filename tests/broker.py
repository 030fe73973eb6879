"""An embedded broker of a test's own, and its credentials as somebody else's server would hand them out."""

from pathlib import Path
from typing import Any

from gateway.nats.broker import EmbeddedBroker
from gateway.nats.credentials import SealedAccounts, save
from gateway.vault.keys import DataKey

NODE_KEY = DataKey(bytes(range(32)))


def embedded(directory: Path, key: DataKey = NODE_KEY, **options: Any) -> EmbeddedBroker:
    """In ``directory``; what would be in memory is beside it."""
    return EmbeddedBroker(directory, key=key, runtime=directory.with_name(f"{directory.name}-run"), **options)


def hand_out(directory: Path) -> Path:
    """A file with the accounts that the broker in ``directory`` has by now, in clear."""
    path = directory.with_name(f"{directory.name}-accounts.json")
    save(path, SealedAccounts(directory, NODE_KEY).load())
    return path
