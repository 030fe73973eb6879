"""Archives that exist in name only, and a switchboard that shows what a test wants."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

from actors.board import Board
from actors.switchboard import Switchboard
from protocol.backup import ArchiveView, ClinicContents, Committed
from protocol.bus import Wanted
from protocol.channel import ChannelRecord, ClinicRecord, ClinicSnapshot, ClinicState
from protocol.errors import BusUnavailableError, PlantaoError
from protocol.jobs import Progress
from supervisor.names import Names

AT = datetime(2026, 11, 28, 6, 0, tzinfo=UTC)


def record_of(id: str) -> ClinicRecord:
    return ClinicRecord(id=id, name=id.title(), created_at=AT)


def channel(of: str, id: str) -> ChannelRecord:
    return ChannelRecord(clinic=of, id=id, name=id, created_at=AT)


def showing(*clinics: str) -> Switchboard:
    """These clinics run, each with a channel."""
    board = Board()
    wanted = Wanted(
        clinics={one: record_of(one) for one in clinics},
        channels={(one, "desk"): channel(one, "desk") for one in clinics},
    )
    for record in wanted.clinics.values():
        board.put_clinic(ClinicSnapshot.of(record, ClinicState.RUNNING, ""))
    board.put_wanted(wanted)
    return Switchboard(board, Names())


class MemoryArchives:
    """Implements ``protocol.backup.Archives``. ``written``: (file, clinics, whether with the node's) of each;
    ``failing``: clinics of which none can be made. Those that are put back get as far as ``place``, which raises
    ``trouble``; ``tried``: of which clinics it did."""

    def __init__(self) -> None:
        self.written: list[tuple[Path, list[ClinicContents], bool]] = []
        self.failing: set[str] = set()
        self.unfinished: list[Committed] = []
        self.trouble: PlantaoError = BusUnavailableError("it cannot be finished")
        self.tried: list[str] = []
        self.swept = 0

    async def write(
        self,
        file: Path,
        clinics: Sequence[ClinicContents],
        *,
        node: bool,
        passphrase: str | None,
        progress: Progress,
    ) -> Mapping[str, int | str]:
        if self.failing & {one.record.id for one in clinics}:
            raise BusUnavailableError("NATS is away")
        self.written.append((file, list(clinics), node))
        return {"clinics": len(clinics)}

    async def verify(self, archive: Path, *, passphrase: str | None, progress: Progress) -> ArchiveView:
        """It holds the clinic by whose name it goes."""
        return ArchiveView(version="test", made_at=AT, clinics=[archive.name], node=False, records=1, bytes=1)

    async def stage(self, archive: Path, clinics: Sequence[str], *, passphrase: str | None, progress: Progress) -> None:
        self.unfinished = [one for one in self.unfinished if one.clinic not in clinics]

    async def commit(self, clinic: str, *, held_at: datetime | None) -> None:
        self.unfinished.append(Committed(clinic=clinic, held_at=held_at, settled=False))

    async def committed(self) -> Sequence[Committed]:
        return self.unfinished

    async def place(self, clinic: str) -> None:
        self.tried.append(clinic)
        raise self.trouble

    async def put_streams(self, clinic: str, progress: Progress) -> None:
        raise NotImplementedError

    async def settle(self, clinic: str) -> None:
        raise NotImplementedError

    async def contents(self, clinic: str) -> ClinicContents:
        """As it would be in ``showing``."""
        return ClinicContents(record=record_of(clinic), channels=[channel(clinic, "desk")])

    async def finish(self, clinic: str) -> None:
        self.unfinished = [one for one in self.unfinished if one.clinic != clinic]

    async def sweep(self) -> None:
        self.swept += 1
