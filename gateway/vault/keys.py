"""A clinic's data keys, in ``<data>/clinics/<c>/key``, wrapped by the master key.

::

    magic, format version   9 bytes
    count                   1 byte      of the keys; the first is the one that seals
    for each:
      id of the master key  8 bytes
      id of the data key    8 bytes
      nonce                12 bytes
      wrapped key          48 bytes     AES-256-GCM, bound to the clinic, the format and both ids

Everything here blocks.
"""

import secrets
import struct
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from gateway import disk
from gateway.store.files import clinics_directory
from gateway.vault.master import ID_SIZE, KEY_SIZE, NONCE_SIZE, MasterKey, key_id
from protocol.errors import StoreUnavailableError, WrongKeyError
from protocol.ids import check_name

SNAPSHOTS: Final = "snapshots"
"""A purpose: what seals the snapshots of session stores."""

NODE: Final = "@node"
"""In place of the clinic, of the node's own key; no clinic can be called so."""

_MAGIC: Final = b"PLANTAOK\x01"
_ENTRY: Final = struct.Struct(f"!{ID_SIZE}s{ID_SIZE}s{NONCE_SIZE}s{KEY_SIZE + 16}s")


@dataclass(frozen=True, slots=True)
class DataKey:
    """One of a clinic's keys. It seals nothing itself."""

    key: bytes = field(repr=False)

    @property
    def id(self) -> bytes:
        return key_id(self.key)

    def derive(self, purpose: str) -> bytes:
        """The key (32 bytes) for one purpose: what is known of it says nothing of the others."""
        info = b"plantao/v1/" + purpose.encode()
        return HKDF(algorithm=SHA256(), length=KEY_SIZE, salt=None, info=info).derive(self.key)


def new_key() -> DataKey:
    """One that nobody has had before."""
    return DataKey(secrets.token_bytes(KEY_SIZE))


def key_file(data: Path, clinic: str) -> Path:
    """Where the clinic's keys are.

    Raises:
        InvalidIdError: ``clinic`` is no identifier.
    """
    return clinics_directory(data) / check_name("clinic", clinic) / "key"


def wrap(keys: Sequence[DataKey], clinic: str, master: MasterKey) -> bytes:
    """A key file with ``keys``, the one that seals first."""
    entries = []
    for key in keys:
        ids, nonce = master.id + key.id, secrets.token_bytes(NONCE_SIZE)
        entries.append(ids + nonce + AESGCM(master.key).encrypt(nonce, key.key, _bound(ids, clinic)))
    return b"".join((_MAGIC, bytes([len(keys)]), *entries))


def unwrap(content: bytes, clinic: str, master: MasterKey, path: Path) -> list[DataKey]:
    """The keys in a key file, the one that seals first; ``path`` is for people. Each may be wrapped by ``master`` or by
    the one before it.

    Raises:
        WrongKeyError: another master key wrapped them.
        StoreUnavailableError: it is damaged, or another clinic's.
    """
    damaged = f"{_whose(clinic)}: {path} is damaged, or another's: put back a good copy of it"
    keys = []
    for master_id, data_id, nonce, wrapped in _entries(content, damaged):
        by = master.named(master_id)
        if by is None:
            raise WrongKeyError(
                f"{_whose(clinic)}: {path} was wrapped by another master key (id {master_id.hex()}) than the one from "
                f"{master.source} (id {master.id.hex()}): set the one it was wrapped by"
            )
        try:
            key = AESGCM(by.key).decrypt(nonce, wrapped, _bound(master_id + data_id, clinic))
        except InvalidTag as error:
            raise StoreUnavailableError(damaged) from error
        keys.append(DataKey(key))
    return keys


def rewrap(path: Path, clinic: str, master: MasterKey) -> bool:
    """Have the key file ``path`` wrapped by ``master`` alone, at once or not at all; False if it was already, or there
    is none.

    Raises:
        WrongKeyError, StoreUnavailableError: as ``unwrap``; or it cannot be read or written. Nothing was changed.
    """
    try:
        disk.remove_drafts(path.parent, path.name)
        content = path.read_bytes()
        keys = unwrap(content, clinic, master, path)
        if all(entry[0] == master.id for entry in _entries(content, "")):
            return False
        write_keys(path, keys, clinic, master)
    except FileNotFoundError:
        return False
    except OSError as error:
        raise _unusable(clinic, path, error) from error
    return True


def write_keys(path: Path, keys: Sequence[DataKey], clinic: str, master: MasterKey) -> None:
    """Have ``keys`` in the key file ``path``, whole, in place of what it held. Raises OSError, StoreUnavailableError:
    nothing was changed."""

    def check(written: bytes) -> None:
        if unwrap(written, clinic, master, path) != list(keys):
            raise StoreUnavailableError(f"{_whose(clinic)}: {path}: what was written is not what can be read")

    disk.write(path, wrap(keys, clinic, master), check)


def count_of(path: Path) -> int:
    """How many keys the file ``path`` says to hold; 0 if there is none, or it cannot be read."""
    try:
        content = path.read_bytes()
    except OSError:
        return 0
    return content[len(_MAGIC)] if content.startswith(_MAGIC) and len(content) > len(_MAGIC) else 0


def _entries(content: bytes, damaged: str) -> list[tuple[bytes, bytes, bytes, bytes]]:
    at, count = len(_MAGIC) + 1, content[len(_MAGIC)] if len(content) > len(_MAGIC) else 0
    if not content.startswith(_MAGIC) or count == 0 or len(content) != at + count * _ENTRY.size:
        raise StoreUnavailableError(damaged)
    return list(_ENTRY.iter_unpack(content[at:]))


def read_keys(data: Path, clinic: str, master: MasterKey) -> list[DataKey]:
    """The clinic's keys, the one that seals first; none if it has none.

    Raises:
        WrongKeyError: another master key wrapped them.
        StoreUnavailableError: the file is damaged or cannot be read.
    """
    path = key_file(data, clinic)
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return []
    except OSError as error:
        raise _unusable(clinic, path, error) from error
    return unwrap(content, clinic, master, path)


def make_key(data: Path, clinic: str, master: MasterKey) -> list[DataKey]:
    """Give a clinic that has none its first key; of two who do so, both have the same.

    Raises:
        WrongKeyError, StoreUnavailableError: as ``read_keys``.
    """
    path = key_file(data, clinic)
    try:
        disk.make_directory(path.parent)
        disk.remove_drafts(path.parent)
        disk.create(path, wrap([new_key()], clinic, master))
    except OSError as error:
        raise _unusable(clinic, path, error) from error
    return read_keys(data, clinic, master)


def _whose(owner: str) -> str:
    return "the node" if owner == NODE else f"clinic {owner}"


def _bound(ids: bytes, clinic: str) -> bytes:
    return _MAGIC + ids + clinic.encode()


def _unusable(clinic: str, path: Path, error: OSError) -> StoreUnavailableError:
    what = f"{path} cannot be read or made: {error.strerror or error}"
    return StoreUnavailableError(f"{_whose(clinic)}: {what}; make the disk usable for the node's user")
