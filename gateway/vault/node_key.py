"""The node's own key, in ``<data>/node.key``, wrapped by the master key as the clinics' keys are.

For what belongs to no clinic: the audit, the credentials of NATS, JetStream's own encryption.
"""

from pathlib import Path

from gateway import disk
from gateway.vault.keys import NODE, DataKey, new_key, unwrap, wrap
from gateway.vault.master import MasterKey
from protocol.errors import StoreUnavailableError


def node_key_file(data: Path) -> Path:
    """Where it is."""
    return data / "node.key"


def ensure_node_key(data: Path, master: MasterKey) -> DataKey:
    """The node's key; made if there is none. Blocks.

    Raises:
        WrongKeyError: another master key wrapped it.
        StoreUnavailableError: it is damaged, or cannot be read or made.
    """
    path = node_key_file(data)
    try:
        if not path.exists():
            disk.make_directory(data)
            disk.create(path, wrap([new_key()], NODE, master))
        content = path.read_bytes()
    except OSError as error:
        raise StoreUnavailableError(f"{path} cannot be read or made: {error.strerror or error}") from error
    return unwrap(content, NODE, master, path)[0]
