"""What an embedded broker keeps on disk, and in memory only.

``<data>/nats`` holds ``accounts`` (credentials, sealed), ``server.pid``, ``server.log``, ``server.err`` (what the
server says before it has a log), ``port`` (the port that the system chose), ``lock`` and JetStream's own ``jetstream``,
encrypted. ``server.conf``, which the server reads and which holds the passwords and that key, is in clear and therefore
in the runtime directory, which is memory: it is written at each start. (A key given by the environment could be read
there for as long as the server lives, and the passwords would still be in the file.)

What an earlier version stored in clear the server encrypts as it starts, before anybody is served: every block, in
place, what was deleted in them included (``tests/integration/nats/test_at_rest.py``). It has no draft of them: killed
within that moment (0.1 s for 20 MB), it loses the messages of the block that it was writing (tried, 2.15.1), so copy
the directory before such an upgrade. What the file system keeps of overwritten blocks is out of our hands.

Everything here blocks, and raises OSError.
"""

import json
from contextlib import suppress
from pathlib import Path
from typing import Final

from gateway import disk
from gateway.nats.accounts import Accounts
from gateway.nats.credentials import SealedAccounts
from gateway.nats.server_process import last_words
from gateway.vault.keys import DataKey

ANY_PORT: Final = -1
_PURPOSE: Final = "jetstream"


class BrokerFiles:
    """Those of the broker of the directory ``data``, whose ``server.conf`` is in ``runtime``; ``key`` is the node's."""

    def __init__(self, data: Path, runtime: Path, key: DataKey) -> None:
        self.data: Final = data.absolute()
        self.config: Final = runtime.absolute() / "server.conf"
        self.configs: Final = (self.config, self.data / "server.conf")
        """With those of earlier versions, of which a server may still run."""
        self.pid: Final = self.data / "server.pid"
        self.store_key: Final = key.derive(_PURPOSE).hex()
        self._sealed: Final = SealedAccounts(self.data, key)

    def prepare(self) -> None:
        """Make the directories; what an earlier version has left there in clear goes."""
        for directory in (self.data, self.config.parent):
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        (self.data / "ports").mkdir(exist_ok=True)
        (self.data / "server.conf").unlink(missing_ok=True)

    def load(self) -> Accounts:
        """The accounts. Raises StoreUnavailableError, InvalidInputError: they cannot be read as such."""
        return self._sealed.load()

    def write(self, accounts: Accounts, config: bytes, port: int) -> None:
        """The accounts, which can't be made again, before all else."""
        self._sealed.save(accounts)
        disk.write(self.config, config)
        if port != ANY_PORT:
            disk.write(self.data / "port", b"%d" % port)

    def remembered_port(self) -> int:
        """The one of before, or ANY_PORT."""
        try:
            return int((self.data / "port").read_text())
        except (OSError, ValueError):
            return ANY_PORT

    def announced_port(self, pid: int) -> int | None:
        """Where the server ``pid`` listens, once it has said so: it writes that file when it is ready."""
        path = self.data / "ports" / f"nats-server_{pid}.ports"
        with suppress(OSError, ValueError, LookupError):
            return int(json.loads(path.read_bytes())["nats"][0].rpartition(":")[2])
        return None

    def clear_ports(self) -> None:
        """A killed server leaves its file behind, and its pid may come again."""
        for path in (self.data / "ports").glob("*.ports"):
            path.unlink(missing_ok=True)

    def clear(self) -> None:
        """What is of no use once the server has ended; its configuration holds passwords."""
        self.pid.unlink(missing_ok=True)
        self.config.unlink(missing_ok=True)
        self.clear_ports()

    def put_log_away(self) -> None:
        """So that the log holds what the next server says."""
        with suppress(FileNotFoundError):
            (self.data / "server.log").replace(self.data / "server.log.previous")

    def last_words(self) -> str:
        """The last line that the server has logged."""
        return last_words(self.data) or "it said nothing"
