"""Where the credentials of the accounts are kept.

The node's own lie in ``<data>/nats/accounts``, sealed with a key that is derived from the node's; those of a server
that somebody else runs in a file of his own, in clear (``gateway.nats.external``). Everything here blocks, and raises
OSError.
"""

from pathlib import Path
from typing import Final

import msgspec

from gateway import disk
from gateway.nats.accounts import Accounts
from gateway.vault.keys import DataKey
from gateway.vault.sealing import Place, SealError, seal, unseal
from protocol.errors import InvalidInputError, StoreUnavailableError
from protocol.ids import check_name

_PURPOSE: Final = "nats accounts"
_PLACE: Final = Place(clinic="@node", channel="nats-accounts", version=1)


def load(path: Path) -> Accounts | None:
    """The accounts in the file ``path``, which is in clear; None if there is no such file.

    Raises:
        InvalidInputError: it is not an accounts file; names it and what is wrong in it.
    """
    try:
        return decode(path.read_bytes(), path)
    except FileNotFoundError:
        return None


def save(path: Path, accounts: Accounts) -> None:
    """Replace ``path`` by ``accounts`` in clear, readable by its owner alone."""
    disk.write(path, msgspec.json.format(msgspec.json.encode(accounts), indent=1) + b"\n")


def decode(content: bytes, path: Path) -> Accounts:
    """The accounts in ``content``, which is that of ``path``. Raises InvalidInputError."""
    try:
        decoded = msgspec.json.decode(content, type=Accounts)
        for clinic in decoded.clinics:
            check_name("clinic", clinic)
        for there in decoded.issued.values():
            for name in there:
                check_name("name", name)
    except msgspec.DecodeError as error:
        raise InvalidInputError(str(path), f"a file of NATS accounts ({error})") from error
    return decoded


class SealedAccounts:
    """The node's own accounts, in ``directory``. An earlier version had them there in ``accounts.json``, in clear: what
    that holds is sealed, then it is removed."""

    def __init__(self, directory: Path, key: DataKey) -> None:
        self._path = directory / "accounts"
        self._clear = directory / "accounts.json"
        self._key, self._key_id = key.derive(_PURPOSE), key.id

    def load(self) -> Accounts:
        """What there is; new ones if there are none.

        Raises:
            StoreUnavailableError: they cannot be opened: damaged, or sealed with another node's key.
            InvalidInputError: an earlier version's file is none.
        """
        try:
            sealed = self._path.read_bytes()
        except FileNotFoundError:
            accounts = load(self._clear) or Accounts.fresh()
            self.save(accounts)
        else:
            accounts = self._open(sealed)
        if self._clear.exists():
            self._clear.unlink()
            disk.sync_directory(self._clear.parent)
        return accounts

    def save(self, accounts: Accounts) -> None:
        """Replace what there is by ``accounts``; on the disk when this returns."""
        disk.write(self._path, seal(msgspec.json.encode(accounts), _PLACE, self._key, self._key_id))

    def _open(self, sealed: bytes) -> Accounts:
        try:
            return decode(unseal(sealed, _PLACE, self._key), self._path)
        except SealError as error:
            # Going on with another key would also have nats-server throw away all that it stores.
            raise StoreUnavailableError(
                f"{self._path} cannot be opened with the node's key ({error}): put back the node.key, or the copy of "
                "this file, that belong together"
            ) from error
