import io

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.backup.container import LARGEST, ContainerReader
from gateway.backup.records import ArchiveError, Closing, Database, Keys, Manifest, Record, Registry, Snapshot, Stream
from tests.unit.gateway.backup.archives_of import forged, manifest, of_clinic, read, whole, written

clinics = st.lists(st.sampled_from(["north", "south", "east"]), max_size=3, unique=True)


@given(clinics, st.booleans(), st.lists(st.binary(max_size=40), max_size=4))
def test_what_was_written_is_read_again(ids: list[str], node: bool, pieces: list[bytes]) -> None:
    parts = [(record, pieces if isinstance(record, Database) else given) for record, given in whole(*ids, node=node)]
    *found, (closing, _) = read(written(parts))
    assert found == [(record, b"".join(pieces)) for record, pieces in parts]
    assert isinstance(closing, Closing)
    assert closing.records == len(parts)


def test_a_piece_of_any_size_is_written_in_pieces_that_can_be_read() -> None:
    large = bytes(2 * LARGEST + 17)
    parts = [(record, [large] if isinstance(record, Database) else pieces) for record, pieces in whole("north")]
    assert (Database(clinic="north"), large) in read(written(parts))


@given(clinics, st.data())
def test_damage_anywhere_is_found_also_inside_the_seal(ids: list[str], data: st.DataObject) -> None:
    content = bytearray(written(whole(*ids)))
    at = data.draw(st.integers(0, len(content) - 1))
    content[at] ^= 1 << data.draw(st.integers(0, 7))
    with pytest.raises(ArchiveError):
        read(bytes(content))


@given(clinics, st.data())
def test_what_is_cut_off_or_goes_on_is_found(ids: list[str], data: st.DataObject) -> None:
    content = written(whole(*ids))
    with pytest.raises(ArchiveError):
        read(content[: data.draw(st.integers(0, len(content) - 1))])
    with pytest.raises(ArchiveError):
        read(content + data.draw(st.binary(min_size=1, max_size=20)))


@given(st.binary(max_size=300))
def test_no_bytes_at_all_break_it(content: bytes) -> None:
    for start in (b"", forged([manifest("north")])):
        with pytest.raises(ArchiveError):
            read(start + content)


@pytest.mark.parametrize("length", [LARGEST + 1, (1 << 32) - 1])
def test_a_length_that_lies_does_not_have_us_hold_more(length: int) -> None:
    class Endless:
        """Gives as much as anybody wants, and remembers how much that was."""

        def __init__(self, start: bytes) -> None:
            self.start = io.BytesIO(start)
            self.most = 0

        def read(self, size: int) -> bytes:
            self.most = max(self.most, size)
            return self.start.read(size) or bytes(size)

    header = msgspec.json.encode(manifest("north"))
    source = Endless(len(header).to_bytes(4) + header + length.to_bytes(4))
    with pytest.raises(ArchiveError, match="more than there may be"):
        list(ContainerReader(source).records())
    assert source.most <= len(header)


@pytest.mark.parametrize(
    "name", ["../north", "/etc", "north/../south", "..", ".", "", "NORTH", "north\n", "a" * 64, ".restoring-north"]
)
def test_no_name_leads_elsewhere(name: str) -> None:
    for record in (
        manifest(name),
        Registry(clinic=name),
        Snapshot(clinic="north", channel=name, version=1),
        Stream(clinic=name, name="send"),
    ):
        with pytest.raises(ArchiveError, match="cannot be read"):
            read(forged([record]))


@pytest.mark.parametrize(
    "header",
    [
        b'{"is":"file","name":"/etc/passwd"}',
        b'{"is":"node","name":"../../keys.json"}',
        b'{"is":"stream","clinic":"north","name":"KV_plantao_registry"}',
        b'{"is":"snapshot","clinic":"north","channel":"desk","version":0}',
        b'{"is":"snapshot","clinic":"north","channel":"desk","version":-1}',
        b'{"is":"snapshot","clinic":"north","channel":"desk","version":"../1"}',
        b"[]",
        b"null",
        b"[" * 100_000,
    ],
)
def test_what_is_no_record_is_refused(header: bytes) -> None:
    with pytest.raises(ArchiveError):
        read(forged([manifest("north"), header]))


def test_another_version_is_refused_by_name() -> None:
    with pytest.raises(ArchiveError, match="of format 2, and this Plantão reads 1"):
        read(forged([manifest("north", format=2)]))


OUT_OF_TURN: dict[str, list[Record]] = {
    "no manifest": [Registry(clinic="north")],
    "two manifests": [manifest("north"), manifest("north")],
    "a clinic twice": [manifest("north", "north")],
    "another clinic": [manifest("north"), Registry(clinic="south")],
    "another clinic's stream": [
        manifest("north"),
        Registry(clinic="north"),
        Keys(clinic="north"),
        Stream(clinic="south", name="send"),
    ],
    "another stream": [
        manifest("north"),
        Registry(clinic="north"),
        Keys(clinic="north"),
        Stream(clinic="north", name="later"),
    ],
    "another clinic's session": [
        manifest("north", "south"),
        *(record for record, _ in of_clinic("north")[:5]),
        Snapshot(clinic="south", channel="desk", version=1),
    ],
    "a session twice": [
        manifest("north"),
        *(record for record, _ in of_clinic("north")[:5]),
        Snapshot(clinic="north", channel="desk", version=1),
        Snapshot(clinic="north", channel="desk", version=1),
    ],
    "a session before the database": [
        manifest("north"),
        *(record for record, _ in of_clinic("north")[:4]),
        Snapshot(clinic="north", channel="desk", version=1),
    ],
    "a session of no clinic": [manifest(), Snapshot(clinic="north", channel="desk", version=1)],
    "no end of a clinic": [
        manifest("north"),
        *(record for record, _ in of_clinic("north")[:-1]),
        Closing(records=7, bytes=1, sha256=""),
    ],
    "no clinic at all": [manifest("north"), Closing(records=1, bytes=1, sha256="")],
    "an end that lies": [manifest(), Closing(records=1, bytes=1, sha256="")],
}


@pytest.mark.parametrize("records", OUT_OF_TURN.values(), ids=OUT_OF_TURN.keys())
def test_what_comes_out_of_turn_is_refused(records: list[Record]) -> None:
    with pytest.raises(ArchiveError):
        read(forged(records))


def test_a_nodes_files_come_only_if_it_is_said_so() -> None:
    assert isinstance(read(written(whole("north", node=True)))[0][0], Manifest)
    parts = whole("north", node=True)
    with pytest.raises(ArchiveError):
        read(forged([manifest("north"), *(record for record, _ in parts[1:])]))
