"""A sealed stream's file, read for whoever is to have what it holds. On the loop's thread, the work in others."""

import asyncio
from collections.abc import AsyncIterator, Callable, Generator
from pathlib import Path

from gateway.vault.sealing import SealError
from gateway.vault.stream import StreamReader
from gateway.vault.stream_key import Header
from protocol.errors import StoreUnavailableError


async def opened(path: Path, holds: str, key: Callable[[Header], bytes]) -> AsyncIterator[bytes]:
    """What the stream in ``path`` holds, chunk by chunk, each verified. ``key`` finds the key of its header; blocks.

    Raises:
        StoreUnavailableError: it cannot be read, is damaged, or does not end as it was written.
        WrongKeyError: as ``key`` does.
    """

    def begin() -> Generator[bytes, None, None]:
        with path.open("rb", buffering=0) as file:
            reader = StreamReader(file, holds)
            yield from reader.chunks(key(reader.header))

    chunks = begin()
    try:
        while chunk := await asyncio.to_thread(next, chunks, b""):
            yield chunk
    except (OSError, SealError) as error:
        raise StoreUnavailableError(f"{path} cannot be read: {error}") from error
    finally:
        chunks.close()
