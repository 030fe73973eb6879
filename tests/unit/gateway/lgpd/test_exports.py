import asyncio
import io
import tracemalloc
import zipfile
from pathlib import Path

import pytest

from gateway.lgpd.exports import SealedExports, SealedZip
from protocol.errors import StoreUnavailableError

WORDS = b"the words of a person " * 1000


async def read(exports: SealedExports, file: Path) -> bytes:
    return b"".join([piece async for piece in exports.reading(file)])


async def write(exports: SealedExports, file: Path) -> None:
    async with exports.writing(file) as archive:
        await archive.begin("said.jsonl", packed=True)
        for _ in range(40):
            await archive.write(WORDS)
        await archive.begin("media/000001.png", packed=False, large=True)
        await archive.write(b"\x89PNG")


async def test_it_opens_as_a_zip_and_lies_on_the_disk_sealed(tmp_path: Path) -> None:
    exports, file = SealedExports(), tmp_path / "file"
    await write(exports, file)
    assert b"PK" not in file.read_bytes()[:64]
    assert WORDS[:22] not in file.read_bytes()
    assert file.stat().st_mode & 0o777 == 0o600
    with zipfile.ZipFile(io.BytesIO(await read(exports, file))) as found:
        assert found.testzip() is None
        assert found.namelist() == ["said.jsonl", "media/000001.png"]
        assert found.read("said.jsonl") == WORDS * 40


async def test_nobody_else_can_open_it(tmp_path: Path) -> None:
    await write(SealedExports(), tmp_path / "file")
    with pytest.raises(StoreUnavailableError, match="ask for it again"):
        await read(SealedExports(), tmp_path / "file")


async def test_one_that_was_not_finished_cannot_be_read(tmp_path: Path) -> None:
    exports, file = SealedExports(), tmp_path / "file"

    async def broken() -> None:
        async with exports.writing(file) as archive:
            await archive.begin("said.jsonl", packed=True)
            await archive.write(WORDS)
            raise RuntimeError("NATS is away")

    with pytest.raises(RuntimeError):
        await broken()
    with pytest.raises(StoreUnavailableError):
        await read(exports, file)


async def test_however_many_files_there_are_they_are_not_held_in_memory(tmp_path: Path) -> None:
    exports, file = SealedExports(), tmp_path / "file"

    def begin_all(archive: SealedZip, first: int, many: int) -> int:
        """How much more memory is held afterwards."""
        tracemalloc.start()
        try:
            for number in range(first, first + many):
                archive._begin(f"media/{number:06d}.png", packed=False, large=False)
            return tracemalloc.get_traced_memory()[0]
        finally:
            tracemalloc.stop()

    async with exports.writing(file) as archive:
        assert isinstance(archive, SealedZip)
        assert await asyncio.to_thread(begin_all, archive, 0, 5000) < 1 << 20
        assert await asyncio.to_thread(begin_all, archive, 5000, 5000) < 1 << 20
    assert await asyncio.to_thread(lambda: list(tmp_path.iterdir())) == [file]
    with zipfile.ZipFile(io.BytesIO(await read(exports, file))) as found:
        assert found.testzip() is None
        assert found.namelist() == [f"media/{number:06d}.png" for number in range(10_000)]
        info = found.getinfo("media/000001.png")
        assert info.external_attr >> 16 == 0o100600
        assert info.compress_type == zipfile.ZIP_STORED
