"""An archive read to its end, to see that it is one. Everything here blocks."""

from collections.abc import Callable
from pathlib import Path
from typing import Final, TypeVar

from gateway.backup.archive_file import KeyOf, reading
from gateway.backup.container import ContainerReader
from gateway.backup.records import ArchiveError, Manifest, Registry
from gateway.backup.unpacking import read_contents
from gateway.store.faults import fault_of
from gateway.vault.sealing import SealError
from protocol.backup import ArchiveView
from protocol.errors import InvalidInputError, StoreUnavailableError, WrongKeyError

T = TypeVar("T")

Told = Callable[[int], None]
"""Hears now and then how many bytes of the file were read."""

_EVERY: Final = 8 << 20


def verify(archive: Path, key_of: KeyOf, told: Told) -> ArchiveView:
    """What it holds; all of it was read.

    Raises:
        InvalidInputError, WrongKeyError, StoreUnavailableError: as ``protocol.backup.Archives.verify``.
    """

    def look(reader: ContainerReader) -> ArchiveView:
        manifest, due = None, 0
        for record in reader.records():
            if isinstance(record, Manifest):
                manifest = record
            elif isinstance(record, Registry):
                read_contents(record.clinic, reader)
            for _ in reader.pieces():
                if reader.bytes >= due:
                    told(reader.bytes)
                    due = reader.bytes + _EVERY
        assert manifest is not None
        return ArchiveView(
            version=manifest.version,
            made_at=manifest.made_at,
            clinics=manifest.clinics,
            node=manifest.node,
            records=reader.records_read,
            bytes=reader.bytes,
        )

    return read(archive, key_of, look)


def read(archive: Path, key_of: KeyOf, work: Callable[[ContainerReader], T]) -> T:
    """What ``work`` makes of the archive. Raises as ``verify``."""
    try:
        with reading(archive, key_of) as reader:
            return work(reader)
    except (ArchiveError, SealError) as error:
        raise InvalidInputError("archive", f"one that is whole, and was made by Plantão: {error}") from error
    except WrongKeyError as error:
        raise WrongKeyError(f"the archive cannot be opened: {error}") from error
    except OSError as error:
        fault = fault_of(error)
        what = f"{error.filename or archive} {fault.what}: {fault.mend}"
        raise StoreUnavailableError(what) from error
