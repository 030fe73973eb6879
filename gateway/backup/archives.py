"""The archives of this node. On the loop's thread; the work is done in threads."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Callable, Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import TypeVar

import msgspec
import structlog

from gateway.backup import clinic_copy, database_copy
from gateway.backup.archive_file import HOLDS, ArchiveWriter, KeyOf, file_pieces, header_of, reading, writing
from gateway.backup.container import ContainerReader
from gateway.backup.records import (
    AFTER_DATABASE,
    BEFORE_DATABASE,
    FORMAT,
    ArchiveError,
    Manifest,
    NodeFile,
    Record,
    Registry,
    Stream,
)
from gateway.backup.staging import Order, Staging, staging_found
from gateway.backup.unpacking import read_contents, unpack
from gateway.backup.verifying import read, verify
from gateway.nats import copies
from gateway.nats.bus import NatsBus
from gateway.store.faults import fault_of
from gateway.vault.sealing import SealError
from gateway.vault.stream_key import header_for, key_from
from gateway.vault.vault import Vaults
from protocol.backup import ArchiveView, ClinicContents, Committed
from protocol.commands import utc_now
from protocol.errors import StoreUnavailableError
from protocol.jobs import Progress

T = TypeVar("T")

log = structlog.get_logger(__name__)


class NodeArchives:
    """Implements ``protocol.backup.Archives``."""

    def __init__(
        self,
        data: Path,
        runtime: Path,
        vaults: Vaults,
        bus: NatsBus,
        *,
        version: str,
        clock: Callable[[], datetime] = utc_now,
    ) -> None:
        self._data, self._runtime = data, runtime
        self._vaults, self._bus = vaults, bus
        self._version, self._clock = version, clock

    # -- made and read --

    async def write(
        self,
        file: Path,
        clinics: Sequence[ClinicContents],
        *,
        node: bool,
        passphrase: str | None,
        progress: Progress,
    ) -> Mapping[str, int | str]:
        """See ``Archives``."""
        ids = [contents.record.id for contents in clinics]
        beside = file.with_name(f".{file.name}.db")
        manifest = Manifest(format=FORMAT, version=self._version, made_at=self._clock(), clinics=ids, node=node)
        try:
            async with writing(file, self._vaults.master, passphrase) as archive:
                await archive.write(manifest)
                for contents in clinics:
                    copy = clinic_copy.ClinicCopy(contents, self._data, self._runtime, self._vaults, self._bus)
                    await copy.write(archive, beside, progress)
                if node:
                    progress("the node's own", archive.size)
                    await self._write_node(archive, beside)
            size = (await asyncio.to_thread(file.stat)).st_size
        except (OSError, sqlite3.Error) as error:
            raise _unavailable(file, error) from error
        return {"clinics": len(ids), "records": archive.records, "bytes": size}

    async def verify(self, archive: Path, *, passphrase: str | None, progress: Progress) -> ArchiveView:
        """See ``Archives``."""
        loop = asyncio.get_running_loop()
        total = await asyncio.to_thread(self._size, archive)

        def told(done: int) -> None:
            loop.call_soon_threadsafe(progress, "verifying", done, total)

        return await asyncio.to_thread(verify, archive, self._key_of(passphrase), told)

    # -- put back --

    async def stage(self, archive: Path, clinics: Sequence[str], *, passphrase: str | None, progress: Progress) -> None:
        """See ``Archives``."""
        progress("unpacking")
        master, key_of = self._vaults.master, self._key_of(passphrase)
        stagings = [self._staging(clinic) for clinic in clinics]

        def begin(reader: ContainerReader) -> None:
            key = key_of(header_of(archive))
            for each in stagings:
                each.begin(archive, header_for(HOLDS, key, master=master))
            unpack(reader, stagings, master)

        try:
            await asyncio.to_thread(read, archive, key_of, begin)
        except BaseException:
            for clinic in clinics:
                await self.finish(clinic)
            raise

    async def commit(self, clinic: str, *, held_at: datetime | None) -> None:
        """See ``Archives``."""
        await self._at(clinic, lambda staging: staging.give(Order(step="committed", held_at=held_at)))

    async def committed(self) -> Sequence[Committed]:
        """See ``Archives``."""

        def look() -> list[Committed]:
            with _disk(self._data):
                found = [_committed(staging) for staging in staging_found(self._data, self._runtime)]
            return [one for one in found if one is not None]

        return await asyncio.to_thread(look)

    async def place(self, clinic: str) -> None:
        """See ``Archives``."""
        await self._vaults.let_go(clinic)
        await self._at(clinic, Staging.place)

    async def put_streams(self, clinic: str, progress: Progress) -> None:
        """See ``Archives``."""
        wanted = self._bus.streams(clinic)
        async with self._bus.account(clinic) as connection:
            for name in (*BEFORE_DATABASE, *AFTER_DATABASE):
                progress(f"clinic {clinic}: stream {name}")
                pieces = self._pieces(clinic, Stream(clinic=clinic, name=name))
                await copies.put_back(connection, wanted[name], pieces)

    async def settle(self, clinic: str) -> None:
        """See ``Archives``."""

        def settle(staging: Staging) -> None:
            if (order := staging.order()) is not None:
                staging.give(msgspec.structs.replace(order, step="settled"))

        await self._at(clinic, settle)

    async def contents(self, clinic: str) -> ClinicContents:
        """See ``Archives``."""

        def look(reader: ContainerReader) -> ClinicContents:
            _find(reader, Registry(clinic=clinic))
            return read_contents(clinic, reader)

        return await asyncio.to_thread(self._read_staged, clinic, look)

    async def finish(self, clinic: str) -> None:
        """See ``Archives``."""
        await self._at(clinic, Staging.remove)

    async def sweep(self) -> None:
        """See ``Archives``."""

        def sweep() -> None:
            with _disk(self._data):
                for staging in staging_found(self._data, self._runtime):
                    with suppress(StoreUnavailableError):  # a damaged order is an order
                        if staging.order() is None:
                            staging.remove()

        await asyncio.to_thread(sweep)

    # -- within --

    async def _write_node(self, archive: ArchiveWriter, beside: Path) -> None:
        """For the record: not put back."""
        if await asyncio.to_thread((self._data / "keys.json").exists):
            await archive.write_pieces(NodeFile(name="keys.json"), file_pieces(self._data / "keys.json"))
        if await asyncio.to_thread((self._data / "audit.db").exists):
            async with database_copy.removed(beside):
                await asyncio.to_thread(database_copy.copy, self._data / "audit.db", beside)
                await archive.write_pieces(NodeFile(name="audit.db"), file_pieces(beside))

    def _size(self, archive: Path) -> int:
        with _disk(archive):
            return archive.stat().st_size

    def _staging(self, clinic: str) -> Staging:
        return Staging(self._data, clinic, self._runtime)

    async def _at(self, clinic: str, work: Callable[[Staging], None]) -> None:
        staging = self._staging(clinic)

        def done() -> None:
            with _disk(staging.directory):
                work(staging)

        await asyncio.to_thread(done)

    def _key_of(self, passphrase: str | None) -> KeyOf:
        return lambda header: key_from(header, masters=self._vaults.master.opening, passphrase=passphrase)

    def _read_staged(self, clinic: str, work: Callable[[ContainerReader], T]) -> T:
        staging = self._staging(clinic)
        with _disk(staging.directory):
            opens = staging.opens()
        return read(staging.archive, lambda _: key_from(opens, masters=self._vaults.master.opening), work)

    async def _pieces(self, clinic: str, record: Record) -> AsyncIterator[bytes]:
        """What belongs to ``record`` in the archive of a committed clinic; it was verified before, and is again."""
        staging = self._staging(clinic)

        def begin() -> Generator[bytes, None, None]:
            opens = staging.opens()
            with reading(staging.archive, lambda _: key_from(opens, masters=self._vaults.master.opening)) as reader:
                _find(reader, record)
                yield from reader.pieces()

        pieces = begin()
        try:
            while piece := await asyncio.to_thread(next, pieces, b""):
                yield piece
        except (OSError, SealError, ArchiveError) as error:
            raise _unavailable(staging.archive, error) from error
        finally:
            pieces.close()


def _find(reader: ContainerReader, wanted: Record) -> None:
    """Read on to ``wanted``. Raises ArchiveError if there is none."""
    if wanted not in reader.records():
        raise ArchiveError("it lacks a record")


@contextmanager
def _disk(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise _unavailable(path, error) from error


def _unavailable(path: Path, error: BaseException) -> StoreUnavailableError:
    if isinstance(error, OSError | sqlite3.Error):
        fault = fault_of(error)
        return StoreUnavailableError(f"{getattr(error, 'filename', None) or path} {fault.what}: {fault.mend}")
    return StoreUnavailableError(f"{path}: {error}")


def _committed(staging: Staging) -> Committed | None:
    """A damaged order holds up nobody else's."""
    try:
        order = staging.order()
    except StoreUnavailableError as error:
        log.error("an interrupted restore cannot go on", clinic=staging.clinic, error=str(error))
        return None
    if order is None:
        return None
    return Committed(clinic=staging.clinic, held_at=order.held_at, settled=order.step == "settled")
