"""The master key: 32 bytes that wrap the clinics' keys, from outside the data directory; in development from inside it.

Everything here blocks. A key is never in an error, a log or a ``repr``.
"""

import base64
import binascii
import hmac
import os
import re
import secrets
import signal
import subprocess
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from gateway import disk
from protocol.errors import InvalidInputError, StoreUnavailableError, WrongKeyError

KEY_SIZE: Final = 32
ID_SIZE: Final = 8
NONCE_SIZE: Final = 12

_EXPECTED: Final = (
    "a key of 32 bytes, in base64 or as 64 hex digits (make one with: openssl rand -base64 32); "
    "the source {source} gave {got}"
)
_HEX: Final = re.compile(rb"[0-9A-Fa-f]+")
_CHECK_MAGIC: Final = b"PLANTAOC\x01"
_CHECK_TEXT: Final = b"this data directory was sealed with this master key"


def key_id(key: bytes) -> bytes:
    """What a key is called in the files that it sealed; says nothing of the key."""
    return hmac.digest(key, b"plantao key id", "sha256")[:ID_SIZE]


@dataclass(frozen=True, slots=True)
class MasterKey:
    """``source``: where it came from, for people. ``before``: the one whose place it takes, until nothing is wrapped by
    that any more."""

    key: bytes = field(repr=False)
    source: str
    before: "MasterKey | None" = field(default=None, repr=False)

    @property
    def id(self) -> bytes:
        return key_id(self.key)

    @property
    def opening(self) -> "tuple[MasterKey, ...]":
        """Those that open what is wrapped; the one that wraps first."""
        return (self,) if self.before is None else (self, self.before)

    def named(self, id: bytes) -> "MasterKey | None":
        """The one of ``opening`` with this id."""
        return next((each for each in self.opening if each.id == id), None)


def from_text(text: bytes, source: str) -> MasterKey:
    """The key that ``text`` is in base64 (also the URL's kind) or hex, or is as it stands (32 bytes).

    Raises:
        InvalidInputError: it is none of these.
    """
    words = text.strip()
    if _HEX.fullmatch(words):
        key = _decoded(words, 16)
    elif len(text) == KEY_SIZE:
        key = text
    else:
        key = _decoded(words, 64)
    if len(key) != KEY_SIZE:
        got = f"one of {len(key)} bytes" if key else "no key"
        raise InvalidInputError("master key", _EXPECTED.format(source=source, got=got))
    return MasterKey(key, source)


def _decoded(words: bytes, base: int) -> bytes:
    """Nothing if they cannot be decoded."""
    try:
        if base == 16:
            return binascii.unhexlify(words)
        standard = words.translate(bytes.maketrans(b"-_", b"+/")).rstrip(b"=")
        return base64.b64decode(standard + b"=" * (-len(standard) % 4), validate=True)
    except ValueError:
        return b""


def from_file(path: Path) -> MasterKey:
    """The key in ``path``.

    Raises:
        InvalidInputError: there is no such file, or no key in it.
    """
    try:
        text = path.read_bytes()
    except OSError as error:
        expected = f"a file that can be read; {path}: {error.strerror or error}"
        raise InvalidInputError("master key", expected) from error
    return from_text(text, str(path))


def from_command(command: Sequence[str], *, timeout_s: float = 30.0) -> MasterKey:
    """The key that ``command`` (no shell) prints. What it writes to stderr is thrown away, it may hold secrets.

    Raises:
        InvalidInputError: it cannot be started, fails, does not end in time, or prints no key.
    """
    name = command[0] if command else ""
    try:
        # In a session of its own, so that what it has started ends with it.
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
    except (OSError, ValueError, IndexError) as error:
        raise InvalidInputError("master key", f"a command that can be started; {name!r}: {error}") from error
    with process:
        try:
            printed, _ = process.communicate(timeout=timeout_s)
        except subprocess.TimeoutExpired as error:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            expected = f"a command that ends in {timeout_s:g} s; {name!r} did not"
            raise InvalidInputError("master key", expected) from error
    if process.returncode != 0:
        expected = f"a command that ends with 0; {name!r} ended with {process.returncode} (run it by hand to see why)"
        raise InvalidInputError("master key", expected)
    return from_text(printed, f"command {name!r}")


def key_file(data: Path) -> Path:
    """Where the key of a development node is."""
    return data / "master.key"


def check_file(data: Path) -> Path:
    """By which the right key is told from another."""
    return data / "master.check"


def from_data(data: Path) -> tuple[MasterKey, bool]:
    """The key in ``<data>/master.key``; and whether it was made just now. It protects from nobody who can read the data
    directory, so whoever uses it should hear of that.

    Raises:
        WrongKeyError: there is none any more, but something that was sealed with it.
        InvalidInputError: the file holds no key.
        StoreUnavailableError: it cannot be made.
    """
    path = key_file(data)
    if path.exists():
        return from_file(path), False
    if check_file(data).exists():
        raise WrongKeyError(
            f"{data} was sealed with a master key, and none is set: set the one it was sealed with, "
            f"or put {path} back where it was"
        )
    try:
        disk.make_directory(data)
        made = disk.create(path, base64.b64encode(secrets.token_bytes(KEY_SIZE)) + b"\n")
    except OSError as error:
        raise StoreUnavailableError(f"{path} cannot be made: {error.strerror or error}") from error
    return from_file(path), made


def ensure_right(data: Path, master: MasterKey) -> None:
    """See that ``data`` was sealed with ``master`` or the one before it; from now on it is, if nothing was sealed there
    before.

    Raises:
        WrongKeyError: it was sealed with another.
        StoreUnavailableError: that cannot be found out.
    """
    path = check_file(data)
    try:
        if not path.exists():
            disk.make_directory(data)
            disk.create(path, sealed_check(master))
    except OSError as error:
        raise _unusable(path, error) from error
    sealed_with(path, master)


def sealed_check(master: MasterKey) -> bytes:
    """A check file, by which ``master`` is told from another."""
    header = _CHECK_MAGIC + master.id
    nonce = secrets.token_bytes(NONCE_SIZE)
    return header + nonce + AESGCM(master.key).encrypt(nonce, _CHECK_TEXT, header)


def check_id(path: Path) -> bytes | None:
    """The id of the master key that the check file ``path`` was sealed with; None if there is none.

    Raises:
        StoreUnavailableError: it is damaged or cannot be read.
    """
    try:
        found = path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise _unusable(path, error) from error
    return _header(found, path)[len(_CHECK_MAGIC) :]


def sealed_with(path: Path, master: MasterKey) -> MasterKey:
    """``master`` or the one before it: the one that the check file ``path`` was sealed with.

    Raises:
        WrongKeyError: with neither.
        StoreUnavailableError: it is damaged or cannot be read.
    """
    try:
        found = path.read_bytes()
    except OSError as error:
        raise _unusable(path, error) from error
    header = _header(found, path)
    key = master.named(header[len(_CHECK_MAGIC) :])
    if key is None:
        raise WrongKeyError(
            f"{path.parent} was sealed with another master key (id {header[len(_CHECK_MAGIC) :].hex()}) than the one "
            f"from {master.source} (id {master.id.hex()}): set the one it was sealed with"
        )
    nonce, sealed = found[len(header) :][:NONCE_SIZE], found[len(header) + NONCE_SIZE :]
    try:
        AESGCM(key.key).decrypt(nonce, sealed, header)
    except InvalidTag as error:
        raise _damaged(path) from error
    return key


def _header(found: bytes, path: Path) -> bytes:
    size = len(_CHECK_MAGIC) + ID_SIZE
    if not found.startswith(_CHECK_MAGIC) or len(found) < size + NONCE_SIZE:
        raise _damaged(path)
    return found[:size]


def _damaged(path: Path) -> StoreUnavailableError:
    return StoreUnavailableError(
        f"{path} is damaged: put back a good copy, or, if the master key is surely the right one, remove it"
    )


def _unusable(path: Path, error: OSError) -> StoreUnavailableError:
    return StoreUnavailableError(f"{path} cannot be read or made: {error.strerror or error}")
