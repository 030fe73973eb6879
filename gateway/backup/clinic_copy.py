"""What an archive holds of a clinic, taken while it runs. On the loop's thread; the work is done in others."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

import msgspec
import structlog

from gateway.backup import database_copy
from gateway.backup.archive_file import ArchiveWriter, file_pieces
from gateway.backup.records import (
    AFTER_DATABASE,
    BEFORE_DATABASE,
    Database,
    Keys,
    Registry,
    Snapshot,
    Stream,
    StreamName,
)
from gateway.nats import copies
from gateway.nats.bus import NatsBus
from gateway.nats.link import Connection
from gateway.store.files import database_file
from gateway.vault.keys import SNAPSHOTS, DataKey
from gateway.vault.sealing import SealError
from gateway.vault.snapshots import Snapshots
from gateway.vault.vault import Vaults
from protocol.backup import ClinicContents
from protocol.errors import StoreUnavailableError
from protocol.jobs import Progress

log = structlog.get_logger(__name__)

SNAPSHOTS_KEPT: Final = 2
"""Of each channel: the newest, and one more should that turn out to be of no use."""
_POSITIONS_KEPT: Final = frozenset(AFTER_DATABASE)
"""Streams whose consumers are the clinic's own services, which go on where they were. Those of the others are
Plantão's, which makes them anew and has given out all that is left to it."""


class ClinicCopy:
    """Copies the clinic ``contents``. ``beside``: where a copy of the database may lie for a while, sealed as it is."""

    def __init__(self, contents: ClinicContents, data: Path, runtime: Path, vaults: Vaults, bus: NatsBus) -> None:
        self._contents = contents
        self._clinic = contents.record.id
        self._data, self._runtime = data, runtime
        self._vaults, self._bus = vaults, bus

    async def write(self, archive: ArchiveWriter, beside: Path, progress: Progress) -> None:
        """All of it, in the order that ``records`` gives.

        Raises:
            StoreUnavailableError, BusUnavailableError
            OSError, sqlite3.Error
        """
        clinic = self._clinic
        keys = await asyncio.to_thread(self._vaults.data_keys, clinic)
        await archive.write(Registry(clinic=clinic), msgspec.json.encode(self._contents))
        await archive.write(Keys(clinic=clinic), b"".join(key.key for key in keys))
        async with self._bus.account(clinic) as connection:
            await self._write_streams(archive, connection, BEFORE_DATABASE, progress)
            await self._write_database(archive, beside, progress)
            await self._write_snapshots(archive, keys, progress)
            await self._write_streams(archive, connection, AFTER_DATABASE, progress)

    async def _write_streams(
        self, archive: ArchiveWriter, connection: Connection, names: Sequence[StreamName], progress: Progress
    ) -> None:
        for name in names:
            progress(f"clinic {self._clinic}: stream {name}", archive.size)
            pieces = copies.snapshot(connection, name, consumers=name in _POSITIONS_KEPT)
            await archive.write_pieces(Stream(clinic=self._clinic, name=name), pieces)

    async def _write_database(self, archive: ArchiveWriter, beside: Path, progress: Progress) -> None:
        progress(f"clinic {self._clinic}: database", archive.size)
        async with _removed(beside):
            await asyncio.to_thread(database_copy.copy, database_file(self._data, self._clinic), beside)
            await archive.write_pieces(Database(clinic=self._clinic), file_pieces(beside))

    async def _write_snapshots(self, archive: ArchiveWriter, keys: Sequence[DataKey], progress: Progress) -> None:
        folder = self._runtime / "clinics" / self._clinic
        derived = {key.id: key.derive(SNAPSHOTS) for key in keys}
        for number, channel in enumerate(self._contents.channels):
            progress(f"clinic {self._clinic}: sessions", number, len(self._contents.channels))
            try:
                await self._vaults.clinic(self._clinic).refresh(channel.id, str(folder / f"{channel.id}.db"))
            except StoreUnavailableError as error:
                # What was sealed before is worth more than no archive.
                log.warning("session not sealed anew", clinic=self._clinic, channel=channel.id, error=str(error))
            for version, content in await asyncio.to_thread(self._newest, channel.id, derived):
                await archive.write(Snapshot(clinic=self._clinic, channel=channel.id, version=version), content)

    def _newest(self, channel: str, keys: dict[bytes, bytes]) -> list[tuple[int, bytes]]:
        """The newest snapshots that can be opened: their versions, and what is in the files. Blocks."""
        snapshots, found = Snapshots(self._data, self._clinic, channel), list[tuple[int, bytes]]()
        for snapshot in snapshots.found():
            if len(found) == SNAPSHOTS_KEPT:
                break
            try:
                snapshots.read(snapshot, keys)
                found.append((snapshot.version, snapshot.path.read_bytes()))
            except FileNotFoundError:
                continue  # there is a newer one by now
            except SealError as error:
                log.warning(
                    "snapshot cannot be opened",
                    clinic=self._clinic,
                    channel=channel,
                    version=snapshot.version,
                    error=str(error),
                )
        return found


@asynccontextmanager
async def _removed(path: Path) -> AsyncIterator[None]:
    try:
        yield
    finally:
        await asyncio.to_thread(database_copy.remove, path)
