import base64
import gzip
import zlib
from pathlib import Path

import pytest

from tests.acceptance.traces import traces, unpacked, writings

VALUE = "Dona Zulmira Ção"


@pytest.mark.parametrize("before", [b"", b"x", b"xy", b"xyz"])
@pytest.mark.parametrize("value", [VALUE, "5511987654321", b"\xfb\xff\xbe" + bytes(range(32))])
def test_every_writing_is_found_wherever_it_stands(tmp_path: Path, value: str | bytes, before: bytes) -> None:
    raw = value.encode() if isinstance(value, str) else value
    planted = [
        before + raw,
        base64.b64encode(before + raw + b"zz"),
        base64.urlsafe_b64encode(before + raw + b"z"),
        (before + raw).hex().encode(),
        (before + raw).hex().upper().encode(),
        before + zlib.compress(raw),
        before + gzip.compress(raw),
    ]
    for number, content in enumerate(planted):
        file = tmp_path / str(number)
        file.write_bytes(content)
        assert traces(tmp_path, {"it": value}), number
        file.unlink()


@pytest.mark.parametrize("writing", [*sorted(writings(VALUE)), "reversed"])
def test_each_writing_of_words_is_looked_for(tmp_path: Path, writing: str) -> None:
    value = "5511987654321" if writing == "reversed" else VALUE
    (tmp_path / "file").write_bytes(b"\x00\x01" + writings(value)[writing] + b"\x02")
    assert any(f"as {writing} in" in found for found in traces(tmp_path, {"it": value}))


def test_names_of_files_are_looked_at_and_what_is_not_there_is_not_found(tmp_path: Path) -> None:
    (tmp_path / "of 5511987654321").write_bytes(bytes(1000))
    assert traces(tmp_path, {"number": "5511987654321"}) == ["number as raw in of 5511987654321"]
    assert traces(tmp_path, {"name": VALUE}) == []
    assert not any(list(unpacked(b"x\x78\x9cx"))[1:])


def test_a_link_is_looked_at_and_what_it_leads_to_is_not(tmp_path: Path) -> None:
    (tmp_path / "memory").write_text(VALUE)
    disk = tmp_path / "disk"
    disk.mkdir()
    (disk / "node.json").symlink_to(tmp_path / "memory")
    assert traces(disk, {"name": VALUE}) == []
    (disk / "other").symlink_to(tmp_path / VALUE)
    assert traces(disk, {"name": VALUE}) == ["name as raw in other"]
