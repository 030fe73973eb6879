"""The audit of a data directory, looked at without a node: with the master key that the settings name."""

from pathlib import Path
from typing import Any

from msgspec import to_builtins

from config import master_keys
from config.settings import environment, load
from gateway.audit.keeper import audit_key
from gateway.audit.verifying import read_since, verify
from gateway.vault.node_key import ensure_node_key, node_key_file
from protocol.errors import InvalidInputError


def verified(config: Path | None, data: Path | None, since: str | None) -> Any:
    """What there is to say, as builtins. ``config``: the settings' file, ``data``: the directory, if not the settings'
    own; ``since``: ``SEQ:HASH`` of an entry that must be there. Blocks.

    Raises:
        InvalidInputError: there is no data directory of a node, or no master key.
        WrongKeyError: another master key wrapped the node's key.
        StoreUnavailableError: something cannot be read.
    """
    known = read_since(since, "--since")
    settings = load(config, environment(data))
    path = node_key_file(settings.data)
    if not path.exists():
        raise InvalidInputError("--data", f"the data directory of a node; there is no {path}")
    key = audit_key(ensure_node_key(settings.data, master_keys.present(settings)))
    return to_builtins(verify(settings.data, key, known))
