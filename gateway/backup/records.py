"""What an archive holds: its records, in the only order in which they may come. Pure.

::

    manifest
    for each clinic of the manifest, in its order:
        registry, keys                       what is wanted, and the clinic's data keys
        stream send, stream later            before the database: see the package
        database
        snapshot ...                         of the channels' session stores, the newest first
        stream events, dead, OBJ_media
    node file ...                            keys.json, audit.db
    closing                                  what all of it came to

Identifiers are checked as they are read: nothing here can be part of a path that leads elsewhere.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta, Struct

from protocol.ids import ChannelId, ClinicId

FORMAT: Final = 1
MOST_CLINICS: Final = 10_000
MOST_SNAPSHOTS: Final = 100_000
"""Of one clinic."""

StreamName = Literal["send", "later", "events", "dead", "OBJ_media"]
NodeFileName = Literal["keys.json", "audit.db"]

BEFORE_DATABASE: Final[Sequence[StreamName]] = ("send", "later")
AFTER_DATABASE: Final[Sequence[StreamName]] = ("events", "dead", "OBJ_media")


class ArchiveError(Exception):
    """It is no archive, or one that nobody here has written."""


class Manifest(Struct, frozen=True, kw_only=True, tag_field="is", tag="manifest"):
    """Comes first. ``format``: of the records; ``version``: the Plantão that made it."""

    format: int
    version: Annotated[str, Meta(max_length=64)]
    made_at: datetime
    clinics: Annotated[list[ClinicId], Meta(max_length=MOST_CLINICS)]
    node: bool


class Registry(Struct, frozen=True, kw_only=True, tag_field="is", tag="registry"):
    """JSON: ``ClinicContents``."""

    clinic: ClinicId


class Keys(Struct, frozen=True, kw_only=True, tag_field="is", tag="keys"):
    """The clinic's data keys, 32 bytes each, the one that seals first."""

    clinic: ClinicId


class Stream(Struct, frozen=True, kw_only=True, tag_field="is", tag="stream"):
    """JetStream's own snapshot of a stream."""

    clinic: ClinicId
    name: StreamName


class Database(Struct, frozen=True, kw_only=True, tag_field="is", tag="database"):
    """``clinic.db``, sealed under the clinic's keys as it was."""

    clinic: ClinicId


class Snapshot(Struct, frozen=True, kw_only=True, tag_field="is", tag="snapshot"):
    """A session store, sealed under the clinic's keys as it was."""

    clinic: ClinicId
    channel: ChannelId
    version: Annotated[int, Meta(ge=1, le=10**17)]


class NodeFile(Struct, frozen=True, kw_only=True, tag_field="is", tag="node"):
    """Something that belongs to no clinic; kept for the record, not put back."""

    name: NodeFileName


class Closing(Struct, frozen=True, kw_only=True, tag_field="is", tag="closing"):
    """Comes last: how many records and bytes came before, and their hash (hex)."""

    records: int
    bytes: int
    sha256: Annotated[str, Meta(max_length=64)]


Record = Manifest | Registry | Keys | Stream | Database | Snapshot | NodeFile | Closing


class Order:
    """Follows an archive's records, and refuses the first that may not come now."""

    def __init__(self) -> None:
        self.manifest: Manifest | None = None
        self.closed = False
        self._clinics: list[str] = []
        self._expected: list[Registry | Keys | Stream | Database] = []
        self._clinic = ""
        self._seen: set[object] = set()

    def take(self, record: Record) -> None:
        """It comes next.

        Raises:
            ArchiveError: it may not.
        """
        if self.closed:
            raise ArchiveError("something follows what should be its end")
        if self.manifest is None:
            self._begin(record)
            return
        if not self._expected and self._clinics and not isinstance(record, Snapshot):
            self._next_clinic()
        match record:
            case Registry() | Keys() | Stream() | Database():
                if not self._expected or record != self._expected.pop(0):
                    raise ArchiveError(f"a record came out of turn: {_name(record)}")
                self._seen.clear()
            case Snapshot():
                self._take_snapshot(record)
            case NodeFile():
                if self._expected or not self.manifest.node:
                    raise ArchiveError("a node's file came out of turn")
                self._once(record)
            case Closing():
                if self._expected:
                    raise ArchiveError(f"it ends before {_name(self._expected[0])}")
                self.closed = True
            case Manifest():
                raise ArchiveError("it has two beginnings")

    def _begin(self, record: Record) -> None:
        if not isinstance(record, Manifest):
            raise ArchiveError("it does not begin with a manifest")
        if record.format != FORMAT:
            raise ArchiveError(f"it is of format {record.format}, and this Plantão reads {FORMAT}")
        if len(set(record.clinics)) != len(record.clinics):
            raise ArchiveError("it names a clinic twice")
        self.manifest, self._clinics = record, list(record.clinics)

    def _next_clinic(self) -> None:
        self._clinic = clinic = self._clinics.pop(0)
        self._expected = [
            Registry(clinic=clinic),
            Keys(clinic=clinic),
            *(Stream(clinic=clinic, name=name) for name in BEFORE_DATABASE),
            Database(clinic=clinic),
            *(Stream(clinic=clinic, name=name) for name in AFTER_DATABASE),
        ]

    def _take_snapshot(self, snapshot: Snapshot) -> None:
        after_database = Stream(clinic=self._clinic, name=AFTER_DATABASE[0])
        if snapshot.clinic != self._clinic or not self._expected or self._expected[0] != after_database:
            raise ArchiveError("a snapshot came out of turn")
        if len(self._seen) >= MOST_SNAPSHOTS:
            raise ArchiveError("it holds more snapshots than a clinic may have")
        self._once(snapshot)

    def _once(self, record: Record) -> None:
        if record in self._seen:
            raise ArchiveError(f"it holds {_name(record)} twice")
        self._seen.add(record)


def _name(record: Record) -> str:
    return msgspec.json.encode(record).decode()
