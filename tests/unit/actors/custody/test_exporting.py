"""The media of an export: each in a file of its own, and lists of them that are never held as a whole."""

from collections.abc import AsyncIterator, Collection
from pathlib import Path

import msgspec
import pytest

from actors.custody import exporting
from protocol.exporting import StoredObject


class Zip:
    """Implements ``protocol.exporting.Archive``: what each file holds."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}

    async def begin(self, name: str, *, packed: bool, large: bool = False) -> None:
        assert name not in self.files
        self.files[name] = b""

    async def write(self, data: bytes) -> None:
        name = [*self.files][-1]
        self.files[name] += data


class Account:
    """So much of ``protocol.exporting.AccountReader`` as media need: ``count`` objects of two bytes."""

    def __init__(self, count: int) -> None:
        self._count = count

    async def objects(self, names: Collection[str] | None) -> AsyncIterator[StoredObject]:
        for number in range(self._count):
            yield StoredObject(name=f"object-{number}", mime="image/png", size=2, nuid=f"N{number}")

    async def content(self, found: StoredObject) -> AsyncIterator[bytes]:
        yield b"a"
        yield b"b"


@pytest.mark.parametrize(("count", "lists"), [(0, 0), (1, 1), (7, 3), (9, 3)])
async def test_media_are_listed_in_parts_that_together_name_each_once(
    monkeypatch: pytest.MonkeyPatch, count: int, lists: int
) -> None:
    line = len(b'{"file":"media/000001.png","object":"object-0","mime":"image/png","size":2}\n')
    monkeypatch.setattr(exporting, "LISTED", 3 * line)
    archive = Zip()
    written = await exporting._media(archive, Account(count), None, lambda *_: None)  # type: ignore[arg-type]
    parts = {name: content for name, content in archive.files.items() if name.endswith(".jsonl")}
    rows = [msgspec.json.decode(row) for content in parts.values() for row in content.splitlines()]
    assert written == count
    assert len(parts) == lists
    assert [*parts][:1] == ["media.jsonl"][:lists]
    assert [row["object"] for row in rows] == [f"object-{number}" for number in range(count)]
    assert all(archive.files[row["file"]] == b"ab" for row in rows)
    assert all(Path(name).name.startswith("media") for name in parts)
