"""A clinic on its way back: what lies beside the clinics until it is one of them. Everything here blocks.

::

    <data>/clinics/.restoring-<clinic>/
        archive     the archive that it comes from, as sealed as ever
        opens       JSON; its key, wrapped by this node's master key
        new/        the clinic's directory, as it will be; its keys wrapped by this node's master key
        order       JSON; there once it is to be finished, whoever is killed
        old/        the clinic's directory as it was

No clinic can be called so. What has no ``order`` was never more than an attempt, and may go at any time.
"""

import shutil
from collections.abc import Iterator
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Final, Literal

import msgspec
from msgspec import Struct

from gateway import disk
from gateway.store.files import clinics_directory
from gateway.vault.stream_key import Header
from protocol.errors import InvalidIdError, StoreUnavailableError
from protocol.ids import check_name

_PREFIX: Final = ".restoring-"


class Order(Struct, frozen=True, kw_only=True):
    """What is to be finished; see ``protocol.backup``."""

    step: Literal["committed", "settled"]
    held_at: datetime | None


class Staging:
    """Of one clinic. Methods raise OSError."""

    def __init__(self, data: Path, clinic: str, runtime: Path) -> None:
        """Raises InvalidIdError."""
        self.clinic = check_name("clinic", clinic)
        self.target = clinics_directory(data) / clinic
        self.directory = clinics_directory(data) / f"{_PREFIX}{clinic}"
        self.archive = self.directory / "archive"
        self.new = self.directory / "new"
        self._old = self.directory / "old"
        self._opens = self.directory / "opens"
        self._order = self.directory / "order"
        self._runtime = runtime / "clinics" / clinic

    def begin(self, archive: Path, opens: Header) -> None:
        """Make room; whatever an earlier attempt left is gone. ``opens`` takes the place of the archive's own header:
        who goes on after a kill has this node's master key, and no passphrase."""
        self.remove()
        disk.make_directory(self.new)
        disk.write(self._opens, msgspec.json.encode(opens))
        self.archive.hardlink_to(archive)

    def opens(self) -> Header:
        """Raises StoreUnavailableError if that cannot be read."""
        try:
            return msgspec.json.decode(self._opens.read_bytes(), type=Header)
        except (msgspec.DecodeError, ValueError, RecursionError) as error:
            raise StoreUnavailableError(f"clinic {self.clinic}: {self._opens} is damaged") from error

    def give(self, order: Order) -> None:
        """From now on this is to be finished. All that was staged is on the disk before."""
        for path in [*self.new.rglob("*"), self.new, self.directory]:
            if path.is_dir():
                disk.sync_directory(path)
        disk.write(self._order, msgspec.json.encode(order))

    def order(self) -> Order | None:
        """What is to be finished; None: nothing.

        Raises:
            StoreUnavailableError: that cannot be read.
        """
        try:
            return msgspec.json.decode(self._order.read_bytes(), type=Order)
        except FileNotFoundError:
            return None
        except (msgspec.DecodeError, ValueError, RecursionError) as error:
            raise StoreUnavailableError(f"clinic {self.clinic}: {self._order} is damaged: remove it") from error

    def place(self) -> None:
        """Have what was staged be the clinic's directory. Nobody may use that, or the session stores."""
        if self.new.exists():
            if self.target.exists() and self._old.exists():
                shutil.rmtree(self.target)  # made by somebody since the one that was there went
            elif self.target.exists():
                self.target.replace(self._old)
            self.new.replace(self.target)
            disk.sync_directory(self.directory)
            disk.sync_directory(self.target.parent)
        if self._runtime.exists():
            shutil.rmtree(self._runtime)

    def remove(self) -> None:
        """Nothing is to be finished any more, and what was there before is gone: its keys first."""
        if not self.directory.exists():
            return
        for path in (self._order, self._old / "key", self.new / "key"):
            path.unlink(missing_ok=True)
            if path.parent.exists():
                disk.sync_directory(path.parent)
        shutil.rmtree(self.directory)
        disk.sync_directory(self.directory.parent)


def staging_found(data: Path, runtime: Path) -> Iterator[Staging]:
    """All that there are; what is called so and names no clinic is none."""
    for path in sorted(clinics_directory(data).glob(f"{_PREFIX}*")):
        with suppress(InvalidIdError):
            yield Staging(data, path.name.removeprefix(_PREFIX), runtime)
