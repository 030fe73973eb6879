"""Archives made record by record: whole ones, and what nobody here would write."""

import io
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime

import msgspec

from gateway.backup.container import ContainerReader, ContainerWriter
from gateway.backup.records import (
    AFTER_DATABASE,
    BEFORE_DATABASE,
    FORMAT,
    Database,
    Keys,
    Manifest,
    NodeFile,
    Record,
    Registry,
    Snapshot,
    Stream,
)

MADE_AT = datetime(2026, 11, 28, 6, 0, tzinfo=UTC)

Parts = Sequence[tuple[Record, Sequence[bytes]]]


def manifest(*clinics: str, node: bool = False, format: int = FORMAT) -> Manifest:
    return Manifest(format=format, version="test", made_at=MADE_AT, clinics=list(clinics), node=node)


def of_clinic(clinic: str, *snapshots: tuple[str, int]) -> list[tuple[Record, list[bytes]]]:
    """All records of a clinic, with something in each."""
    return [
        (Registry(clinic=clinic), [b"{}"]),
        (Keys(clinic=clinic), [bytes(32)]),
        *((Stream(clinic=clinic, name=name), [name.encode(), b"more"]) for name in BEFORE_DATABASE),
        (Database(clinic=clinic), [b"database"]),
        *((Snapshot(clinic=clinic, channel=ch, version=version), [b"sealed"]) for ch, version in snapshots),
        *((Stream(clinic=clinic, name=name), [name.encode()]) for name in AFTER_DATABASE),
    ]


def whole(*clinics: str, node: bool = False) -> list[tuple[Record, list[bytes]]]:
    """An archive of these, without its end."""
    parts: list[tuple[Record, list[bytes]]] = [(manifest(*clinics, node=node), [])]
    for clinic in clinics:
        parts += of_clinic(clinic, ("desk", 2), ("desk", 1))
    return [*parts, (NodeFile(name="keys.json"), [b"hashes"])] if node else parts


def written(parts: Parts) -> bytes:
    """As the writer does it, which refuses what may not come."""
    sink = io.BytesIO()
    writer = ContainerWriter(sink)
    for record, pieces in parts:
        writer.begin(record)
        for piece in pieces:
            writer.piece(piece)
        writer.end()
    writer.close()
    return sink.getvalue()


def forged(headers: Iterable[bytes | Record]) -> bytes:
    """Records without content, as somebody writes them who keeps to no order; nor is there an end."""
    content = b""
    for header in headers:
        encoded = header if isinstance(header, bytes) else msgspec.json.encode(header)
        content += len(encoded).to_bytes(4) + encoded + bytes(4)
    return content


def read(content: bytes) -> list[tuple[Record, bytes]]:
    """All records with what belongs to them."""
    reader = ContainerReader(io.BytesIO(content))
    return [(record, b"".join(reader.pieces())) for record in reader.records()]
